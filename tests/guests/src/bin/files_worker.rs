//! One of several instances on one directory: `files_worker NUMBER TIMES`. It prints what the store told it:
//!
//! ```text
//! + N      the shared counter is now N
//! = I V    its own key I is about to be set to V
//! ! I V    it was set
//! ```
//! `files_worker check` prints all keys with their values. `files_worker fill KEYS` sets this number of keys, reads all
//! of them back, and prints how many are listed.

wit_bindgen::generate!({ path: "../../wit/draft", world: "wasi:keyvalue/imports@0.2.0-draft" });

use std::collections::HashMap;
use std::io::Write as _;
use wasi::keyvalue::atomics;
use wasi::keyvalue::store::{self, Bucket};

/// Keys of each worker.
const KEYS: u64 = 40;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("someone listens");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let bucket = store::open("").expect("the bucket opens");
    if arguments[1] == "check" {
        return check(&bucket);
    }
    if arguments[1] == "fill" {
        return fill(&bucket, arguments[2].parse().unwrap());
    }
    let (number, times): (u64, u64) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
    // A worker that replaces a killed one continues from its values.
    let mut last: HashMap<u64, Vec<u8>> = HashMap::new();
    for n in 0..KEYS {
        if let Some(value) = bucket.get(&format!("worker {number} key {n}")).unwrap() {
            last.insert(n, value);
        }
    }
    let start = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
    for time in 0..times {
        say(&format!("+ {}\n", atomics::increment(&bucket, "counter", 1).expect("counts")));
        let n = time % KEYS;
        let key = format!("worker {number} key {n}");
        assert_eq!(bucket.get(&key).unwrap().as_ref(), last.get(&n), "{key} is not what this worker set");
        let value = format!("{start:016x}-{time:08}{}", ".".repeat((time * 37 % 400) as usize)).into_bytes();
        let text = String::from_utf8_lossy(&value).into_owned();
        say(&format!("= {n} {text}\n"));
        bucket.set(&key, &value).expect("sets");
        say(&format!("! {n} {text}\n"));
        last.insert(n, value);
    }
}

fn fill(bucket: &Bucket, keys: usize) {
    // Large enough that a few thousand of them split the first segment.
    let value = |n: usize| vec![n as u8; 4000];
    for n in 0..keys {
        bucket.set(&format!("key {n}"), &value(n)).expect("sets");
    }
    for n in 0..keys {
        assert_eq!(bucket.get(&format!("key {n}")).expect("gets"), Some(value(n)), "key {n}");
    }
    let (mut listed, mut cursor) = (0, None);
    loop {
        let page = bucket.list_keys(cursor).expect("lists");
        listed += page.keys.len();
        cursor = page.cursor;
        if cursor.is_none() {
            return say(&format!("{listed}\n"));
        }
    }
}

fn check(bucket: &Bucket) {
    let mut cursor = None;
    let mut keys = Vec::new();
    loop {
        let page = bucket.list_keys(cursor).expect("lists");
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    for key in keys {
        let value = bucket.get(&key).expect("reads").expect("a listed key exists");
        say(&format!("{key}: {}\n", String::from_utf8_lossy(&value)));
    }
}
