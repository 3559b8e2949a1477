//! A real Redis Cluster: the contract, failovers, and slots that move under calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, WaitingStore, connect, connect_counting, connect_waiting};
use kvfuse_core::watch::From;
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Kind, Result, Store, Swap};
use kvfuse_servers::at_once;
use kvfuse_servers::failover::{Window, counted};
use kvfuse_servers::net::StdNetwork;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::redis_cluster::RedisCluster;
use kvfuse_servers::shared::Shared;
use kvfuse_servers::waiting::{Blocking, all, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static CLUSTER: Shared<RedisCluster> = Shared::new();

/// A store over a cluster that others use as well, with a prefix of its own.
struct Own<S> {
    store: S,
    cluster: Arc<RedisCluster>,
    _watchdog: Watchdog,
}

impl<S: Store> Store for Own<S> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}

fn own<S>(layout: &str, make: impl FnOnce(&str, &[(&str, &str)]) -> S) -> Own<S> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let _watchdog = Watchdog::of_the_test();
    let cluster = CLUSTER.get(|| RedisCluster::of_three(&[]));
    let prefix = format!("{}/", NEXT.fetch_add(1, Ordering::Relaxed));
    let variables = [("KEYVALUE_PREFIX", prefix.as_str()), ("KEYVALUE_REDIS_LAYOUT", layout)];
    Own { store: make(&cluster.url(), &variables), cluster, _watchdog }
}

fn plain() -> Own<NativeStore> {
    own("prefix", connect)
}

fn hash() -> Own<NativeStore> {
    own("hash", connect)
}

fn waiting() -> Own<Blocking<WaitingStore>> {
    own("prefix", |url, variables| Blocking::new(connect_waiting(url, variables, Default::default())))
}

mod prefix_layout {
    kvfuse_suite::contract!(super::plain);
    kvfuse_suite::lifetimes!(super::plain);
}

mod hash_layout {
    kvfuse_suite::all_cases_but_two!(super::hash);
}

mod where_calls_wait_beside_each_other {
    kvfuse_suite::contract!(super::waiting);
}

#[test]
fn many_calls_at_once_get_their_own_answers() {
    let own = own("prefix", |url, variables| connect_waiting(url, variables, Default::default()));
    let bucket = own.store.open_async("b").unwrap();
    runtime().block_on(async {
        at_once::each_gets_its_own_answer(&bucket).await;
        at_once::a_dropped_call_harms_no_other(&bucket).await;
    });
}

#[test]
fn a_batch_takes_one_request_to_each_node_and_everything_else_one_to_one() {
    let cluster = CLUSTER.get(|| RedisCluster::of_three(&[]));
    let network = StdNetwork::default();
    let bucket = connect_counting(&cluster.url(), &[("KEYVALUE_PREFIX", "trips/")], network.clone()).open("b").unwrap();
    let trips = |what: &dyn Fn()| {
        let before = network.round_trips.get();
        what();
        network.round_trips.get() - before
    };
    let first = trips(&|| bucket.set("a", b"1").unwrap());
    assert!(first <= 4, "{first}: the map of slots and the key, each after a handshake");
    let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &b"v"[..])).collect();
    bucket.set_many(&pairs).unwrap();
    assert_eq!(network.connects.get(), 3);
    assert_eq!(trips(&|| bucket.set_many(&pairs).unwrap()), 3);
    assert_eq!(trips(&|| assert!(bucket.get_many(&keys).unwrap().iter().all(Option::is_some))), 3);
    assert_eq!(trips(&|| bucket.delete_many(&keys).unwrap()), 3);
    for key in &keys {
        assert_eq!(trips(&|| bucket.set(key, b"1").unwrap()), 1);
        assert_eq!(trips(&|| _ = bucket.increment(key, 1, 0).unwrap()), 1);
        let seen = bucket.snapshot(key).unwrap();
        assert_eq!(trips(&|| assert_eq!(bucket.swap(key, &seen.version, b"3"), Ok(Swap::Done))), 1);
    }
    assert_eq!(network.connects.get(), 3);
}

#[test]
fn what_a_cluster_does_not_have_is_refused_with_the_reason() {
    let own = plain();
    let error = own.open("b").unwrap().watch("", From::Now).err().unwrap();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("each node reports only"), "{error}");
    // The other way round: one server, or what is taken for one.
    let redis = Redis::start(&[]);
    let error = connect(&redis.url().replace("redis:", "redis+cluster:"), &[]).open("b").unwrap().get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("is no node of a Redis Cluster"), "{error}");
    let node = &own.cluster.nodes[own.cluster.owner("b:a")];
    let other = own.cluster.nodes.iter().find(|other| other.port() != node.port()).unwrap();
    let error = connect(&other.url(), &[]).open("b").unwrap().set("a", b"1").unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("redis+cluster://"), "{error}");
}

#[test]
fn braces_put_keys_into_one_slot_and_break_nothing() {
    let own = plain();
    for bucket in ["b", "{b}", "{", "}{", "{}"] {
        let bucket = own.open(bucket).unwrap();
        let keys = ["{same}1", "{same}2", "{}", "}{", "{", "}", "{other}", "plain", "{{same}}"];
        let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, key.as_bytes())).collect();
        bucket.set_many(&pairs).unwrap();
        let values = bucket.get_many(&keys).unwrap();
        assert!(keys.iter().zip(values).all(|(key, value)| value.as_deref() == Some(key.as_bytes())));
        let listed: BTreeSet<String> = bucket.list(None).unwrap().keys.into_iter().collect();
        assert!(keys.iter().all(|key| listed.contains(*key)) && listed.len() == keys.len(), "{listed:?}");
        bucket.delete_many(&keys).unwrap();
        assert_eq!(bucket.list(None).unwrap().keys, [""; 0]);
    }
}

/// The keys of a bucket, in any order, each as often as it was listed. After each page something happens.
fn listed(bucket: &dyn Bucket, mut then: impl FnMut(usize)) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), None::<String>);
    for number in 0.. {
        assert!(number < 1000, "the listing does not end");
        let page = bucket.list(cursor.as_deref()).unwrap();
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        then(number);
    }
    keys.sort();
    keys
}

#[test]
fn calls_go_on_while_a_slot_moves_key_by_key() {
    let _watchdog = Watchdog::of_the_test();
    let cluster = RedisCluster::of_three(&[]);
    let bucket = connect(&cluster.url(), &[]).open("{b}").unwrap();
    let hash = connect(&cluster.url(), &[("KEYVALUE_REDIS_LAYOUT", "hash")]).open("{b}hash").unwrap();
    let waiting = connect_waiting(&cluster.url(), &[], Default::default()).open_async("{b}").unwrap();
    let runtime = runtime();
    let slot = cluster.slot("{b}:");
    let from = cluster.owner("{b}:");
    let to = (from + 1) % 3;
    let keys: Vec<String> = (0..20).map(|number| format!("key {number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let check = |round: i64| {
        for key in &keys {
            assert_eq!(bucket.increment(key, 1, 0), Ok(4 * round + 1), "{key}");
            assert_eq!(bucket.increment(key, 1, i64::MIN), Ok(4 * round + 2), "{key}");
            let seen = bucket.snapshot(key).unwrap();
            let next = (4 * round + 3).to_string();
            assert_eq!(bucket.swap(key, &seen.version, next.as_bytes()), Ok(Swap::Done), "{key}");
        }
        let sums = runtime.block_on(all(keys.iter().map(|key| AsyncBucket::increment(&waiting, key, 1, -5))));
        assert!(sums.iter().all(|sum| *sum == Ok(4 * round + 4)), "{sums:?}");
        let all = bucket.get_many(&keys).unwrap();
        let expected = (4 * round + 4).to_string();
        assert!(all.iter().all(|value| value.as_deref() == Some(expected.as_bytes())), "{all:?}");
        let sums = runtime.block_on(AsyncBucket::get_many(&waiting, &keys)).unwrap();
        assert_eq!(sums, all);
        let hashed: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, expected.as_bytes())).collect();
        hash.set_many(&hashed).unwrap();
        assert_eq!(hash.get_many(&keys).unwrap(), all);
        assert_eq!(hash.increment(keys[0], 1, 0), Ok(4 * round + 5));
        let seen = hash.snapshot(keys[1]).unwrap();
        assert_eq!(hash.swap(keys[1], &seen.version, b"x"), Ok(Swap::Done));
    };
    check(0);
    cluster.begin_move(&slot, from, to);
    check(1);
    for key in &keys[..10] {
        cluster.move_key(&format!("{{b}}:{key}"), from, to);
    }
    check(2);
    cluster.move_key("{b}hash", from, to);
    check(3);
    bucket.set_many(&[("new", b"1"), (keys[0], b"16"), (keys[15], b"16")]).unwrap();
    assert_eq!(bucket.get_many(&["new", keys[15]]).unwrap(), [Some(b"1".to_vec()), Some(b"16".to_vec())]);
    for key in &keys[10..] {
        cluster.move_key(&format!("{{b}}:{key}"), from, to);
    }
    check(4);
    cluster.end_move(&slot, to);
    check(5);
    let mut expected: Vec<&str> = keys.iter().copied().chain(["new"]).collect();
    expected.sort_unstable();
    assert_eq!(listed(&*bucket, |_| ()), expected);
}

#[test]
fn a_listing_gives_each_key_once_while_slots_move_between_its_pages() {
    let _watchdog = Watchdog::of_the_test();
    let cluster = RedisCluster::of_three(&[]);
    let bucket = connect(&cluster.url(), &[]).open("b").unwrap();
    // Keys of slots that move, and those of others.
    let keys: Vec<String> = (0..9000).map(|number| format!("{{{}}}{number}", number % 90)).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect();
    bucket.set_many(&pairs).unwrap();
    let mut sorted = keys.clone();
    sorted.sort();
    let move_one = |tag: usize, back: bool| {
        let slot = cluster.slot(&format!("{{{tag}}}"));
        let from = cluster.owner(&format!("{{{tag}}}"));
        let to = (from + if back { 2 } else { 1 }) % 3;
        cluster.begin_move(&slot, from, to);
        for key in keys.iter().filter(|key| key.starts_with(&format!("{{{tag}}}"))) {
            cluster.move_key(&format!("b:{key}"), from, to);
        }
        cluster.end_move(&slot, to);
    };
    // One after the other, from nodes that were listed to others, and the other way round.
    let seen = listed(&*bucket, |page| move_one(page % 90, page % 2 == 0));
    assert_eq!(seen, sorted);
    assert_eq!(listed(&*bucket, |_| ()), sorted);
}

#[test]
fn a_listing_waits_for_a_slot_that_is_being_moved_and_says_so_in_the_end() {
    let _watchdog = Watchdog::of_the_test();
    let cluster = RedisCluster::of_three(&[]);
    let bucket = connect(&cluster.url(), &[("KEYVALUE_TIMEOUT_MS", "600")]).open("b").unwrap();
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    bucket.set_many(&names.iter().map(|key| (key.as_str(), &b"v"[..])).collect::<Vec<_>>()).unwrap();
    let (slot, from) = (cluster.slot("b:7"), cluster.owner("b:7"));
    let to = (from + 1) % 3;
    cluster.begin_move(&slot, from, to);
    cluster.move_key("b:7", from, to);
    let first = bucket.list(None).unwrap();
    assert!(!first.keys.contains(&"7".to_string()));
    let cursor = first.cursor.expect("a slot is missing");
    let error = bucket.list(Some(&cursor)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("being moved"), "{error}");
    cluster.end_move(&slot, to);
    let mut keys = first.keys;
    let rest = bucket.list(Some(&cursor)).unwrap();
    assert_eq!(rest.cursor, None);
    keys.extend(rest.keys);
    keys.sort();
    let mut expected = names.clone();
    expected.sort();
    assert_eq!(keys, expected);
    // Another instance goes on where this one was.
    let another = connect(&cluster.url(), &[]).open("b").unwrap();
    assert!(another.list(Some(&cursor)).unwrap().keys.contains(&"7".to_string()));
}

#[test]
fn what_was_acknowledged_and_replicated_is_there_after_primaries_were_killed_under_load() {
    let _watchdog = Watchdog::of_the_test();
    let mut cluster = RedisCluster::of_six(&[]);
    let url = cluster.url();
    let open = || connect(&url, &[("KEYVALUE_TIMEOUT_MS", "40000")]).open("b").unwrap();
    // A listing goes on meanwhile.
    let lister = open();
    let keys: Vec<String> = (0..3000).map(|number| format!("listed {number:04}")).collect();
    lister.set_many(&keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect::<Vec<_>>()).unwrap();
    let mut killed = Vec::new();
    let mut seen = Vec::new();
    let told = counted(30, 3, open, |window: &Window| {
        window.goes_on(300);
        seen = listed(&*lister, |page| {
            if page >= 2 {
                return;
            }
            let key = cluster.key_at(page);
            window.loses(|| {
                cluster.wait_for_replica(page, &key);
                cluster.nodes[page].kill();
            });
            killed.push(page);
            window.goes_on(300);
        });
    });
    eprintln!("{told}");
    assert_eq!(killed, [0, 1]);
    seen.retain(|key| key.starts_with("listed"));
    assert_eq!(seen, keys);
}
