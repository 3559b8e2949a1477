//! Faults of the connection and the server. `slow` has them at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::store;
use kvfuse_core::{Kind, Store, Swap};
use kvfuse_servers::faults::{
    a_frozen_server, a_missing_server, a_server_without_http, an_answer_without_end, every_fault_at_every_nth_byte,
    replies_byte_by_byte, restarted_under_load,
};
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::s3::S3;
use kvfuse_servers::shared::Shared;
use kvfuse_servers::watchdog::Watchdog;
use std::sync::Arc;

/// For the tests that leave it running.
fn shared() -> Arc<S3> {
    static SERVER: Shared<S3> = Shared::new();
    SERVER.get(S3::seaweedfs)
}

#[test]
fn a_connection_closed_at_some_byte_is_reported_truthfully() {
    every_fault_at_every_nth_byte(shared().port(), Fault::Close, true, 13, store);
}

/// Only where a status line should be: a value is the body of an answer as it is, so nothing in it can be told from nonsense.
#[test]
fn nonsense_instead_of_an_answer_is_reported_truthfully() {
    let _watchdog = Watchdog::of_the_test();
    let server = shared();
    let direct = store(server.port(), "10000").open("nonsense").unwrap();
    let proxy = Proxy::start(server.port());
    let bucket = store(proxy.port(), "10000").open("nonsense").unwrap();
    for byte in 0..9 {
        let value = byte.to_string();
        proxy.plan(Direction::Reply, Fault::Nonsense, byte);
        // The write happened, and is found by its mark.
        assert_eq!(bucket.set("a", value.as_bytes()), Ok(()));
        assert_eq!(direct.get("a").unwrap().as_deref(), Some(value.as_bytes()));
        proxy.plan(Direction::Reply, Fault::Nonsense, byte);
        assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Unavailable);
        assert!(!proxy.clear(), "the fault was played");
    }
}

/// Whichever comes first.
#[test]
fn a_server_that_never_stops_sending_is_given_up_at_the_largest_answer_or_the_time_limit() {
    an_answer_without_end(shared().port(), "300", store, |bucket| bucket.list(None).map(drop));
}

#[test]
fn answers_that_arrive_byte_by_byte_are_read() {
    replies_byte_by_byte(shared().port(), store);
}

#[test]
fn a_missing_server_is_unavailable() {
    a_missing_server(store);
}

#[test]
fn a_server_other_than_s3_is_reported_as_such() {
    a_server_without_http(store);
}

#[test]
fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
    let _watchdog = Watchdog::of_the_test();
    let server = S3::seaweedfs();
    a_frozen_server(&*store(server.port(), "300").open("b").unwrap(), || server.freeze(), || server.thaw());
}

/// What was lost is looked up by its mark: the write that happened succeeds, and only once.
#[test]
fn a_write_whose_answer_is_lost_is_found_by_its_mark() {
    let _watchdog = Watchdog::of_the_test();
    let server = shared();
    let direct = store(server.port(), "10000").open("lost").unwrap();
    let proxy = Proxy::start(server.port());
    let bucket = store(proxy.port(), "10000").open("lost").unwrap();
    // Of the next write; what comes before it is a read through another connection.
    let lose = || proxy.plan(Direction::Reply, Fault::Close, 0);
    lose();
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    let seen = direct.snapshot("a").unwrap();
    lose();
    assert_eq!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Done));
    lose();
    // An empty object has no first byte to ask for.
    assert_eq!(bucket.create("b", b"", None), Ok(true));
    assert!(!proxy.clear(), "the fault was played");
    assert_eq!(bucket.get_many(&["a", "b"]).unwrap(), [Some(b"3".to_vec()), Some(b"".to_vec())]);
}

/// The server is killed and started again while four clients count. What was acknowledged is there, and what was reported as not
/// done is not.
#[test]
fn a_server_killed_under_load_loses_nothing_that_was_acknowledged() {
    let mut server = S3::seaweedfs();
    restarted_under_load(server.port(), store, || {
        server.kill();
        server.resume();
    });
}
