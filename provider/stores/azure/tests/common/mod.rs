//! A store on its own emulator of Azure Tables.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_azure::{Ambient, AzureStore};
use kvfuse_core::{Bucket, Result, Store};
use kvfuse_servers::azure::{ACCOUNT, AzureTables, KEY};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::http::{StdHttp, TokioHttp};
use kvfuse_servers::settings;
use kvfuse_servers::waiting::TokioClock;
use kvfuse_servers::watchdog::Watchdog;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub type NativeStore = AzureStore<StdHttp, SystemClock>;

pub fn random() -> [u8; 16] {
    let half = || u128::from(RandomState::new().hash_one(0));
    (half() << 64 | half()).to_le_bytes()
}

pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// The same engine where calls wait beside each other.
pub type WaitingStore = AzureStore<TokioHttp, TokioClock>;

pub fn connect_waiting(endpoint: &str, time_limit: &str, http: TokioHttp) -> WaitingStore {
    let variables =
        [("KEYVALUE_AZURE_KEY", KEY), ("KEYVALUE_AZURE_ENDPOINT", endpoint), ("KEYVALUE_TIMEOUT_MS", time_limit)];
    AzureStore::new(&settings(&variables), http, TokioClock, Ambient { since_1970, random }).unwrap()
}

pub fn connect(endpoint: &str, variables: &[(&str, &str)]) -> NativeStore {
    connect_counting(endpoint, variables, StdHttp::default())
}

/// With the emulator's key, unless other credentials are given.
pub fn connect_counting(endpoint: &str, variables: &[(&str, &str)], http: StdHttp) -> NativeStore {
    let key = [("KEYVALUE_AZURE_KEY", KEY)];
    let given = variables.iter().any(|(name, _)| matches!(*name, "KEYVALUE_AZURE_KEY" | "KEYVALUE_AZURE_SAS"));
    let key = if given { &[][..] } else { &key[..] };
    let variables = [key, &[("KEYVALUE_AZURE_ENDPOINT", endpoint)], variables].concat();
    AzureStore::new(&settings(&variables), http, SystemClock, Ambient { since_1970, random }).unwrap()
}

/// The store at a port, with a time limit in milliseconds.
pub fn store(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("http://127.0.0.1:{port}/{ACCOUNT}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

pub struct OwnAzure {
    store: NativeStore,
    pub server: AzureTables,
    _watchdog: Watchdog,
}

impl OwnAzure {
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let server = AzureTables::start();
        Self { store: connect(&server.endpoint(), variables), server, _watchdog: Watchdog::of_the_test() }
    }
}

impl Store for OwnAzure {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}
