//! The store over wasi:http, as providers have it.

use crate::{Ambient, S3Store};
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::http::WasiHttp;
use kvfuse_transport::{random, timers};
use std::time::Duration;

/// The store with the ports that WASI implements.
pub type Store = S3Store<WasiHttp, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    let ambient = Ambient { since_1970: || Duration::from_millis(timers::now()), random: random::bytes };
    S3Store::new(settings, WasiHttp::default(), WasiClock, ambient)
}
