//! Faults of the connection at every byte, but for those that take 200 ms each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, connect};
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::faults::{every_fault_at_every_byte, every_hang_at_every_nth_byte};
use kvfuse_servers::proxy::Fault;

fn store(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("http://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

#[test]
#[ignore = "takes a minute of computing"]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    let server = DynamoDb::start();
    every_fault_at_every_byte(server.port(), Fault::Close, true, store);
}

#[test]
#[ignore = "takes a minute of computing"]
fn nonsense_at_any_byte_is_reported_truthfully() {
    let server = DynamoDb::start();
    every_fault_at_every_byte(server.port(), Fault::Nonsense, true, store);
}

#[test]
#[ignore = "takes minutes, nearly all of them waiting: 200 ms at every fifth byte"]
fn a_server_that_hangs_at_some_byte_times_out_and_is_reported_truthfully() {
    let server = DynamoDb::start();
    every_hang_at_every_nth_byte(server.port(), 5, store);
}
