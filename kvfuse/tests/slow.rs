//! A watch whose reader does not read for a while: it is behind, and takes no more memory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use serde_json::Value;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use support::Folder;
use support::data::{bucket, peak, start};

/// What is written while nobody reads, in bytes.
const WRITTEN: usize = 160 << 20;
/// What the watch may take for it: a few answers of 4 MiB, as the store has them and as text.
const TAKEN: u64 = 64 << 20;

/// Watches, does not read while `write` writes keys, and then reads until all of them have come.
fn behind(folder: &Folder, store: &str, write: impl FnOnce() -> HashSet<String>) {
    folder.kvfuse(&["kv", "put", "first", "1", "--store", store]).ok();
    let words = ["kv", "watch", "--store", store, "--json", "--from", "beginning"];
    let mut child = start(folder, &words, Stdio::piped());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut keys = lines.filter_map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        Some(line.get("set")?.as_str()?.to_string())
    });
    assert_eq!(keys.next().as_deref(), Some("first"));
    let before = peak(&child);
    let mut missing = write();
    while !missing.is_empty() {
        missing.remove(&keys.next().expect("it goes on"));
    }
    let taken = peak(&child) - before;
    println!("{store}: {taken} bytes more than {before}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(taken < TAKEN, "{taken} bytes more than {before}");
}

#[test]
fn who_does_not_read_the_changes_of_files_is_behind_and_no_more() {
    let folder = Folder::new();
    behind(&folder, "files:data", || {
        let bucket = bucket(&folder, "data", "default");
        let (mut keys, mut written) = (HashSet::new(), 0);
        while written < WRITTEN {
            // In the segments, and in files of their own.
            let size = if keys.len().is_multiple_of(2) { 60 << 10 } else { 200 << 10 };
            let key = format!("key {}", keys.len());
            bucket.set(&key, &vec![b'x'; size]).unwrap();
            keys.insert(key);
            written += size;
        }
        keys
    });
}

#[test]
#[ignore = "long: make test-long"]
fn who_does_not_read_the_changes_in_etcd_is_behind_and_no_more() {
    let folder = Folder::new();
    let etcd = Etcd::start(1, &[]);
    behind(&folder, &format!("etcd:{}", etcd.endpoints()), || {
        let value = BASE64_STANDARD.encode(vec![b'x'; 1 << 20]);
        let put = |n: usize| {
            let key = BASE64_STANDARD.encode(format!("keyvalue/default/key {n}"));
            etcd.post("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}"}}"#));
            format!("key {n}")
        };
        (0..WRITTEN >> 20).map(put).collect()
    });
}

/// The server names keys, so these are what is long.
#[test]
#[ignore = "long: make test-long"]
fn who_does_not_read_the_changes_in_redis_is_behind_and_no_more() {
    let folder = Folder::new();
    let redis = Redis::start(&["--appendonly", "no"]);
    behind(&folder, &redis.url(), || {
        let mut connection = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        let long = "k".repeat(64 << 10);
        let put = |n: usize| {
            let key = format!("{long}{n}");
            let length = key.len() + 8;
            write!(connection, "*3\r\n$3\r\nSET\r\n${length}\r\ndefault:{key}\r\n$1\r\n1\r\n").unwrap();
            connection.read_exact(&mut [0; 5]).unwrap();
            key
        };
        (0..WRITTEN >> 16).map(put).collect()
    });
}
