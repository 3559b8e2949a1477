//! A store on its own Memcached server.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_core::{Bucket, Result, Store};
use kvfuse_memcached::MemcachedStore;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::net::StdNetwork;
use kvfuse_servers::settings;
use kvfuse_servers::waiting::{Blocking, TokioClock, TokioNetwork};
use kvfuse_servers::watchdog::Watchdog;
use std::rc::Rc;

pub type NativeStore = MemcachedStore<StdNetwork, SystemClock>;

pub fn connect(servers: &str, variables: &[(&str, &str)]) -> NativeStore {
    connect_counting(servers, variables, StdNetwork::default())
}

pub fn connect_counting(servers: &str, variables: &[(&str, &str)], network: StdNetwork) -> NativeStore {
    let variables = [&[("KEYVALUE_MEMCACHED_SERVERS", servers)], variables].concat();
    MemcachedStore::new(&settings(&variables), network, SystemClock).expect("the settings are right")
}

/// The same engine where calls wait beside each other.
pub type WaitingStore = MemcachedStore<TokioNetwork, TokioClock>;

pub fn connect_waiting(servers: &str, variables: &[(&str, &str)], network: TokioNetwork) -> WaitingStore {
    let variables = [&[("KEYVALUE_MEMCACHED_SERVERS", servers)], variables].concat();
    MemcachedStore::new(&settings(&variables), network, TokioClock).expect("the settings are right")
}

/// A store and the servers that only it uses.
pub struct Own<S> {
    store: S,
    pub servers: Vec<Memcached>,
    _watchdog: Watchdog,
}

impl Own<NativeStore> {
    pub fn start(arguments: &[&str]) -> Self {
        Self::on(vec![Memcached::start(arguments)], &[])
    }

    pub fn start_several(count: usize) -> Self {
        Self::on((0..count).map(|_| Memcached::start(&[])).collect(), &[])
    }

    pub fn on(servers: Vec<Memcached>, variables: &[(&str, &str)]) -> Self {
        Self { store: connect(&list(&servers), variables), servers, _watchdog: Watchdog::of_the_test() }
    }
}

impl Own<Blocking<WaitingStore>> {
    pub fn start_waiting() -> Self {
        let servers = vec![Memcached::start(&[])];
        let store = Blocking::new(connect_waiting(&list(&servers), &[], TokioNetwork::default()));
        Self { store, servers, _watchdog: Watchdog::of_the_test() }
    }
}

impl<S: Store> Store for Own<S> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}

/// The setting that names these servers.
pub fn list(servers: &[Memcached]) -> String {
    servers.iter().map(Memcached::address).collect::<Vec<_>>().join(",")
}
