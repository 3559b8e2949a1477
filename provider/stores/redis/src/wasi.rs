//! The store over wasi:sockets, as providers have it.

use crate::RedisStore;
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::sockets::WasiNetwork;
use kvfuse_transport::timers;

/// The store with the ports that WASI implements.
pub type Store = RedisStore<WasiNetwork, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    RedisStore::new(settings, WasiNetwork::default(), WasiClock, timers::nanoseconds())
}
