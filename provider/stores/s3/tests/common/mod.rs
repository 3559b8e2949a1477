//! A store on a server that speaks the protocol of S3.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_s3::{Ambient, S3Store};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::http::{StdHttp, TokioHttp};
use kvfuse_servers::s3::S3;
use kvfuse_servers::settings;
use kvfuse_servers::waiting::TokioClock;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub type NativeStore = S3Store<StdHttp, SystemClock>;

pub fn random() -> [u8; 16] {
    let half = || u128::from(RandomState::new().hash_one(0));
    (half() << 64 | half()).to_le_bytes()
}

pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

pub fn connect(server: &S3, variables: &[(&str, &str)]) -> NativeStore {
    connect_counting(server, variables, StdHttp::default())
}

/// With the server's access key and its bucket, unless others are given.
pub fn connect_counting(server: &S3, variables: &[(&str, &str)], http: StdHttp) -> NativeStore {
    let (id, secret) = &server.access_key;
    let endpoint = server.endpoint();
    let own = [("KEYVALUE_S3_ENDPOINT", &*endpoint), ("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)];
    // The last one counts.
    let variables = [&own, variables].concat();
    S3Store::new(&settings(&variables), http, SystemClock, Ambient { since_1970, random }).unwrap()
}

/// The same engine where calls wait beside each other, in a bucket at an endpoint, with the access key of SeaweedFS.
pub fn connect_waiting(endpoint: &str, http: TokioHttp) -> S3Store<TokioHttp, TokioClock> {
    let variables = [
        ("KEYVALUE_S3_ENDPOINT", endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_REGION", "us-east-1"),
        ("KEYVALUE_TIMEOUT_MS", "60000"),
    ];
    S3Store::new(&settings(&variables), http, TokioClock, Ambient { since_1970, random }).unwrap()
}

/// The store at a port with the access key of SeaweedFS, with a time limit in milliseconds.
pub fn store(port: u16, time_limit: &str) -> NativeStore {
    let endpoint = format!("http://127.0.0.1:{port}/keyvalue");
    let variables = [
        ("KEYVALUE_S3_ENDPOINT", &*endpoint),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("KEYVALUE_TIMEOUT_MS", time_limit),
    ];
    S3Store::new(&settings(&variables), StdHttp::default(), SystemClock, Ambient { since_1970, random }).unwrap()
}
