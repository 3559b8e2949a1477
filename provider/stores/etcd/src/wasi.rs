//! The store over wasi:http, as providers have it.

use crate::EtcdStore;
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::http::WasiHttp;

/// The store with the ports that WASI implements.
pub type Store = EtcdStore<WasiHttp, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    EtcdStore::new(settings, WasiHttp::default(), WasiClock)
}
