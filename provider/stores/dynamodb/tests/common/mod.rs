//! A store on its own emulator of DynamoDB.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_core::{Bucket, Result, Store};
use kvfuse_dynamodb::{Ambient, DynamoStore};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::http::{StdHttp, TokioHttp};
use kvfuse_servers::settings;
use kvfuse_servers::waiting::TokioClock;
use kvfuse_servers::watchdog::Watchdog;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub type NativeStore = DynamoStore<StdHttp, SystemClock>;

pub const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hunter2"), ("AWS_REGION", "us-east-1")];

pub fn random() -> [u8; 16] {
    let half = || u128::from(RandomState::new().hash_one(0));
    (half() << 64 | half()).to_le_bytes()
}

pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// The same engine where calls wait beside each other.
pub type WaitingStore = DynamoStore<TokioHttp, TokioClock>;

pub fn connect_waiting(endpoint: &str, variables: &[(&str, &str)], http: TokioHttp) -> WaitingStore {
    let variables = [&[("KEYVALUE_DYNAMODB_ENDPOINT", endpoint), KEYS[2]], variables].concat();
    DynamoStore::new(&settings(&variables), http, TokioClock, Ambient { since_1970, random }).unwrap()
}

pub fn connect(endpoint: &str, variables: &[(&str, &str)]) -> NativeStore {
    connect_counting(endpoint, variables, StdHttp::default())
}

pub fn connect_counting(endpoint: &str, variables: &[(&str, &str)], http: StdHttp) -> NativeStore {
    let variables = [&KEYS[..], &[("KEYVALUE_DYNAMODB_ENDPOINT", endpoint)], variables].concat();
    DynamoStore::new(&settings(&variables), http, SystemClock, Ambient { since_1970, random }).unwrap()
}

pub struct OwnDynamoDb {
    store: NativeStore,
    pub server: DynamoDb,
    _watchdog: Watchdog,
}

impl OwnDynamoDb {
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let server = DynamoDb::start();
        Self { store: connect(&server.endpoint(), variables), server, _watchdog: Watchdog::of_the_test() }
    }
}

impl Store for OwnDynamoDb {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}
