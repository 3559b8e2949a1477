//! Faults of the connection at every byte, in either world.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use kvfuse_core::Store;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::faults::every_fault_at_every_byte;
use kvfuse_servers::proxy::Fault;
use kvfuse_servers::waiting::Blocking;

fn plain(port: u16, time_limit: &str) -> common::NativeStore {
    common::connect(&format!("http://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn waiting(port: u16, time_limit: &str) -> Blocking<common::WaitingStore> {
    let endpoint = format!("http://127.0.0.1:{port}");
    Blocking::new(common::connect_waiting(&endpoint, &[("KEYVALUE_TIMEOUT_MS", time_limit)], Default::default()))
}

fn play<S: Store>(fault: Fault, make: fn(u16, &str) -> S) {
    every_fault_at_every_byte(Etcd::start(1, &[]).ports()[0], fault, true, make);
}

#[test]
#[ignore = "takes a minute of computing"]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    play(Fault::Close, plain);
    play(Fault::Close, waiting);
}

#[test]
#[ignore = "takes a minute of computing"]
fn nonsense_at_any_byte_is_reported_truthfully() {
    play(Fault::Nonsense, plain);
    play(Fault::Nonsense, waiting);
}

#[test]
#[ignore = "takes minutes, nearly all of them waiting: 200 ms at each byte"]
fn a_server_that_hangs_at_any_byte_times_out_and_is_reported_truthfully() {
    play(Fault::Hang, plain);
    play(Fault::Hang, waiting);
}
