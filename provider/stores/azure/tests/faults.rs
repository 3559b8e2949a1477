//! Faults of the connection and the server. `slow` has them at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnAzure, store};
use kvfuse_core::{Kind, Store, Swap, counter};
use kvfuse_servers::azure::AzureTables;
use kvfuse_servers::faults::{
    a_missing_server, a_server_without_http, every_fault_at_every_nth_byte, replies_byte_by_byte,
};
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::watchdog::Watchdog;
use std::thread;

#[test]
fn a_connection_closed_at_some_byte_is_reported_truthfully() {
    let server = AzureTables::start();
    every_fault_at_every_nth_byte(server.port(), Fault::Close, true, 17, store);
}

#[test]
fn nonsense_at_some_byte_is_reported_truthfully() {
    let server = AzureTables::start();
    every_fault_at_every_nth_byte(server.port(), Fault::Nonsense, true, 17, store);
}

/// Whichever comes first.
#[test]
fn a_server_that_never_stops_sending_is_given_up_at_the_largest_answer_or_the_time_limit() {
    let _watchdog = Watchdog::of_the_test();
    let server = AzureTables::start();
    let proxy = Proxy::start(server.port());
    let bucket = store(proxy.port(), "200").open("b").unwrap();
    wait_until("the store works", || bucket.set("a", b"1").is_ok());
    proxy.plan(Direction::Reply, Fault::BODY, 0);
    let error = bucket.get("a").unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout | Kind::Unavailable), "{error}");
    wait_until("the store works again", || bucket.get("a").is_ok());
    proxy.plan(Direction::Reply, Fault::BODY, 0);
    match bucket.set("a", b"2") {
        // There was time to look it up.
        Ok(()) => assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"2"[..])),
        Err(error) => assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error}"),
    }
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
    let bucket = own.open("b").unwrap();
    wait_until("the first write succeeds", || bucket.set("a", b"1").is_ok());
    own.server.freeze();
    assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
    let error = bucket.set("a", b"2").unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
    assert!(error.message().contains("may or may not have happened"), "{error}");
    own.server.thaw();
    wait_until("it answers again", || bucket.get("a").is_ok());
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
    let _watchdog = Watchdog::of_the_test();
    let mut server = AzureTables::start();
    let port = server.port();
    let number = |value: Option<Vec<u8>>| value.map_or(0, |value| counter::parse(&value).unwrap());
    let counted = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn(move || {
                    let bucket = store(port, "20000").open("b").unwrap();
                    let (mut done, mut unknown) = (0, 0);
                    for round in 0..60 {
                        let counts = (client + round) % 2 == 0;
                        let outcome = if counts {
                            bucket.increment("n", 1, 0).map(|_| true)
                        } else {
                            bucket.snapshot("m").and_then(|seen| {
                                let next = counter::format(number(seen.value) + 1);
                                Ok(bucket.swap("m", &seen.version, &next)? == Swap::Done)
                            })
                        };
                        match outcome {
                            Ok(true) if counts => done += 1,
                            Ok(true) => done += 1000,
                            Ok(false) => {}
                            Err(error) if error.kind() == Kind::OutcomeUnknown => unknown += 1,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    (done, unknown)
                })
            })
            .collect();
        let direct = store(port, "20000").open("b").unwrap();
        for at in [20, 60] {
            wait_until("the clients have counted", || number(direct.get("n").unwrap()) >= at);
            server.stop();
            server.resume();
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let bucket = store(port, "20000").open("b").unwrap();
    let (done, unknown) = counted.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let (counted, swapped) = (done % 1000, done / 1000);
    let n = number(bucket.get("n").unwrap());
    assert!((counted..=counted + unknown).contains(&n), "{counted} done and {unknown} unknown, found {n}");
    let m = number(bucket.get("m").unwrap());
    assert!((swapped..=swapped + unknown).contains(&m), "{swapped} swaps done and {unknown} unknown, found {m}");
}
