//! What is specific to Redis: logins, layouts, round trips, restarts during a listing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnRedis, connect, connect_counting};
use kvfuse_core::{Bucket, Kind, Store, Swap};
use kvfuse_servers::net::StdNetwork;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_suite::swaps::add_one_by_swaps;
use std::collections::HashMap;

const NO_SCRIPTS: [&str; 3] = ["--rename-command", "EVAL", ""];
const OLD: [&str; 3] = ["--rename-command", "HELLO", ""];

#[test]
fn a_password_opens_and_a_wrong_or_missing_one_is_access_denied() {
    let _watchdog = Watchdog::of_the_test();
    for more in [&[][..], &OLD] {
        let redis = Redis::start(&[&["--requirepass", "hunter2,@"], more].concat());
        let bucket = connect(&redis.url(), &[("KEYVALUE_REDIS_PASSWORD", "hunter2,@")]).open("b").unwrap();
        bucket.set("a", b"1").unwrap();
        let with_url = format!("redis://:hunter2,%40@127.0.0.1:{}", redis.port());
        assert_eq!(connect(&with_url, &[]).open("b").unwrap().get("a").unwrap().as_deref(), Some(&b"1"[..]));

        for password in ["", "hunter3"] {
            let store = connect(&redis.url(), &[("KEYVALUE_REDIS_PASSWORD", password)]);
            let error = store.open("b").unwrap().get("a").unwrap_err();
            assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
            assert!(!error.message().contains("hunter"), "{error}");
        }
    }
}

#[test]
fn an_acl_user_can_do_what_is_allowed_and_nothing_else() {
    let _watchdog = Watchdog::of_the_test();
    let redis =
        Redis::start(&"--user ann on >hunter2 ~b:* +@all -@scripting -del -info".split(' ').collect::<Vec<_>>());
    let login = [("KEYVALUE_REDIS_USERNAME", "ann"), ("KEYVALUE_REDIS_PASSWORD", "hunter2")];
    let store = connect(&redis.url(), &login);
    let bucket = store.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    assert_eq!(bucket.increment("counter", 2, 0), Ok(2), "without scripts");
    assert_eq!(bucket.list(None).unwrap().keys.len(), 2, "without INFO");
    let denied = bucket.delete("a").unwrap_err();
    assert_eq!(denied.kind(), Kind::AccessDenied);
    let other = store.open("other").unwrap();
    for error in [other.get("a").unwrap_err(), other.set("a", b"secret").unwrap_err()] {
        assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
        assert!(!error.message().contains("hunter") && !error.message().contains("secret"), "{error}");
    }
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]), "the connection still works");
}

#[test]
fn a_database_number_selects_the_database() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    for number in ["", "/0", "/7"] {
        let bucket = connect(&format!("{}{number}", redis.url()), &[]).open("b").unwrap();
        bucket.increment("counter", 1, i64::MIN).unwrap();
    }
    assert_eq!(redis.command(&["GET", "b:counter"]), "2");
    let error = connect(&format!("{}/9999", redis.url()), &[]).open("b").unwrap().get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
}

#[test]
fn each_layout_reads_what_its_peers_write_and_the_other_way_round() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    for (layout, bucket, set, get) in [
        ("prefix", "users", &["SET", "users:ann:1", "hello"][..], &["GET", "users:bob"][..]),
        ("raw", "users", &["SET", "ann:1", "hello"], &["GET", "bob"]),
        ("hash", "users", &["HSET", "users", "ann:1", "hello"], &["HGET", "users", "bob"]),
    ] {
        redis.command(&["FLUSHALL"]);
        redis.command(set);
        let bucket = connect(&redis.url(), &[("KEYVALUE_REDIS_LAYOUT", layout)]).open(bucket).unwrap();
        assert_eq!(bucket.get("ann:1").unwrap().as_deref(), Some(&b"hello"[..]), "{layout}");
        bucket.set("bob", b"welcome").unwrap();
        assert_eq!(redis.command(get), "welcome", "{layout}");
        let mut keys = bucket.list(None).unwrap().keys;
        keys.sort();
        assert_eq!(keys, ["ann:1", "bob"], "{layout}");
    }
}

#[test]
fn other_data_in_the_same_database_is_not_listed() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    for command in
        [&["SET", "b", "x"][..], &["SET", "c:a", "x"], &["SADD", "b:set", "x"], &["HSET", "b:hash", "f", "x"]]
    {
        redis.command(command);
    }
    let bucket = connect(&redis.url(), &[]).open("b").unwrap();
    bucket.set("mine", b"1").unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["mine"]);
    let error = bucket.get("set").unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged, "{error}");
    assert!(error.message().contains("KEYVALUE_REDIS_LAYOUT"), "{error}");
}

#[test]
fn a_full_server_exceeds_the_quota_and_keeps_the_old_value() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]);
    let bucket = connect(&redis.url(), &[]).open("b").unwrap();
    bucket.set("a", b"old").unwrap();
    let full = (0..100).find_map(|n| bucket.set(&format!("{n}"), &[0; 100_000]).err()).expect("3 MB are full");
    assert_eq!(full.kind(), Kind::QuotaExceeded, "{full}");
    assert_eq!(bucket.set("a", &[1; 100_000]).unwrap_err().kind(), Kind::QuotaExceeded);
    let seen = bucket.snapshot("a").unwrap();
    assert_eq!(bucket.swap("a", &seen.version, &[1; 100_000]).unwrap_err().kind(), Kind::QuotaExceeded);
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"old"[..]));
}

#[test]
fn round_trips_are_as_documented() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    for layout in ["prefix", "raw", "hash"] {
        let network = StdNetwork::default();
        let store = connect_counting(&redis.url(), &[("KEYVALUE_REDIS_LAYOUT", layout)], network.clone());
        let bucket = store.open("b").unwrap();
        assert_eq!(network.round_trips_of(|| drop(store.open("c").unwrap())), 0, "open");
        assert_eq!(network.round_trips_of(|| drop(bucket.get("a").unwrap())), 2, "the first: handshake and get");
        let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &[0u8; 100][..])).collect();
        assert_eq!(network.round_trips_of(|| drop(bucket.get("a").unwrap())), 1, "get");
        assert_eq!(network.round_trips_of(|| bucket.set("a", b"1").unwrap()), 1, "set");
        assert_eq!(network.round_trips_of(|| assert!(bucket.exists("a").unwrap())), 1, "exists");
        assert_eq!(network.round_trips_of(|| _ = bucket.increment("n", 1, i64::MIN).unwrap()), 1, "increment");
        assert_eq!(network.round_trips_of(|| _ = bucket.increment("n", 1, 0).unwrap()), 1, "with a floor");
        assert_eq!(network.round_trips_of(|| _ = bucket.increment("n", -1, -5).unwrap()), 2, "another floor");
        let seen = bucket.snapshot("a").unwrap();
        assert_eq!(
            network.round_trips_of(|| drop(bucket.snapshot("a").unwrap())),
            if layout == "hash" { 1 } else { 2 }
        );
        let swapped = network.round_trips_of(|| assert_eq!(bucket.swap("a", &seen.version, b"2"), Ok(Swap::Done)));
        assert_eq!(swapped, 1, "swap");
        let conflicted = network.round_trips_of(|| {
            assert!(matches!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Conflict(_))));
        });
        assert_eq!(conflicted, 1, "a swap that conflicts");
        assert_eq!(network.round_trips_of(|| bucket.delete("a").unwrap()), 1, "delete");
        assert_eq!(network.round_trips_of(|| bucket.set_many(&pairs).unwrap()), 1, "set-many");
        assert_eq!(network.round_trips_of(|| drop(bucket.get_many(&keys).unwrap())), 1, "get-many");
        assert_eq!(network.round_trips_of(|| bucket.delete_many(&keys).unwrap()), 1, "delete-many");
        redis.command(&["FLUSHALL"]);
    }
}

#[test]
fn one_connection_serves_everything_but_several_open_snapshots() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let network = StdNetwork::default();
    let store = connect_counting(&redis.url(), &[], network.clone());
    let bucket = store.open("b").unwrap();
    for n in 0..50 {
        let key = n.to_string();
        bucket.set(&key, b"1").unwrap();
        bucket.increment(&key, 1, 0).unwrap();
        let seen = bucket.snapshot(&key).unwrap();
        assert_eq!(bucket.swap(&key, &seen.version, b"3"), Ok(Swap::Done));
    }
    assert_eq!(network.connects.get(), 1);

    let seen: Vec<_> = (0..4).map(|n| bucket.snapshot(&n.to_string()).unwrap()).collect();
    for (n, seen) in seen.iter().enumerate() {
        assert_eq!(bucket.swap(&n.to_string(), &seen.version, b"4"), Ok(Swap::Done), "{n} of four at once");
    }
    let seen: Vec<_> = (0..6).map(|n| bucket.snapshot(&n.to_string()).unwrap()).collect();
    let done = |n: usize| bucket.swap(&n.to_string(), &seen[n].version, b"5").unwrap() == Swap::Done;
    assert_eq!([5, 4, 3, 2, 1, 0].map(done), [true, true, true, true, false, false], "the oldest watches are dropped");
    assert_eq!(network.connects.get(), 4);
}

#[test]
fn only_writes_of_the_key_itself_make_a_swap_conflict() {
    for layout in ["prefix", "raw", "hash"] {
        let own = OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", layout)]);
        let bucket = own.open("b").unwrap();
        bucket.set("a", b"1").unwrap();
        let seen = bucket.snapshot("a").unwrap();
        bucket.set("other", b"1").unwrap();
        own.open("c").unwrap().set("c", b"1").unwrap();
        bucket.increment("counter", 1, 0).unwrap();
        bucket.list(None).unwrap();
        assert_eq!(bucket.swap("a", &seen.version, b"2"), Ok(Swap::Done), "{layout}");
    }
}

/// Several instances on one server at once.
fn at_once(url: &str, layout: &'static str, work: impl Fn(&dyn Bucket) + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let bucket = connect(url, &[("KEYVALUE_REDIS_LAYOUT", layout)]).open("b").unwrap();
                work(&*bucket);
            });
        }
    });
}

#[test]
fn counters_of_several_instances_are_exact_with_scripts_and_without() {
    let _watchdog = Watchdog::of_the_test();
    for arguments in [&[][..], &NO_SCRIPTS] {
        for layout in ["prefix", "hash"] {
            let redis = Redis::start(arguments);
            at_once(&redis.url(), layout, |bucket| {
                for _ in 0..100 {
                    bucket.increment("counter", 3, 0).unwrap();
                    bucket.increment("counter", -1, i64::MIN).unwrap();
                }
            });
            let bucket = connect(&redis.url(), &[("KEYVALUE_REDIS_LAYOUT", layout)]).open("b").unwrap();
            assert_eq!(bucket.increment("counter", 0, 0), Ok(800), "{layout} {arguments:?}");
        }
    }
}

#[test]
fn swaps_of_several_instances_lose_no_update_with_scripts_and_without() {
    let _watchdog = Watchdog::of_the_test();
    for arguments in [&[][..], &NO_SCRIPTS] {
        for layout in ["prefix", "hash"] {
            let redis = Redis::start(arguments);
            at_once(&redis.url(), layout, |bucket| {
                for _ in 0..50 {
                    add_one_by_swaps(bucket, "sum");
                }
            });
            let bucket = connect(&redis.url(), &[("KEYVALUE_REDIS_LAYOUT", layout)]).open("b").unwrap();
            assert_eq!(bucket.get("sum").unwrap().as_deref(), Some(&b"200"[..]), "{layout} {arguments:?}");
        }
    }
}

#[test]
fn counters_with_a_floor_are_exact_beyond_what_a_double_holds() {
    let own = OwnRedis::start(&[], &[]);
    let bucket = own.open("b").unwrap();
    let big = (1 << 53) + 1;
    assert_eq!(bucket.increment("n", big, 0), Ok(big));
    assert_eq!(bucket.increment("n", -big, 0), Ok(0));
    assert_eq!(bucket.increment("n", big, 0), Ok(big));
    assert_eq!(bucket.increment("n", -big - 1, 0).unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(bucket.increment("n", i64::MAX - big, 0), Ok(i64::MAX));
    assert_eq!(bucket.increment("n", i64::MIN, 0).unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(bucket.get("n").unwrap(), Some(i64::MAX.to_string().into_bytes()));
}

#[test]
fn a_listing_across_growth_shrinking_and_a_restart_returns_every_key_once() {
    for layout in ["prefix", "hash"] {
        let mut own = OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", layout)]);
        let bucket = own.open("b").unwrap();
        let names = |what: &str, count| (0..count).map(|n| format!("{what} {n}")).collect::<Vec<String>>();
        let set = |keys: &[String]| {
            let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect();
            bucket.set_many(&pairs).unwrap();
        };
        let (stay, go) = (names("stay", 6000), names("go", 60_000));
        set(&stay);
        set(&go);
        let mut times: HashMap<String, u32> = HashMap::new();
        let mut cursor: Option<String> = None;
        for page_number in 0.. {
            assert!(page_number < 10_000, "{layout}: the listing does not end");
            let page = bucket.list(cursor.as_deref()).unwrap();
            page.keys.into_iter().for_each(|key| *times.entry(key).or_default() += 1);
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
            match page_number {
                // The table shrinks to a tenth, which makes Redis return keys twice.
                2 => bucket.delete_many(&go.iter().map(String::as_str).collect::<Vec<_>>()).unwrap(),
                // Another process has another order of keys in its table.
                4 => own.server.restart(),
                6 => set(&names("new", 60_000)),
                _ => {}
            }
        }
        for key in &stay {
            assert_eq!(times.get(key), Some(&1), "{layout}: {key}");
        }
        assert!(times.values().all(|times| *times == 1), "{layout}: a key was returned twice");
    }
}

#[test]
fn a_cursor_from_before_a_restart_is_rejected_by_another_instance() {
    let _watchdog = Watchdog::of_the_test();
    let mut redis = Redis::start(&[]);
    let pairs: Vec<(String, &[u8])> = (0..3000).map(|n| (n.to_string(), &b"v"[..])).collect();
    let pairs: Vec<(&str, &[u8])> = pairs.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let first = connect(&redis.url(), &[]).open("b").unwrap();
    first.set_many(&pairs).unwrap();
    let page = first.list(None).unwrap();
    let another = connect(&redis.url(), &[]).open("b").unwrap();
    let next = another.list(page.cursor.as_deref()).unwrap();
    assert!(next.keys.iter().all(|key| !page.keys.contains(key)), "another instance continues");
    redis.restart();
    // One that has returned a page does not know those before it, either.
    for (instance, cursor) in [(connect(&redis.url(), &[]).open("b").unwrap(), page.cursor), (another, next.cursor)] {
        let error = instance.list(cursor.as_deref()).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("restarted"), "{error}");
    }
}

#[test]
fn a_server_without_free_connections_is_retried_and_then_reported() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&["--maxclients", "1"]);
    let first = connect(&redis.url(), &[]).open("b").unwrap();
    first.set("a", b"1").unwrap();
    let second = connect(&redis.url(), &[("KEYVALUE_TIMEOUT_MS", "200")]).open("b").unwrap();
    assert_eq!(second.set("a", b"2").unwrap_err().kind(), Kind::Unavailable);
    drop(first);
    assert_eq!(connect(&redis.url(), &[]).open("b").unwrap().get("a").unwrap().as_deref(), Some(&b"1"[..]));
}
