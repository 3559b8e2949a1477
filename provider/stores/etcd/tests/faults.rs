//! Faults of the connection and the server, at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, OwnEtcd, connect};
use kvfuse_core::{Kind, Store};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::faults::{
    a_missing_server, a_server_that_never_stops_sending, a_server_without_http, every_fault_at_every_byte,
    replies_byte_by_byte,
};
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::watchdog::Watchdog;

fn store(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("http://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn with_login(port: u16) -> NativeStore {
    let login = [("KEYVALUE_ETCD_USERNAME", "root"), ("KEYVALUE_ETCD_PASSWORD", "hunter1")];
    connect(&format!("http://127.0.0.1:{port}"), &login)
}

#[test]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(Etcd::start(1, &[]).ports()[0], Fault::Close, true, store);
}

#[test]
fn nonsense_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(Etcd::start(1, &[]).ports()[0], Fault::Nonsense, true, store);
}

#[test]
fn a_server_that_hangs_at_any_byte_times_out_and_is_reported_truthfully() {
    every_fault_at_every_byte(Etcd::start(1, &[]).ports()[0], Fault::Hang, true, store);
}

#[test]
fn a_server_that_never_stops_sending_costs_the_time_limit_and_no_more() {
    a_server_that_never_stops_sending(Etcd::start(1, &[]).ports()[0], Fault::BODY, store);
}

#[test]
fn answers_that_arrive_byte_by_byte_are_read() {
    replies_byte_by_byte(Etcd::start(1, &[]).ports()[0], store);
}

#[test]
fn a_login_cut_off_at_any_byte_is_repeated() {
    let _watchdog = Watchdog::of_the_test();
    let mut etcd = Etcd::start(1, &[]);
    etcd.enable_logins();
    let proxy = Proxy::start(etcd.ports()[0]);
    // The login request has about 180 bytes, its answer about 250.
    for direction in [Direction::Request, Direction::Reply] {
        for byte in (0..250).step_by(10) {
            proxy.plan(direction, Fault::Close, byte);
            assert_eq!(with_login(proxy.port()).open("b").unwrap().get("a"), Ok(None), "{direction:?} {byte}");
            proxy.clear();
        }
    }
}

#[test]
fn a_missing_server_is_unavailable() {
    a_missing_server(store);
}

#[test]
fn a_server_other_than_etcd_is_reported_as_such() {
    a_server_without_http(store);
}

#[test]
fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
    let own = OwnEtcd::start(1, &[], &[("KEYVALUE_TIMEOUT_MS", "300")]);
    let bucket = own.open("b").unwrap();
    wait_until("the first write succeeds", || bucket.set("a", b"1").is_ok());
    own.server.freeze(0);
    assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
    let error = bucket.set("a", b"2").unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
    assert!(error.message().contains("may or may not have happened"), "{error}");
    own.server.thaw(0);
    wait_until("etcd answers again", || bucket.get("a").is_ok());
}
