//! Faults of an encrypted connection, at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, connect};
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::faults::{every_fault_at_every_byte, replies_byte_by_byte};
use kvfuse_servers::proxy::Fault;
use kvfuse_servers::redis::Redis;
use std::sync::LazyLock;

/// One authority for all: the stores are made by functions that know no more than the port.
static CA: LazyLock<(String, Redis)> = LazyLock::new(|| {
    let authority = Authority::new();
    let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &[]);
    (authority.pem().to_string(), redis)
});

fn store(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("rediss://127.0.0.1:{port}"), &CA.0, &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

#[test]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(CA.1.tls_port(), Fault::Close, true, store);
}

#[test]
fn nonsense_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(CA.1.tls_port(), Fault::Nonsense, true, store);
}

#[test]
fn replies_that_arrive_byte_by_byte_are_read() {
    replies_byte_by_byte(CA.1.tls_port(), store);
}
