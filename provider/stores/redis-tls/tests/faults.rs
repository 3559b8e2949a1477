//! Faults of an encrypted connection, at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, connect};
use kvfuse_core::{Bucket, Kind, Store};
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::faults::{a_missing_server, every_fault_at_every_byte, killed_under_load, replies_byte_by_byte};
use kvfuse_servers::net::{Connection, StdNetwork};
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::settings;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tls::{CA, Tls, Trust};
use kvfuse_transport::clock::Clock;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

/// One authority for all: the stores are made by functions that know no more than the port.
static AUTHORITY: LazyLock<(String, std::sync::Mutex<Authority>)> = LazyLock::new(|| {
    let authority = Authority::new();
    (authority.pem().to_string(), std::sync::Mutex::new(authority))
});

fn start(arguments: &[&str]) -> Redis {
    Redis::start_tls(&AUTHORITY.1.lock().unwrap().certificate("127.0.0.1"), arguments)
}

fn store(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("rediss://127.0.0.1:{port}"), &AUTHORITY.0, &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn open(port: u16, time_limit: &str) -> Rc<dyn Bucket> {
    store(port, time_limit).open("b").unwrap()
}

/// In each version: the server, a proxy before it, and the number of bytes that it sends in a handshake, at the least.
fn handshakes(mut each: impl FnMut(&Redis, &Proxy, usize)) {
    let _watchdog = Watchdog::of_the_test();
    for version in ["TLSv1.3", "TLSv1.2"] {
        let redis = start(&["--tls-protocols", version]);
        redis.command(&["SET", "b:a", "1"]);
        let proxy = Proxy::start(redis.tls_port());
        let trust = Trust::from_settings(&settings(&[(CA, &AUTHORITY.0)])).unwrap();
        let deadline = SystemClock.now() + Duration::from_secs(10);
        Connection::open(&Tls::new(StdNetwork::default(), Some(trust)), "127.0.0.1", proxy.port(), deadline).unwrap();
        // A signature may be some bytes shorter the next time.
        let length = proxy.count().1 - 10;
        assert!(length > 500, "{length}");
        each(&redis, &proxy, length);
    }
}

#[test]
fn a_connection_closed_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(start(&[]).tls_port(), Fault::Close, true, store);
}

#[test]
fn nonsense_at_any_byte_is_reported_truthfully() {
    every_fault_at_every_byte(start(&[]).tls_port(), Fault::Nonsense, true, store);
}

#[test]
fn replies_that_arrive_byte_by_byte_are_read() {
    replies_byte_by_byte(start(&[]).tls_port(), store);
}

#[test]
fn a_missing_server_is_unavailable() {
    a_missing_server(store);
}

#[test]
fn a_handshake_that_is_closed_at_any_byte_is_done_again() {
    handshakes(|redis, proxy, length| {
        for byte in 0..length {
            proxy.plan(Direction::Reply, Fault::Close, byte);
            let bucket = open(proxy.port(), "10000");
            // Nothing was sent before the server was verified, so a write is as safe as a read.
            bucket.set("a", b"1").unwrap_or_else(|error| panic!("closed at byte {byte}: {error}"));
            assert!(!proxy.clear(), "the fault at byte {byte} was not played");
        }
        assert_eq!(redis.command(&["GET", "b:a"]), "1");
    });
}

#[test]
fn nonsense_at_any_byte_of_the_handshake_is_an_error_and_nothing_was_written() {
    handshakes(|redis, proxy, length| {
        for byte in 0..length {
            proxy.plan(Direction::Reply, Fault::Nonsense, byte);
            if let Err(error) = open(proxy.port(), "10000").set("a", b"2") {
                assert_eq!(error.kind(), Kind::Unavailable, "at byte {byte}: {error}");
                assert_eq!(redis.command(&["GET", "b:a"]), "1", "at byte {byte}: {error}");
            }
            assert!(!proxy.clear(), "the fault at byte {byte} was not played");
            redis.command(&["SET", "b:a", "1"]);
        }
    });
}

#[test]
fn a_handshake_that_stops_at_any_byte_costs_the_time_limit_and_no_more() {
    handshakes(|redis, _, length| {
        // It mostly waits, so it is done in parallel.
        thread::scope(|scope| {
            for lane in 0..16 {
                scope.spawn(move || {
                    let mut bytes = (lane * 13..length).step_by(16 * 13).peekable();
                    while let Some(byte) = bytes.peek() {
                        // What is late on an old connection must not meet the next plan.
                        let proxy = Proxy::start(redis.tls_port());
                        proxy.plan(Direction::Reply, Fault::Hang, *byte);
                        let error = open(proxy.port(), "500").set("a", b"2").unwrap_err();
                        assert_eq!(error.kind(), Kind::Timeout, "at byte {byte}: {error}");
                        // Otherwise it timed out before the fault: once more.
                        if !proxy.clear() {
                            bytes.next();
                        }
                    }
                });
            }
        });
        assert_eq!(redis.command(&["GET", "b:a"]), "1");
    });
}

#[test]
fn a_server_that_accepts_and_says_nothing_costs_the_time_limit_and_the_error_names_the_tls_port() {
    let _watchdog = Watchdog::of_the_test();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let error = open(listener.local_addr().unwrap().port(), "200").get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.message().contains("TLS handshake") && error.message().contains("TLS port"), "{error}");
}

/// Each wait is short, and their sum is not: what counts is the time limit of the whole.
#[test]
fn a_handshake_that_arrives_byte_by_byte_without_an_end_costs_the_time_limit_and_no_more() {
    let _watchdog = Watchdog::of_the_test();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let dripping = thread::spawn(move || {
        let mut client = listener.accept().unwrap().0;
        let mut hello = [0; 64];
        client.read_exact(&mut hello).unwrap();
        // The longest message that a handshake may have, in records of one byte each.
        let message = [2, 0, 0xff, 0xff].into_iter().chain(std::iter::repeat(0));
        let mut dripped = 0;
        for byte in message {
            if client.write_all(&[22, 3, 3, 0, 1, byte]).is_err() {
                break;
            }
            dripped += 1;
            thread::sleep(Duration::from_millis(10));
        }
        dripped
    });
    let error = open(port, "500").get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    assert!(dripping.join().unwrap() > 5, "it waited while bytes came");
}

#[test]
fn the_store_reconnects_to_a_restarted_server_without_an_error() {
    let _watchdog = Watchdog::of_the_test();
    let mut redis = start(&[]);
    let bucket = open(redis.tls_port(), "10000");
    bucket.set("a", b"1").unwrap();
    redis.restart();
    // A write: if it were sent on the old connection, its outcome would be unknown.
    bucket.set("b", b"2").unwrap();
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
    let _watchdog = Watchdog::of_the_test();
    let redis = start(&[]);
    let bucket = open(redis.tls_port(), "200");
    wait_until("the store works", || bucket.set("a", b"1").is_ok());
    redis.freeze();
    assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
    // The handshake of the new connection hangs, so the increment was not sent.
    assert_eq!(bucket.increment("counter", 1, i64::MIN).unwrap_err().kind(), Kind::Timeout);
    redis.thaw();
    wait_until("the server answers again", || bucket.get("a").is_ok());
    assert_eq!(bucket.get("counter").unwrap(), None);
}

#[test]
fn counters_are_exact_but_for_unknown_outcomes_when_the_server_is_killed_under_load() {
    let mut redis = start(&[]);
    let port = redis.tls_port();
    killed_under_load(&mut redis, port, store);
}
