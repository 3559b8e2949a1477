//! The requests of the bare exchanges and of the native clients: byte for byte what the providers send for the same
//! operation.

use crate::key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Keys of a batch.
pub const BATCH: usize = 100;
/// Bytes of a value.
const VALUE: usize = 100;

/// A request over a connection, and the length of its answer in bytes.
pub struct Exchange {
    pub request: Vec<u8>,
    pub answer: usize,
}

fn command(words: &[String]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    text.into_bytes()
}

fn value() -> String {
    "v".repeat(VALUE)
}

/// One key, or a batch of them.
pub fn redis(operation: &str) -> Exchange {
    let keys = |count| (0..count).map(|n| format!("default:{}", key(n)));
    let pairs = |count| keys(count).flat_map(|key| [key, value()]);
    let one = |name: &str, rest: Vec<String>| command(&[vec![name.to_string()], rest].concat());
    let (found, ok) = (VALUE + "$100\r\n\r\n".len(), "+OK\r\n".len());
    match operation {
        "get" => Exchange { request: one("GET", keys(1).collect()), answer: found },
        "set" => Exchange { request: one("SET", pairs(1).collect()), answer: ok },
        "get-many" => {
            Exchange { request: one("MGET", keys(BATCH).collect()), answer: "*100\r\n".len() + BATCH * found }
        }
        "set-many" => Exchange { request: one("MSET", pairs(BATCH).collect()), answer: ok },
        other => panic!("no operation {other:?}"),
    }
}

/// The same for Memcached.
pub fn memcached(operation: &str) -> Exchange {
    let many = |count, command: &dyn Fn(usize) -> String| (0..count).map(command).collect::<String>().into_bytes();
    let get = |n| format!("mg default:{} v\r\n", key(n));
    let set = |n| format!("ms default:{} {VALUE}\r\n{}\r\n", key(n), value());
    let (found, done) = (VALUE + "VA 100\r\n\r\n".len(), "HD\r\n".len());
    match operation {
        "get" => Exchange { request: many(1, &get), answer: found },
        "set" => Exchange { request: many(1, &set), answer: done },
        "get-many" => Exchange { request: many(BATCH, &get), answer: BATCH * found },
        "set-many" => Exchange { request: many(BATCH, &set), answer: BATCH * done },
        other => panic!("no operation {other:?}"),
    }
}

/// A path of etcd's JSON gateway and a body for it.
pub struct Etcd {
    pub path: &'static str,
    pub body: String,
}

/// One key, or a batch of them.
pub fn etcd(operation: &str) -> Etcd {
    let field = |n| format!(r#""key":"{}""#, STANDARD.encode(format!("keyvalue/default/{}", key(n))));
    let range = |n| format!("{{{}}}", field(n));
    let put = |n| format!(r#"{{{},"value":"{}"}}"#, field(n), STANDARD.encode(value()));
    let batch = |name: &str, part: &dyn Fn(usize) -> String| {
        let parts: Vec<String> = (0..BATCH).map(|n| format!(r#"{{"{name}":{}}}"#, part(n))).collect();
        format!(r#"{{"success":[{}]}}"#, parts.join(","))
    };
    match operation {
        "get" => Etcd { path: "/v3/kv/range", body: range(7) },
        "set" => Etcd { path: "/v3/kv/put", body: put(7) },
        "get-many" => Etcd { path: "/v3/kv/txn", body: batch("request_range", &range) },
        "set-many" => Etcd { path: "/v3/kv/txn", body: batch("request_put", &put) },
        other => panic!("no operation {other:?}"),
    }
}
