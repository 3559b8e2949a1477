//! Watching a real cluster, and lifetimes of keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnEtcd, connect};
use kvfuse_core::watch::From;
use kvfuse_core::{Change, Kind, Result, Store, Watch};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(300);

fn set(key: &str, value: &[u8]) -> Change {
    Change::Set { key: key.into(), value: value.into() }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.into() }
}

/// Waits until `count` changes have come. Gives them with the last position.
fn wait_for(watch: &mut dyn Watch, count: usize) -> (Vec<Change>, String) {
    let (mut changes, mut position) = (Vec::new(), String::new());
    while changes.len() < count {
        let more = watch.next(PATIENCE).unwrap();
        assert_eq!(more.missed, None);
        changes.extend(more.changes);
        position = more.position.unwrap();
    }
    (changes, position)
}

#[test]
fn every_change_is_delivered_once_in_order_with_the_value_it_had() {
    let etcd = OwnEtcd::start(1, &[], &[]);
    let bucket = etcd.open("b").unwrap();
    let mut watch = bucket.watch("k", From::Now).unwrap();
    let other = connect(&etcd.server.endpoints(), &[]).open("b").unwrap();
    let writes: [&dyn Fn() -> Result<()>; 7] = [
        &|| other.set("k", b"1"),
        &|| other.increment("k", 5, 0).map(drop),
        &|| other.set_many(&[("x", b""), ("kk", b"7")]),
        &|| other.delete("k"),
        &|| other.delete("k"),
        &|| etcd.open("other").unwrap().set("k", b""),
        &|| other.set("key\n", &[0, 255]),
    ];
    writes.iter().for_each(|write| write().unwrap());
    let expected = [set("k", b"1"), set("k", b"6"), set("kk", b"7"), delete("k"), set("key\n", &[0, 255])];
    assert_eq!(wait_for(&mut *watch, 5).0, expected);
    assert!(watch.next(PATIENCE).unwrap().changes.is_empty());
}

#[test]
fn an_answer_is_bounded_and_a_watch_goes_on_behind_the_position_of_another() {
    let etcd = OwnEtcd::start(1, &[], &[]);
    let bucket = etcd.open("b").unwrap();
    bucket.set("before", b"").unwrap();
    let mut watch = bucket.watch("", From::Now).unwrap();
    let start = watch.next(Duration::ZERO).unwrap().position.unwrap();
    for n in 0..8 {
        let keys: Vec<String> = (0..100).map(|m| format!("{n}.{m}")).collect();
        bucket.set_many(&keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect::<Vec<_>>()).unwrap();
    }
    let (all, _) = wait_for(&mut *watch, 800);
    assert_eq!(relayed(&etcd, &start, 800), all);
    // Transactions that the server tells of together, and in parts that do not end where they do.
    let large = vec![7; 100 << 10];
    for n in 8..20 {
        let keys: Vec<String> = (0..13).map(|m| format!("{n}.{m}")).collect();
        bucket.set_many(&keys.iter().map(|key| (key.as_str(), &large[..])).collect::<Vec<_>>()).unwrap();
    }
    let (all, _) = wait_for(&mut *bucket.watch("", From::Position(&start)).unwrap(), 800 + 12 * 13);
    assert!(all.iter().map(Change::size).sum::<usize>() > 12 << 20);
    assert_eq!(relayed(&etcd, &start, 800 + 12 * 13), all);
}

/// What comes behind a position if each answer goes to another instance, which goes on where the one before was.
fn relayed(etcd: &OwnEtcd, start: &str, count: usize) -> Vec<Change> {
    let (mut heard, mut position) = (Vec::new(), start.to_string());
    while heard.len() < count {
        let bucket = connect(&etcd.server.endpoints(), &[]).open("b").unwrap();
        let answer = bucket.watch("", From::Position(&position)).unwrap().next(PATIENCE).unwrap();
        let size = answer.changes.iter().map(Change::size).sum::<usize>();
        assert!(answer.changes.len() <= 500 && size < 5 << 20 && answer.missed.is_none());
        for change in answer.changes {
            // A part of a transaction may come again.
            if !heard.contains(&change) {
                heard.push(change);
            }
        }
        position = answer.position.unwrap();
    }
    heard
}

#[test]
fn a_compacted_revision_and_another_cluster_are_told_and_everything_follows() {
    let etcd = OwnEtcd::start(1, &[], &[]);
    let bucket = etcd.open("b").unwrap();
    bucket.set("gone", b"1").unwrap();
    let position = bucket.watch("", From::Now).unwrap().next(Duration::ZERO).unwrap().position.unwrap();
    bucket.delete("gone").unwrap();
    bucket.set("a", b"1").unwrap();
    bucket.set("b", b"2").unwrap();
    let resumed = bucket.watch("", From::Position(&position)).unwrap();
    etcd.server.post("/v3/kv/compaction", &format!(r#"{{"revision":"{}"}}"#, etcd.server.revision()));
    let told = |mut watch: Box<dyn Watch>, why: &str| {
        let mut first = watch.next(PATIENCE).unwrap();
        let missed = first.missed.take().unwrap();
        assert!(missed.contains(why), "{missed}");
        while first.changes.len() < 2 {
            first.changes.extend(watch.next(PATIENCE).unwrap().changes);
        }
        assert_eq!(first.changes, [set("a", b"1"), set("b", b"2")]);
        watch
    };
    let mut watch = told(resumed, "compacted");
    bucket.set("c", b"3").unwrap();
    let (changes, position) = wait_for(&mut *watch, 1);
    assert_eq!(changes, [set("c", b"3")]);

    let other = OwnEtcd::start(1, &[], &[]);
    let bucket = other.open("b").unwrap();
    // Its revisions go further than the position, so only its name tells.
    for _ in 0..20 {
        bucket.set_many(&[("a", b"1"), ("b", b"2")]).unwrap();
    }
    told(bucket.watch("", From::Position(&position)).unwrap(), "another etcd cluster");
    for wrong in ["", "7", "x.7", "-1.7", "007.7", "new"] {
        let error = bucket.watch("", From::Position(wrong)).err().unwrap();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{wrong}");
    }
}

#[test]
fn another_cluster_in_the_place_of_the_watched_one_is_told_whether_it_is_ahead_or_behind() {
    for writes in [1, 40] {
        let mut etcd = OwnEtcd::start(1, &[], &[]);
        let other = OwnEtcd::start(1, &[], &[]);
        etcd.open("b").unwrap().set("gone", b"1").unwrap();
        for n in 0..writes {
            other.open("b").unwrap().set(&format!("{n}"), b"v").unwrap();
        }
        let both = format!("{},{}", etcd.server.endpoints(), other.server.endpoints());
        let bucket = connect(&both, &[("KEYVALUE_TIMEOUT_MS", "20000")]).open("b").unwrap();
        let mut watch = bucket.watch("", From::Now).unwrap();
        for n in 0..9 {
            etcd.open("b").unwrap().set("gone", format!("{n}").as_bytes()).unwrap();
        }
        wait_for(&mut *watch, 9);
        etcd.server.kill(0);
        let mut first = loop {
            match watch.next(PATIENCE) {
                Ok(next) if next.changes.is_empty() && next.missed.is_none() => {}
                Ok(next) => break next,
                Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Timeout), "{error}"),
            }
        };
        assert!(first.missed.unwrap().contains("another etcd cluster"));
        while first.changes.len() < writes {
            first.changes.extend(watch.next(PATIENCE).unwrap().changes);
        }
        assert!(first.changes.iter().all(|change| change.key() != "gone"));
        other.open("b").unwrap().set("next", b"v").unwrap();
        assert_eq!(wait_for(&mut *watch, 1).0, [set("next", b"v")]);
    }
}

#[test]
fn a_member_that_dies_is_replaced_by_another_and_nothing_is_missed() {
    let mut etcd = OwnEtcd::start(3, &[], &[("KEYVALUE_TIMEOUT_MS", "20000")]);
    let bucket = etcd.open("b").unwrap();
    let mut watch = bucket.watch("", From::Beginning).unwrap();
    bucket.set("k", b"0").unwrap();
    wait_for(&mut *watch, 1);
    let mut heard = Vec::new();
    for member in 0..3 {
        etcd.server.kill(member);
        let written = format!("{member}");
        // The cluster needs a moment for a new leader.
        while bucket.set(&written, b"v").is_err() {}
        while heard.last() != Some(&set(&written, b"v")) {
            match watch.next(PATIENCE) {
                Ok(more) => {
                    assert_eq!(more.missed, None);
                    heard.extend(more.changes);
                }
                Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Timeout), "{error}"),
            }
        }
        etcd.server.resume(member);
        etcd.server.wait_until_serving();
    }
    for member in 0..3 {
        assert!(heard.contains(&set(&format!("{member}"), b"v")));
    }
}

#[test]
fn the_beginning_is_everything_and_then_what_changes() {
    let etcd = OwnEtcd::start(1, &[], &[]);
    let bucket = etcd.open("b").unwrap();
    bucket.set_many(&[("p/a", b"1"), ("p/b", b"2"), ("q", b"3")]).unwrap();
    let mut watch = bucket.watch("p/", From::Beginning).unwrap();
    bucket.delete("p/a").unwrap();
    bucket.set("q", b"4").unwrap();
    bucket.set("p/c", b"5").unwrap();
    let (mut changes, part) = wait_for(&mut *watch, 1);
    changes.extend(wait_for(&mut *watch, 3).0);
    // The listing was made after they had changed, and their changes come again.
    assert_eq!(changes, [set("p/b", b"2"), set("p/c", b"5"), delete("p/a"), set("p/c", b"5")]);
    // Behind the position of a part of everything comes all that there was.
    let mut again = bucket.watch("p/", From::Position(&part)).unwrap();
    assert_eq!(wait_for(&mut *again, 4).0, [set("p/a", b"1"), set("p/b", b"2"), delete("p/a"), set("p/c", b"5")]);
}

#[test]
fn without_permission_it_is_access_denied() {
    let mut etcd = OwnEtcd::start(1, &[], &[]);
    etcd.server.enable_logins();
    let login = [("KEYVALUE_ETCD_USERNAME", "ann"), ("KEYVALUE_ETCD_PASSWORD", "hunter2")];
    let ann = connect(&etcd.server.endpoints(), &login);
    let mut own = ann.open("ann").unwrap().watch("", From::Now).unwrap();
    ann.open("ann").unwrap().set("k", b"v").unwrap();
    assert_eq!(wait_for(&mut *own, 1).0, [set("k", b"v")]);
    let error = ann.open("other").unwrap().watch("", From::Now).err().unwrap();
    assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
}

#[test]
fn a_key_lives_as_long_as_it_was_set_for_and_says_how_long_it_has_left() {
    let etcd = OwnEtcd::start(1, &[], &[]);
    let bucket = etcd.open("b").unwrap();
    bucket.set("lasting", b"").unwrap();
    bucket.set_expiring("long", b"1", Duration::from_secs(1000)).unwrap();
    let left = bucket.lifetimes(&["long", "lasting", "none", "long"]).unwrap();
    assert!(matches!(left[0], Some(left) if left > Duration::from_secs(900) && left <= Duration::from_secs(1000)));
    assert_eq!((left[1], left[2], left[3]), (None, None, left[0]));
    bucket.set("long", b"2").unwrap();
    assert_eq!(bucket.lifetimes(&["long"]), Ok(vec![None]), "set again, it lives on");
    let minute = Some(Duration::from_secs(60));
    assert_eq!(bucket.create("lock", b"mine", minute), Ok(true));
    assert_eq!(bucket.create("lock", b"theirs", Some(Duration::from_nanos(1))), Ok(false));
    assert!(matches!(bucket.lifetimes(&["lock"]).unwrap()[0], Some(left) if left > Duration::from_secs(50)));
    // More than etcd grants is an error, and not another lifetime.
    assert!(bucket.create("ages", b"", Some(Duration::MAX)).is_err());
    assert!(bucket.set_expiring("ages", b"", Duration::from_millis(u64::MAX)).is_err());
    assert_eq!(bucket.get("ages"), Ok(None));
    let mut watch = bucket.watch("short", From::Now).unwrap();
    bucket.set_expiring("short", b"1", Duration::from_nanos(1)).unwrap();
    assert_eq!(wait_for(&mut *watch, 2).0, [set("short", b"1"), delete("short")]);
    assert_eq!(bucket.get("short"), Ok(None));
}
