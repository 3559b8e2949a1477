//! Faults at every byte where there are several servers: of a node of a cluster, with its map and its redirections, of a
//! sentinel, and of the primary that a sentinel names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::fake::Fake;
use common::mapped::{asked, mapped, moved};
use common::{NativeStore, WaitingStore, connect, connect_waiting};
use kvfuse_core::{Kind, Store};
use kvfuse_servers::faults::{EveryByte, Site};
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::redis_cluster::RedisCluster;
use kvfuse_servers::sentinels::Sentinels;
use kvfuse_servers::waiting::Blocking;
use kvfuse_servers::watchdog::Watchdog;

fn in_cluster(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("redis+cluster://127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn in_cluster_waiting(port: u16, time_limit: &str) -> Blocking<WaitingStore> {
    let (url, variables) = (format!("redis+cluster://127.0.0.1:{port}"), [("KEYVALUE_TIMEOUT_MS", time_limit)]);
    Blocking::new(connect_waiting(&url, &variables, Default::default()))
}

fn of_sentinel(port: u16, time_limit: &str) -> NativeStore {
    connect(&format!("redis+sentinel://127.0.0.1:{port}/mymaster"), &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn of_sentinel_waiting(port: u16, time_limit: &str) -> Blocking<WaitingStore> {
    let (url, variables) =
        (format!("redis+sentinel://127.0.0.1:{port}/mymaster"), [("KEYVALUE_TIMEOUT_MS", time_limit)]);
    Blocking::new(connect_waiting(&url, &variables, Default::default()))
}

/// Faults at a node that has all slots.
fn at_a_node<S: Store>(site: fn(u16) -> Site, fault: Fault, warm: bool, nth: usize, make: fn(u16, &str) -> S) {
    let cluster = RedisCluster::of_one();
    EveryByte { upstream: cluster.nodes[0].port(), site, fault, warm, nth, lanes: 2, make }.play();
}

// Every byte is in `make test-long`.

#[test]
fn a_node_that_closes_in_a_redirection_or_what_follows_is_reported_truthfully() {
    at_a_node(moved, Fault::Close, true, 3, in_cluster);
    at_a_node(asked, Fault::Close, true, 3, in_cluster);
}

// A listing and the handshake have answers of a thousand bytes, so what follows is at fewer of them.

#[test]
fn a_node_that_closes_in_the_handshake_or_the_map_is_reported_truthfully() {
    at_a_node(mapped, Fault::Close, false, 5, in_cluster);
}

#[test]
fn a_node_that_sends_nonsense_is_reported_truthfully() {
    at_a_node(moved, Fault::Nonsense, false, 7, in_cluster);
    at_a_node(asked, Fault::Nonsense, true, 3, in_cluster);
}

#[test]
fn a_node_that_hangs_times_out_and_is_reported_truthfully() {
    at_a_node(moved, Fault::Hang, true, 23, in_cluster);
    at_a_node(asked, Fault::Hang, true, 23, in_cluster);
    at_a_node(mapped, Fault::Hang, false, 67, in_cluster);
}

#[test]
fn the_same_faults_of_a_node_are_reported_truthfully_where_calls_wait() {
    at_a_node(moved, Fault::Close, false, 7, in_cluster_waiting);
    at_a_node(asked, Fault::Close, true, 3, in_cluster_waiting);
    at_a_node(moved, Fault::Hang, true, 67, in_cluster_waiting);
}

#[test]
#[ignore = "takes minutes, most of them waiting: at every byte, or for hangs at every ninth"]
fn every_fault_of_a_node_at_every_byte_is_reported_truthfully() {
    for (fault, nth) in [(Fault::Close, 1), (Fault::Nonsense, 1), (Fault::Hang, 9)] {
        at_a_node(mapped, fault, false, nth, in_cluster);
        at_a_node(mapped, fault, false, nth, in_cluster_waiting);
        for site in [moved, asked] {
            at_a_node(site, fault, true, nth, in_cluster);
            at_a_node(site, fault, true, nth, in_cluster_waiting);
        }
    }
}

/// The sentinel that names a server without faults.
fn sentinel(upstream: u16) -> Site {
    let fake = Fake::start();
    fake.names(upstream);
    Site { direct: fake.port(), ..Site::before(fake.port()) }
}

/// A sentinel that names the server with the faults.
fn primary(upstream: u16) -> Site {
    let site = Site::before(upstream);
    let (faulty, direct) = (Fake::start(), Fake::start());
    faulty.names(site.proxy.port());
    direct.names(upstream);
    Site { faulty: faulty.port(), direct: direct.port(), proxy: site.proxy }
}

fn with_sentinels<S: Store>(site: fn(u16) -> Site, fault: Fault, warm: bool, nth: usize, make: fn(u16, &str) -> S) {
    let redis = Redis::start(&[]);
    EveryByte { upstream: redis.port(), site, fault, warm, nth, lanes: 4, make }.play();
}

fn sentinels_at(nth: usize) {
    for fault in [Fault::Close, Fault::Nonsense, Fault::Hang] {
        with_sentinels(sentinel, fault, false, nth, of_sentinel);
        with_sentinels(sentinel, fault, false, nth, of_sentinel_waiting);
    }
}

fn primaries_at(nth: usize) {
    with_sentinels(primary, Fault::Close, false, nth, of_sentinel);
    with_sentinels(primary, Fault::Close, true, nth, of_sentinel_waiting);
    with_sentinels(primary, Fault::Nonsense, true, nth, of_sentinel);
}

#[test]
fn a_sentinel_that_fails_at_some_byte_is_reported_truthfully() {
    sentinels_at(5);
}

#[test]
fn a_primary_that_a_sentinel_names_and_that_fails_at_some_byte_is_reported_truthfully() {
    primaries_at(5);
}

#[test]
#[ignore = "takes a minute"]
fn a_sentinel_or_its_primary_that_fails_at_any_byte_is_reported_truthfully() {
    sentinels_at(1);
    primaries_at(1);
}

/// Whatever becomes of the question, nothing was sent to the server.
#[test]
fn a_write_is_never_unknown_if_only_the_sentinel_failed() {
    let _watchdog = Watchdog::of_the_test();
    let sentinels = Sentinels::start();
    let proxy = Proxy::start(sentinels.ports()[0]);
    let increment = |fault, byte, time_limit| {
        let bucket = of_sentinel(proxy.port(), time_limit).open("b").unwrap();
        proxy.plan(Direction::Reply, fault, byte);
        let outcome = bucket.increment("n", 1, i64::MIN);
        (outcome, proxy.clear())
    };
    let (mut count, mut byte) = (0, 0);
    loop {
        let (outcome, unused) = increment(Fault::Close, byte, "10000");
        count += 1;
        assert_eq!(outcome, Ok(count), "at byte {byte}: the sentinel is asked again");
        if unused {
            break;
        }
        for (fault, time_limit) in [(Fault::Nonsense, "10000"), (Fault::Hang, "60")] {
            match increment(fault, byte, time_limit).0 {
                // After its share of the time.
                Ok(sum) => {
                    count += 1;
                    assert_eq!(sum, count, "{fault:?} at byte {byte}");
                }
                Err(error) => {
                    assert!(
                        matches!(error.kind(), Kind::Unavailable | Kind::Timeout),
                        "{fault:?} at byte {byte}: {error}"
                    );
                }
            }
        }
        byte += 1;
    }
    assert!(byte > 20, "an answer has {byte} bytes");
}
