//! The store over wasi:http, as providers have it.

use crate::{Ambient, DynamoStore};
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::http::WasiHttp;
use kvfuse_transport::{random, timers};
use std::time::Duration;

/// The store with the ports that WASI implements.
pub type Store = DynamoStore<WasiHttp, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    let ambient = Ambient { since_1970: || Duration::from_millis(timers::now()), random: random::bytes };
    DynamoStore::new(settings, WasiHttp::default(), WasiClock, ambient)
}
