//! A store on its own Redis server.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod fake;
pub mod mapped;

use kvfuse_core::{Body, Bucket, Result, Store};
use kvfuse_redis::RedisStore;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::net::StdNetwork;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::settings;
use kvfuse_servers::waiting::{TokioClock, TokioNetwork};
use kvfuse_servers::watchdog::Watchdog;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

pub type NativeStore = RedisStore<StdNetwork, SystemClock>;

pub fn connect(url: &str, variables: &[(&str, &str)]) -> NativeStore {
    connect_counting(url, variables, StdNetwork::default())
}

pub fn connect_counting(url: &str, variables: &[(&str, &str)], network: StdNetwork) -> NativeStore {
    let variables = [&[("KEYVALUE_REDIS_URL", url)], variables].concat();
    RedisStore::new(&settings(&variables), network, SystemClock, instance()).expect("the settings are right")
}

/// The same engine where calls wait beside each other.
pub type WaitingStore = RedisStore<TokioNetwork, TokioClock>;

pub fn connect_waiting(url: &str, variables: &[(&str, &str)], network: TokioNetwork) -> WaitingStore {
    let variables = [&[("KEYVALUE_REDIS_URL", url)], variables].concat();
    RedisStore::new(&settings(&variables), network, TokioClock, instance()).expect("the settings are right")
}

/// A number that no other instance of the test has.
fn instance() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub struct OwnRedis {
    store: NativeStore,
    pub server: Redis,
    _watchdog: Watchdog,
}

impl OwnRedis {
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::on(Redis::start(arguments), variables)
    }

    pub fn start_valkey(variables: &[(&str, &str)]) -> Self {
        Self::on(Redis::start_valkey(&[]), variables)
    }

    fn on(server: Redis, variables: &[(&str, &str)]) -> Self {
        Self { store: connect(&server.url(), variables), server, _watchdog: Watchdog::of_the_test() }
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

/// The faults that a store has to report truthfully in either world. `$prefix` and `$hash` make a store of the layout from a port
/// and a time limit.
#[allow(unused_macros, reason = "each test file uses a part")]
macro_rules! faults {
    ($prefix:path, $hash:path) => {
        use kvfuse_servers::faults::{
            a_missing_server, a_server_that_never_stops_sending, every_fault_at_every_byte, replies_byte_by_byte,
        };

        #[test]
        fn a_connection_closed_at_any_byte_is_reported_truthfully() {
            every_fault_at_every_byte(Redis::start(&[]).port(), Fault::Close, true, $prefix);
        }

        #[test]
        fn a_connection_closed_at_any_byte_of_the_handshake_is_reported_truthfully() {
            every_fault_at_every_byte(Redis::start(&[]).port(), Fault::Close, false, $prefix);
        }

        #[test]
        fn a_connection_closed_at_any_byte_is_reported_truthfully_in_the_hash_layout() {
            every_fault_at_every_byte(Redis::start(&[]).port(), Fault::Close, true, $hash);
        }

        #[test]
        fn nonsense_at_any_byte_is_reported_truthfully() {
            every_fault_at_every_byte(Redis::start(&[]).port(), Fault::Nonsense, true, $prefix);
        }

        #[test]
        fn a_server_that_hangs_at_any_byte_times_out_and_is_reported_truthfully() {
            every_fault_at_every_byte(Redis::start(&[]).port(), Fault::Hang, true, $prefix);
        }

        #[test]
        fn a_server_that_never_stops_sending_costs_the_time_limit_and_no_more() {
            a_server_that_never_stops_sending(Redis::start(&[]).port(), Fault::PUSHES, $prefix);
        }

        #[test]
        fn replies_that_arrive_byte_by_byte_are_read() {
            replies_byte_by_byte(Redis::start(&[]).port(), $prefix);
        }

        #[test]
        fn a_missing_server_is_unavailable() {
            a_missing_server($prefix);
        }
    };
}
#[allow(unused_imports, reason = "each test file uses a part")]
pub(crate) use faults;
