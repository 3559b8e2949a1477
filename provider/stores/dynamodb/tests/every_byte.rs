//! Faults of the connection at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, connect};
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::faults::every_fault_at_every_byte;
use kvfuse_servers::proxy::Fault;

fn play(fault: Fault) {
    let server = DynamoDb::start();
    every_fault_at_every_byte(server.port(), fault, true, |port, time_limit| -> NativeStore {
        connect(&format!("http://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
    });
}

#[test]
#[ignore = "takes a minute of computing"]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    play(Fault::Close);
}

#[test]
#[ignore = "takes a minute of computing"]
fn nonsense_at_any_byte_is_reported_truthfully() {
    play(Fault::Nonsense);
}

#[test]
#[ignore = "takes minutes, nearly all of them waiting: 200 ms at each byte"]
fn a_server_that_hangs_at_any_byte_times_out_and_is_reported_truthfully() {
    play(Fault::Hang);
}
