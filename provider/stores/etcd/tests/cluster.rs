//! Clusters of three members, some of which fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnEtcd, connect};
use kvfuse_core::{Bucket, Kind, Store, Swap};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_suite::swaps::add_one_by_swaps;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

#[derive(Default)]
struct Tally {
    acknowledged: Vec<String>,
    known: i64,
    unknown: i64,
}

/// Sets keys and increments a counter until told to stop. Returns what was acknowledged.
fn load(bucket: &dyn Bucket, name: usize, stop: &AtomicBool, progress: &AtomicUsize) -> Tally {
    let mut tally = Tally::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{name} {n}");
        match bucket.set(&key, key.as_bytes()) {
            Ok(()) => tally.acknowledged.push(key),
            Err(error) => {
                assert!(matches!(error.kind(), Kind::OutcomeUnknown | Kind::Unavailable | Kind::Timeout), "{error:?}")
            }
        }
        match bucket.increment("counter", 1, 0) {
            Ok(_) => tally.known += 1,
            Err(error) if error.kind() == Kind::OutcomeUnknown => tally.unknown += 1,
            Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Timeout), "{error:?}"),
        }
        progress.fetch_add(1, Ordering::Relaxed);
    }
    tally
}

#[test]
fn nothing_acknowledged_is_missing_and_counters_are_exact_when_leaders_are_killed_under_load() {
    let _watchdog = Watchdog::of_the_test();
    let mut etcd = Etcd::start(3, &[]);
    let (stop, progress) = (AtomicBool::new(false), AtomicUsize::new(0));
    let endpoints = etcd.endpoints();
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|name| {
                let (endpoints, stop, progress) = (&endpoints, &stop, &progress);
                scope.spawn(move || {
                    let bucket = connect(endpoints, &[("KEYVALUE_TIMEOUT_MS", "4000")]).open("b").unwrap();
                    load(&*bucket, name, stop, progress)
                })
            })
            .collect();
        for _ in 0..3 {
            let target = progress.load(Ordering::Relaxed) + 50;
            wait_until("the load goes on", || progress.load(Ordering::Relaxed) >= target);
            let leader = etcd.leader();
            etcd.kill(leader);
            let target = progress.load(Ordering::Relaxed) + 50;
            wait_until("the load goes on without that leader", || progress.load(Ordering::Relaxed) >= target);
            etcd.resume(leader);
            etcd.wait_until_serving();
        }
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let bucket = connect(&endpoints, &[]).open("b").unwrap();
    for tally in &tallies {
        let keys: Vec<&str> = tally.acknowledged.iter().map(String::as_str).collect();
        let values = bucket.get_many(&keys).unwrap();
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(value.as_deref(), Some(key.as_bytes()), "an acknowledged write is missing");
        }
    }
    let (known, unknown) = tallies.iter().fold((0, 0), |sum, tally| (sum.0 + tally.known, sum.1 + tally.unknown));
    let counter = bucket.increment("counter", 0, 0).unwrap();
    eprintln!("{known} increments known, {unknown} unknown, counter {counter}");
    assert!(known <= counter && counter <= known + unknown, "{known} known, {unknown} unknown, counter {counter}");
}

#[test]
fn a_dead_member_is_skipped() {
    let mut own = OwnEtcd::start(3, &[], &[]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    // A new instance asks the first member.
    own.server.kill(0);
    own.server.leader();
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    let another = connect(&own.server.endpoints(), &[]).open("b").unwrap();
    another.set("a", b"2").unwrap();
    assert_eq!(another.increment("n", 1, 0), Ok(1));
    let seen = another.snapshot("a").unwrap();
    assert_eq!(another.swap("a", &seen.version, b"3"), Ok(Swap::Done));
}

#[test]
fn reads_skip_a_hanging_member() {
    let own = OwnEtcd::start(3, &[], &[("KEYVALUE_TIMEOUT_MS", "6000")]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    own.server.freeze(0);
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    own.server.thaw(0);
}

#[test]
fn without_a_majority_operations_fail_in_time_and_the_same_instance_works_once_it_is_back() {
    let mut own = OwnEtcd::start(3, &[], &[("KEYVALUE_TIMEOUT_MS", "500")]);
    let bucket = own.open("b").unwrap();
    wait_until("the first write succeeds", || bucket.set("a", b"1").is_ok());
    own.server.kill(0);
    own.server.kill(1);
    let error = bucket.get("a").unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout | Kind::Unavailable), "{error:?}");
    let error = bucket.set("a", b"2").unwrap_err();
    assert!(matches!(error.kind(), Kind::OutcomeUnknown | Kind::Unavailable), "{error:?}");
    own.server.resume(0);
    own.server.resume(1);
    wait_until("etcd serves again", || bucket.get("a").is_ok());
    wait_until("etcd writes again", || bucket.set("a", b"3").is_ok());
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"3"[..]));
}

#[test]
fn counters_and_swaps_of_several_instances_lose_no_update() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(3, &[]);
    let endpoints = etcd.endpoints();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let bucket = connect(&endpoints, &[("KEYVALUE_TIMEOUT_MS", "20000")]).open("b").unwrap();
                for _ in 0..20 {
                    bucket.increment("counter", 1, 0).unwrap();
                    add_one_by_swaps(&*bucket, "sum");
                }
            });
        }
    });
    let bucket = connect(&endpoints, &[]).open("b").unwrap();
    assert_eq!(bucket.get("sum").unwrap().as_deref(), Some(&b"60"[..]));
    assert_eq!(bucket.increment("counter", 0, 0), Ok(60));
}
