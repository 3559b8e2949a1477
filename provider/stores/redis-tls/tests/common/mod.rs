//! A store on a Redis server with TLS.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_core::{Body, Bucket, Result, Store};
use kvfuse_redis::RedisStore;
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::net::StdNetwork;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::settings;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tls::Tls;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

pub type NativeStore = RedisStore<Tls<StdNetwork>, SystemClock>;

pub fn connect(url: &str, ca: &str, variables: &[(&str, &str)]) -> NativeStore {
    connect_over(StdNetwork::default(), url, ca, variables)
}

pub fn connect_over(network: StdNetwork, url: &str, ca: &str, variables: &[(&str, &str)]) -> NativeStore {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let variables = [&[("KEYVALUE_REDIS_URL", url), ("KEYVALUE_TLS_CA", ca)], variables].concat();
    let instance = NEXT.fetch_add(1, Ordering::Relaxed);
    kvfuse_redis_tls::new(&settings(&variables), network, SystemClock, instance).expect("the settings are right")
}

pub struct OwnRedis {
    store: NativeStore,
    pub server: Redis,
    pub authority: Authority,
    _watchdog: Watchdog,
}

impl OwnRedis {
    /// With these arguments for the server, and these settings of the store.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        let server = Redis::start_tls(&authority.certificate("127.0.0.1"), arguments);
        let store = connect(&server.tls_url(), authority.pem(), variables);
        Self { store, server, authority, _watchdog: Watchdog::of_the_test() }
    }
}

impl Store for OwnRedis {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        self.store.create_body()
    }
}
