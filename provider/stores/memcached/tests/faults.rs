//! Faults of the connection and the server, at every byte, in both worlds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, Own, WaitingStore, connect, connect_waiting};
use kvfuse_core::{Kind, Store, Swap};
use kvfuse_servers::faults::{a_missing_server, every_fault_at_every_byte, replies_byte_by_byte};
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::waiting::Blocking;
use kvfuse_servers::watchdog::Watchdog;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

fn plain(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn waiting(port: u16, time_limit: &str) -> Blocking<WaitingStore> {
    let variables = [("KEYVALUE_TIMEOUT_MS", time_limit)];
    Blocking::new(connect_waiting(&format!("127.0.0.1:{port}"), &variables, Default::default()))
}

#[test]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(Memcached::start(&[]).port(), Fault::Close, true, plain);
}

#[test]
fn a_connection_closed_at_any_byte_is_reported_truthfully_where_calls_wait() {
    every_fault_at_every_byte(Memcached::start(&[]).port(), Fault::Close, true, waiting);
}

#[test]
fn nonsense_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(Memcached::start(&[]).port(), Fault::Nonsense, true, plain);
}

#[test]
fn a_server_that_hangs_at_any_byte_times_out_and_is_reported_truthfully() {
    every_fault_at_every_byte(Memcached::start(&[]).port(), Fault::Hang, true, plain);
}

#[test]
fn a_handshake_that_is_cut_anywhere_does_nothing_and_is_tried_again() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let proxy = Proxy::start(server.port());
    // All of it is some 4000 bytes; those at its beginning and at its end are looked at one by one.
    for byte in (0..40).chain((40..3600).step_by(211)) {
        proxy.plan(Direction::Reply, Fault::Close, byte);
        plain(proxy.port(), "10000").open("b").unwrap().increment("counter", 1, 0).unwrap();
        assert!(!proxy.clear(), "the handshake is longer than {byte} bytes");
        proxy.plan(Direction::Reply, Fault::Nonsense, byte);
        let error = plain(proxy.port(), "10000").open("b").unwrap().increment("counter", 1, 0).unwrap_err();
        assert!(matches!(error.kind(), Kind::Unavailable | Kind::Unsupported), "at byte {byte}: {error}");
    }
    let counted = 40 + (40..3600).step_by(211).count();
    assert_eq!(server.command("mg b:counter v"), counted.to_string());
}

#[test]
fn replies_that_arrive_byte_by_byte_are_read() {
    replies_byte_by_byte(Memcached::start(&[]).port(), plain);
}

#[test]
fn a_missing_server_is_unavailable() {
    a_missing_server(plain);
}

#[test]
fn a_server_that_does_not_speak_the_protocol_is_reported_as_such() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let proxy = Proxy::start(server.port());
    proxy.plan(Direction::Reply, Fault::Nonsense, 0);
    let error = plain(proxy.port(), "5000").open("b").unwrap().get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("does not speak Memcached's text protocol"), "{error}");
}

#[test]
fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
    let own = Own::on(vec![Memcached::start(&[])], &[("KEYVALUE_TIMEOUT_MS", "200")]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    own.servers[0].freeze();
    assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
    // The handshake of the new connection hangs, so it was not sent.
    assert_eq!(bucket.set("a", b"2").unwrap_err().kind(), Kind::Timeout);
    own.servers[0].thaw();
    wait_until("the server answers again", || bucket.get("a").is_ok());
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_write_whose_answer_is_lost_is_reported_as_unknown() {
    let own = Own::on(vec![Memcached::start(&[])], &[("KEYVALUE_TIMEOUT_MS", "200")]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    own.servers[0].freeze();
    let error = bucket.set("a", b"2").unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
    assert!(error.message().contains("may or may not have happened"), "{error}");
    own.servers[0].thaw();
    wait_until("the server has read what was sent", || own.servers[0].command("mg b:a v") == "2");
}

#[test]
fn a_restarted_server_is_empty_and_the_store_goes_on_without_an_error() {
    let mut own = Own::start(&[]);
    let bucket = own.open("b").unwrap();
    bucket.increment("counter", 7, 0).unwrap();
    own.servers[0].restart();
    // If it were sent on the old connection, its outcome would be unknown.
    bucket.set("other", b"1").unwrap();
    assert_eq!(bucket.increment("counter", 1, 0), Ok(1), "it starts anew");
    own.servers[0].restart();
    assert_eq!(bucket.get("counter"), Ok(None));
}

#[test]
fn a_version_from_before_a_restart_conflicts_even_if_the_new_process_gives_the_same_number() {
    let mut own = Own::start(&[]);
    let bucket = own.open("b").unwrap();
    bucket.set("key", b"1").unwrap();
    let before = bucket.snapshot("key").unwrap();
    own.servers[0].restart();
    bucket.set("key", b"2").unwrap();
    let after = bucket.snapshot("key").unwrap();
    let number = |text: String| text.chars().skip(text.len() - 16).collect::<String>();
    let [old, new] = [&before, &after].map(|seen| bucket.version_text("key", &seen.version));
    assert_ne!(old, new);
    assert_eq!(number(old), number(new), "Memcached counts from the beginning");
    assert_eq!(bucket.swap("key", &before.version, b"3"), Ok(Swap::Conflict(after.clone())));
    assert_eq!(bucket.swap("key", &after.version, b"3"), Ok(Swap::Done));
}

/// Memcached forgets everything, so only what was counted since the last restart is there.
#[test]
fn counters_of_the_last_process_are_exact_but_for_unknown_outcomes_when_the_server_is_killed_under_load() {
    let _watchdog = Watchdog::of_the_test();
    let mut server = Memcached::start(&[]);
    let port = server.port();
    let (stop, epoch, done) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let counted = thread::scope(|scope| {
        let work = || {
            let bucket = plain(port, "5000").open("b").unwrap();
            let mut counted = Vec::new();
            while !stop.load(SeqCst) {
                let begun = epoch.load(SeqCst);
                let sum = bucket.increment("counter", 1, 0);
                if let Err(error) = &sum {
                    assert!(matches!(error.kind(), Kind::OutcomeUnknown | Kind::Unavailable), "{error}");
                }
                counted.push((begun, epoch.load(SeqCst), sum));
                done.fetch_add(1, SeqCst);
            }
            counted
        };
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        for round in 1..=3 {
            wait_until("the load goes on", || done.load(SeqCst) > round * 200);
            epoch.fetch_add(1, SeqCst);
            server.restart();
            epoch.fetch_add(1, SeqCst);
        }
        wait_until("the load goes on", || done.load(SeqCst) > 1000);
        stop.store(true, SeqCst);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let last = epoch.load(SeqCst);
    let value = plain(port, "5000").open("b").unwrap().increment("counter", 0, 0).unwrap();
    let may_count = |sum: &Result<i64, kvfuse_core::Error>| match sum {
        Ok(_) => true,
        Err(error) => error.kind() == Kind::OutcomeUnknown,
    };
    let known = counted.iter().filter(|(begun, _, sum)| *begun == last && sum.is_ok()).count() as i64;
    // The last process may have served some before its start was over.
    let possible = counted.iter().filter(|(_, ended, sum)| *ended + 1 >= last && may_count(sum)).count() as i64;
    assert!(known <= value && value <= possible, "{known} known, {possible} possible, and the counter is {value}");
    for epoch in (0..=last).step_by(2) {
        let inside = counted.iter().filter(|(begun, ended, _)| *begun == epoch && *ended == epoch);
        let sums: Vec<_> = inside.filter_map(|(.., sum)| sum.as_ref().ok()).collect();
        assert_eq!(sums.iter().collect::<HashSet<_>>().len(), sums.len(), "two increments gave the same sum");
    }
}
