//! Faults of the connection and the server, at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, OwnRedis, connect, faults};
use kvfuse_core::{Kind, Store};
use kvfuse_servers::faults::killed_under_load;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;

fn prefix(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("redis://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn hash(port: u16, time_limit: &str) -> NativeStore {
    let variables = [("KEYVALUE_REDIS_LAYOUT", "hash"), ("KEYVALUE_TIMEOUT_MS", time_limit)];
    connect(&format!("redis://127.0.0.1:{port}"), &variables)
}

faults!(prefix, hash);

#[test]
fn a_connection_closed_at_any_byte_is_reported_truthfully_without_scripts() {
    every_fault_at_every_byte(Redis::start(&["--rename-command", "EVAL", ""]).port(), Fault::Close, true, prefix);
}

#[test]
fn nonsense_at_any_byte_of_the_handshake_is_reported_truthfully() {
    every_fault_at_every_byte(Redis::start(&[]).port(), Fault::Nonsense, false, prefix);
}

#[test]
fn a_server_that_does_not_speak_the_protocol_is_reported_as_such() {
    let _watchdog = Watchdog::of_the_test();
    // The proxy sends nonsense from the first byte on.
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    proxy.plan(Direction::Reply, Fault::Nonsense, 0);
    let error = prefix(proxy.port(), "5000").open("b").unwrap().get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("does not speak the Redis protocol"), "{error}");
}

#[test]
fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
    let own = OwnRedis::start(&[], &[("KEYVALUE_TIMEOUT_MS", "200")]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    own.server.freeze();
    assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
    let error = bucket.increment("counter", 1, i64::MIN).unwrap_err();
    // The handshake of the new connection hangs, so the increment was not sent.
    assert_eq!(error.kind(), Kind::Timeout);
    own.server.thaw();
    wait_until("the server answers again", || bucket.get("a").is_ok());
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn an_increment_whose_answer_is_lost_is_reported_as_unknown() {
    let own = OwnRedis::start(&[], &[("KEYVALUE_TIMEOUT_MS", "200")]);
    let bucket = own.open("b").unwrap();
    assert_eq!(bucket.increment("counter", 1, i64::MIN), Ok(1));
    own.server.freeze();
    let error = bucket.increment("counter", 1, i64::MIN).unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
    assert!(error.message().contains("may or may not have happened"), "{error}");
    own.server.thaw();
    wait_until("the server has read what was sent", || own.server.command(&["GET", "b:counter"]) == "2");
}

#[test]
fn the_store_reconnects_to_a_restarted_server_without_an_error() {
    let mut own = OwnRedis::start(&[], &[]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    own.server.restart();
    // A write: if it were sent on the old connection, its outcome would be unknown.
    bucket.set("b", b"2").unwrap();
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    own.server.restart();
    assert_eq!(bucket.increment("counter", 1, 0), Ok(1));
}

#[test]
fn a_swap_across_a_restart_conflicts_and_then_succeeds() {
    let mut own = OwnRedis::start(&[], &[]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    let seen = bucket.snapshot("a").unwrap();
    own.server.restart();
    let kvfuse_core::Swap::Conflict(now) = bucket.swap("a", &seen.version, b"2").unwrap() else {
        panic!("whether the key was written meanwhile is unknown");
    };
    assert_eq!(now.value.as_deref(), Some(&b"1"[..]));
    assert_eq!(bucket.swap("a", &now.version, b"2"), Ok(kvfuse_core::Swap::Done));
}

#[test]
fn counters_are_exact_but_for_unknown_outcomes_when_the_server_is_killed_under_load() {
    let mut redis = Redis::start(&[]);
    let port = redis.port();
    killed_under_load(&mut redis, port, prefix);
}
