//! Faults of the connection and the server. `slow` has them at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnAzure, store};
use kvfuse_core::{Store, Swap};
use kvfuse_servers::azure::AzureTables;
use kvfuse_servers::faults::{
    a_frozen_server, a_missing_server, a_server_without_http, an_answer_without_end, every_fault_at_every_nth_byte,
    replies_byte_by_byte, restarted_under_load,
};
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::watchdog::Watchdog;

#[test]
fn a_connection_closed_at_some_byte_is_reported_truthfully() {
    let server = AzureTables::start();
    every_fault_at_every_nth_byte(server.port(), Fault::Close, true, 41, store);
}

#[test]
fn nonsense_at_some_byte_is_reported_truthfully() {
    let server = AzureTables::start();
    every_fault_at_every_nth_byte(server.port(), Fault::Nonsense, true, 41, store);
}

/// Whichever comes first.
#[test]
fn a_server_that_never_stops_sending_is_given_up_at_the_largest_answer_or_the_time_limit() {
    let server = AzureTables::start();
    an_answer_without_end(server.port(), "200", store, |bucket| bucket.get("a").map(drop));
}

#[test]
fn answers_that_arrive_byte_by_byte_are_read() {
    let server = AzureTables::start();
    replies_byte_by_byte(server.port(), store);
}

#[test]
fn a_missing_server_is_unavailable() {
    a_missing_server(store);
}

#[test]
fn a_server_other_than_azure_tables_is_reported_as_such() {
    a_server_without_http(store);
}

#[test]
fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
    let own = OwnAzure::start(&[("KEYVALUE_TIMEOUT_MS", "300")]);
    a_frozen_server(&*own.open("b").unwrap(), || own.server.freeze(), || own.server.thaw());
}

/// What was lost is looked up by its mark: the write that happened succeeds, and only once.
#[test]
fn a_write_whose_answer_is_lost_is_found_by_its_mark() {
    let _watchdog = Watchdog::of_the_test();
    let server = AzureTables::start();
    let direct = store(server.port(), "10000").open("b").unwrap();
    let proxy = Proxy::start(server.port());
    let bucket = store(proxy.port(), "10000").open("b").unwrap();
    // Of the next write; what comes before it is a read through another connection.
    let lose = || proxy.plan(Direction::Reply, Fault::Close, 0);
    direct.set("z", b"").unwrap();
    lose();
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    let seen = direct.snapshot("a").unwrap();
    lose();
    assert_eq!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Done));
    lose();
    assert_eq!(bucket.create("b", b"4", None), Ok(true));
    assert!(!proxy.clear(), "the fault was played");
    assert_eq!(bucket.get_many(&["a", "b"]).unwrap(), [Some(b"3".to_vec()), Some(b"4".to_vec())]);
}

/// The server is stopped and started again while four clients count. What was acknowledged is there, and what was reported
/// as not done is not. It is asked to stop, because the emulator keeps its data in memory until then.
#[test]
fn a_server_stopped_under_load_loses_nothing_that_was_acknowledged() {
    let mut server = AzureTables::start();
    restarted_under_load(server.port(), store, || {
        server.stop();
        server.resume();
    });
}
