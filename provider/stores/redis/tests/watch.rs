//! Watching a real server, and lifetimes of keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnRedis, connect};
use kvfuse_core::watch::From;
use kvfuse_core::{Bucket, Change, Changes, Kind, Result, Store, Watch};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(200);

fn set(key: &str, value: &[u8]) -> Change {
    Change::Set { key: key.into(), value: value.into() }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.into() }
}

/// Waits until `count` changes have come.
fn wait_for(watch: &mut dyn Watch, count: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    while changes.len() < count {
        changes.extend(watch.next(PATIENCE).unwrap().changes);
    }
    changes
}

fn both() -> [OwnRedis; 2] {
    [OwnRedis::start(&[], &[]), OwnRedis::start_valkey(&[])]
}

#[test]
fn what_others_set_increment_and_delete_is_delivered_with_its_value() {
    for redis in both() {
        let bucket = redis.open("b").unwrap();
        let mut watch = bucket.watch("k", From::Now).unwrap();
        let other = connect(&redis.server.url(), &[]).open("b").unwrap();
        let writes: [(&dyn Fn() -> Result<()>, Change); 5] = [
            (&|| other.set("k", b"1"), set("k", b"1")),
            (&|| other.increment("k", 5, 0).map(drop), set("k", b"6")),
            (&|| other.set_many(&[("x", b""), ("kk", b"7")]), set("kk", b"7")),
            (&|| other.delete("k"), delete("k")),
            (&|| other.set("key\n", &[0, 255]), set("key\n", &[0, 255])),
        ];
        for (write, expected) in writes {
            write().unwrap();
            assert_eq!(wait_for(&mut *watch, 1), [expected]);
        }
        redis.open("other").unwrap().set("k", b"").unwrap();
        assert_eq!(watch.next(PATIENCE).unwrap(), Changes::default());
        // A key whose lifetime ends is deleted by the server.
        redis.server.command(&["SET", "b:k", "short", "PX", "50"]);
        let mut all = wait_for(&mut *watch, 2);
        assert_eq!(all.pop(), Some(delete("k")));
        assert_eq!(all.pop(), Some(set("k", b"short")));
    }
}

#[test]
fn each_key_ends_with_its_last_value_however_fast_it_is_written() {
    for redis in both() {
        let bucket = redis.open("b").unwrap();
        for n in 0..1500 {
            bucket.set(&format!("old{n}"), b"old").unwrap();
        }
        let mut watch = bucket.watch("", From::Beginning).unwrap();
        let mut state: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        let mut take = |watch: &mut dyn Watch| {
            let changes = watch.next(PATIENCE).unwrap().changes;
            assert!(changes.len() <= 500);
            for change in &changes {
                let value = match change {
                    Change::Set { value, .. } => Some(value.clone()),
                    Change::Delete { .. } => None,
                };
                state.insert(change.key().into(), value);
            }
            changes.is_empty()
        };
        for round in 0..20 {
            for n in 0..200 {
                bucket.increment(&format!("n{n}"), 1, 0).unwrap();
            }
            bucket.delete_many(&["n3", &format!("old{round}")]).unwrap();
            take(&mut *watch);
        }
        while !take(&mut *watch) {}
        let keys: BTreeMap<_, _> = state.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        assert_eq!(keys.len(), 1500 - 20 + 199);
        assert!(keys.iter().all(|(key, value)| value == if key.starts_with('n') { b"20".as_slice() } else { b"old" }));
    }
}

#[test]
fn after_the_server_was_gone_everything_is_delivered_and_it_is_said_that_deletions_may_be_missing() {
    let mut redis = OwnRedis::start(&["--appendonly", "yes"], &[("KEYVALUE_TIMEOUT_MS", "2000")]);
    let bucket = redis.open("b").unwrap();
    let mut watch = bucket.watch("", From::Now).unwrap();
    bucket.set("a", b"1").unwrap();
    bucket.set("gone", b"1").unwrap();
    wait_for(&mut *watch, 2);
    redis.server.kill();
    let error = watch.next(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(watch.next(PATIENCE).is_err(), "it is still gone");
    redis.server.resume();
    bucket.delete("gone").unwrap();
    bucket.set("b", b"2").unwrap();
    let mut first = watch.next(PATIENCE).unwrap();
    assert!(first.missed.take().unwrap().contains("deletions in between may be missing"));
    first.changes.extend(wait_for(&mut *watch, 2 - first.changes.len()));
    first.changes.sort_by(|one, other| one.key().cmp(other.key()));
    assert_eq!(first.changes, [set("a", b"1"), set("b", b"2")]);
    bucket.delete("b").unwrap();
    assert_eq!(wait_for(&mut *watch, 1), [delete("b")]);

    redis.server.command(&["FLUSHALL"]);
    let flushed = watch.next(PATIENCE).unwrap();
    assert!(flushed.missed.unwrap().contains("emptied"), "{:?}", flushed.changes);
}

#[test]
fn a_change_whose_value_could_not_be_read_is_delivered_by_the_next_call() {
    let redis = OwnRedis::start(&[], &[]);
    redis.server.command(&["ACL", "SETUSER", "ann", "on", "nopass", "~*", "&*", "+@all"]);
    let ann = connect(&format!("redis://ann:any@127.0.0.1:{}", redis.server.port()), &[]);
    let mut watch = ann.open("b").unwrap().watch("", From::Now).unwrap();
    redis.server.command(&["ACL", "SETUSER", "ann", "-get", "-mget"]);
    redis.open("b").unwrap().set_many(&[("j", b"1"), ("k", b"2")]).unwrap();
    let error = loop {
        match watch.next(PATIENCE) {
            Ok(none) => assert_eq!(none.changes, []),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
    redis.server.command(&["ACL", "SETUSER", "ann", "+get", "+mget"]);
    let mut changes = wait_for(&mut *watch, 2);
    changes.sort_by(|one, other| one.key().cmp(other.key()));
    assert_eq!(changes, [set("j", b"1"), set("k", b"2")]);
}

#[test]
fn a_listing_that_a_restart_cut_off_begins_again_and_everything_is_delivered() {
    // An instance remembers what it returned of a few listings, and cannot go on with one that it has forgotten.
    for others in [0, 9] {
        let mut redis = OwnRedis::start(&[], &[("KEYVALUE_TIMEOUT_MS", "2000")]);
        let bucket = redis.open("b").unwrap();
        let keys: Vec<String> = (0..3000).map(|n| format!("{n}")).collect();
        bucket.set_many(&keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect::<Vec<_>>()).unwrap();
        let mut watch = bucket.watch("", From::Beginning).unwrap();
        assert!(!watch.next(PATIENCE).unwrap().changes.is_empty());
        for _ in 0..others {
            assert!(bucket.list(None).unwrap().cursor.is_some());
        }
        redis.server.restart();
        bucket.delete("7").unwrap();
        bucket.set("new", b"v").unwrap();
        let (mut there, mut missed, mut failed) = (BTreeMap::new(), None, 0);
        while missed.is_none() || there.len() < 3000 {
            let mut more = match watch.next(PATIENCE) {
                Ok(more) => more,
                Err(error) => {
                    failed += 1;
                    assert!(error.kind() == Kind::Unavailable && failed < 20, "{error}");
                    continue;
                }
            };
            if let Some(why) = more.missed.take() {
                // What came before it may be gone.
                there.clear();
                missed = Some(why);
            }
            there.extend(more.changes.into_iter().map(|change| (change.key().to_string(), change)));
        }
        assert!(missed.unwrap().contains("deletions in between may be missing"));
        assert!(there.contains_key("new") && !there.contains_key("7"));
    }
}

#[test]
fn a_server_that_froze_is_noticed_although_it_sends_nothing_and_closes_nothing() {
    let redis = OwnRedis::start(&[], &[("KEYVALUE_TIMEOUT_MS", "500")]);
    let bucket = redis.open("b").unwrap();
    let mut watch = bucket.watch("", From::Now).unwrap();
    redis.server.freeze();
    let error = loop {
        if let Err(error) = watch.next(Duration::from_secs(1)) {
            break error;
        }
    };
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    redis.server.thaw();
    while watch.next(PATIENCE).is_err() {}
    bucket.set("k", b"1").unwrap();
    assert_eq!(wait_for(&mut *watch, 1), [set("k", b"1")]);
}

#[test]
fn what_cannot_be_watched_is_refused_with_the_reason() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let refused = |bucket: Rc<dyn Bucket>, from: From<'_>| {
        let error = bucket.watch("", from).err().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        error.message().to_string()
    };
    let open = |variables: &[(&str, &str)]| connect(&redis.url(), variables).open("b").unwrap();
    assert!(refused(open(&[]), From::Position("x")).contains("no log"));
    assert!(refused(open(&[("KEYVALUE_REDIS_LAYOUT", "hash")]), From::Now).contains("`prefix`"));
    let old = Redis::start(&["--rename-command", "HELLO", ""]);
    assert!(refused(connect(&old.url(), &[]).open("b").unwrap(), From::Now).contains("Redis 6"));
    // The layout `raw` has one name space for all buckets.
    let raw = open(&[("KEYVALUE_REDIS_LAYOUT", "raw")]);
    let mut watch = raw.watch("", From::Now).unwrap();
    redis.command(&["SET", "any", "1"]);
    assert_eq!(wait_for(&mut *watch, 1), [set("any", b"1")]);
}

#[test]
fn a_key_lives_as_long_as_it_was_set_for_and_says_how_long_it_has_left() {
    for redis in both() {
        let bucket = redis.open("b").unwrap();
        bucket.set("lasting", b"").unwrap();
        bucket.set_expiring("long", b"1", Duration::from_secs(1000)).unwrap();
        let left = bucket.lifetimes(&["long", "lasting", "none"]).unwrap();
        assert!(matches!(left[0], Some(left) if left > Duration::from_secs(900) && left <= Duration::from_secs(1000)));
        assert_eq!(left[1..], [None, None]);
        bucket.set("long", b"2").unwrap();
        assert_eq!(bucket.lifetimes(&["long"]), Ok(vec![None]), "set again, it lives on");
        bucket.set_expiring("short", b"1", Duration::from_nanos(1)).unwrap();
        while bucket.exists("short").unwrap() {}
        let minute = Some(Duration::from_secs(60));
        assert_eq!(bucket.create("lock", b"mine", minute), Ok(true));
        assert_eq!(bucket.create("lock", b"theirs", Some(Duration::from_nanos(1))), Ok(false));
        assert!(matches!(bucket.lifetimes(&["lock"]).unwrap()[0], Some(left) if left > Duration::from_secs(50)));
        assert_eq!(bucket.create("short", b"again", Some(Duration::from_nanos(1))), Ok(true));
        while bucket.exists("short").unwrap() {}
        // What is longer than Redis counts.
        bucket.set_expiring("ages", b"", Duration::MAX).unwrap();
        assert_eq!(bucket.create("ages too", b"", Some(Duration::from_millis(u64::MAX))), Ok(true));
        assert_eq!(bucket.get_many(&["ages", "ages too"]), Ok(vec![Some(Vec::new()), Some(Vec::new())]));
        let hash = connect(&redis.server.url(), &[("KEYVALUE_REDIS_LAYOUT", "hash")]).open("h").unwrap();
        assert_eq!(hash.create("k", b"", minute).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(hash.create("made", b"", None), Ok(true));
        assert_eq!(hash.set_expiring("k", b"", Duration::from_secs(1)).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(hash.get("k"), Ok(None));
    }
}
