//! Faults of the connection and the server, at every byte, but for those that take 200 ms each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::store;
use kvfuse_servers::azure::AzureTables;
use kvfuse_servers::faults::{every_fault_at_every_byte, every_hang_at_every_nth_byte};
use kvfuse_servers::proxy::Fault;

#[test]
#[ignore = "takes a minute: the emulator's answers have many headers"]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    let server = AzureTables::start();
    every_fault_at_every_byte(server.port(), Fault::Close, true, store);
}

#[test]
#[ignore = "takes half a minute: the emulator's answers have many headers"]
fn nonsense_at_any_byte_is_reported_truthfully() {
    let server = AzureTables::start();
    every_fault_at_every_byte(server.port(), Fault::Nonsense, true, store);
}

#[test]
#[ignore = "takes minutes, nearly all of them waiting: 200 ms at every seventh byte"]
fn a_server_that_hangs_at_some_byte_times_out_and_is_reported_truthfully() {
    let server = AzureTables::start();
    every_hang_at_every_nth_byte(server.port(), 7, store);
}
