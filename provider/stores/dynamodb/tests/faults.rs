//! Faults of the connection and the server; `every_byte.rs` has them at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, OwnDynamoDb, connect};
use kvfuse_core::{Kind, Store, Swap, Version};
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::faults::{
    a_frozen_server, a_missing_server, a_server_without_http, an_answer_without_end, every_fault_at_every_nth_byte,
    replies_byte_by_byte,
};
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::watchdog::Watchdog;
use std::thread;

fn store(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("http://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

#[test]
fn a_connection_closed_at_some_byte_is_reported_truthfully() {
    let server = DynamoDb::start();
    every_fault_at_every_nth_byte(server.port(), Fault::Close, true, 7, store);
}

#[test]
fn nonsense_at_some_byte_is_reported_truthfully() {
    let server = DynamoDb::start();
    every_fault_at_every_nth_byte(server.port(), Fault::Nonsense, true, 7, store);
}

/// Whichever comes first.
#[test]
fn a_server_that_never_stops_sending_is_given_up_at_the_largest_answer_or_the_time_limit() {
    let server = DynamoDb::start();
    an_answer_without_end(server.port(), "200", store, |bucket| bucket.get("a").map(drop));
}

#[test]
fn answers_that_arrive_byte_by_byte_are_read() {
    let server = DynamoDb::start();
    replies_byte_by_byte(server.port(), store);
}

#[test]
fn a_missing_server_is_unavailable() {
    a_missing_server(store);
}

#[test]
fn a_server_other_than_dynamodb_is_reported_as_such() {
    a_server_without_http(store);
}

#[test]
fn a_frozen_server_times_out_and_the_same_instance_goes_on_when_it_thaws() {
    let own = OwnDynamoDb::start(&[("KEYVALUE_TIMEOUT_MS", "300")]);
    a_frozen_server(&*own.open("b").unwrap(), || own.server.freeze(), || own.server.thaw());
}

/// What was lost is looked up by its mark: the write that happened succeeds, and only once.
#[test]
fn a_write_whose_answer_is_lost_is_found_by_its_mark() {
    let _watchdog = Watchdog::of_the_test();
    let server = DynamoDb::start();
    let proxy = Proxy::start(server.port());
    let bucket = store(proxy.port(), "10000").open("b").unwrap();
    let lose = || proxy.plan(Direction::Reply, Fault::Close, 0);
    lose();
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    lose();
    assert_eq!(bucket.increment("a", 1, 0), Ok(2));
    lose();
    let seen = {
        proxy.clear();
        bucket.snapshot("a").unwrap()
    };
    lose();
    assert_eq!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Done));
    lose();
    assert_eq!(bucket.create("b", b"4", None), Ok(true));
    assert!(!proxy.clear(), "the fault was played");
    assert_eq!(bucket.get_many(&["a", "b"]).unwrap(), [Some(b"3".to_vec()), Some(b"4".to_vec())]);
}

/// The server is killed and started again while four clients count. What was acknowledged is there, and what was reported
/// as not done is not.
#[test]
fn a_server_killed_under_load_loses_nothing_that_was_acknowledged() {
    let _watchdog = Watchdog::of_the_test();
    let mut server = DynamoDb::start();
    let port = server.port();
    let counted = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn(move || {
                    let bucket = store(port, "20000").open("b").unwrap();
                    let (mut done, mut unknown) = (0, 0);
                    for round in 0..100 {
                        let outcome = if (client + round) % 2 == 0 {
                            bucket.increment("n", 1, 0).map(|_| ())
                        } else {
                            bucket.snapshot("m").and_then(|seen| {
                                let next = seen.value.map_or(1, |v| kvfuse_core::counter::parse(&v).unwrap() + 1);
                                match bucket.swap("m", &seen.version, &kvfuse_core::counter::format(next))? {
                                    Swap::Done => bucket.increment("swaps", 1, 0).map(|_| ()),
                                    Swap::Conflict(_) => Ok(()),
                                }
                            })
                        };
                        match outcome {
                            Ok(()) if (client + round) % 2 == 0 => done += 1,
                            Ok(()) => {}
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
            let counter = || direct.get("n").ok().flatten().and_then(|value| kvfuse_core::counter::parse(&value));
            wait_until("the clients have counted", || counter().is_some_and(|n| n >= at));
            server.kill();
            server.resume();
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let bucket = store(port, "20000").open("b").unwrap();
    let number = |key: &str| kvfuse_core::counter::parse(&bucket.get(key).unwrap().unwrap()).unwrap();
    let (done, unknown) = counted.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!((done..=done + unknown).contains(&number("n")), "{done} done and {unknown} unknown, found {}", number("n"));
    // Each successful swap added one to the value that it had seen.
    assert!((number("swaps")..=number("swaps") + unknown).contains(&number("m")), "a swap was lost or done twice");
    assert!(matches!(bucket.swap("m", &Version::Absent, b"0"), Ok(Swap::Conflict(_))));
}
