//! Lifetimes of keys.

use crate::{assert_lists, open};
use kvfuse_core::{Bucket, Snapshot, Store, Swap};
use std::time::{Duration, Instant};

/// Outlasts any test.
const LONG: Duration = Duration::from_secs(3600);
/// Ends in a test; stores whose unit is a second round it up.
const SHORT: Duration = Duration::from_millis(20);

/// Sets a key for a while, and waits until it is gone. Returns what it was seen with, if it was seen.
fn outlive(bucket: &dyn Bucket, key: &str, value: &[u8]) -> Snapshot {
    bucket.set_expiring(key, value, SHORT).unwrap();
    let seen = bucket.snapshot(key).unwrap();
    let begin = Instant::now();
    while bucket.exists(key).unwrap() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the key never ends");
    }
    seen
}

/// The remaining lifetime of the key `key`.
fn left(bucket: &dyn Bucket) -> Option<Duration> {
    bucket.lifetimes(&["key"]).unwrap()[0]
}

pub fn a_key_with_a_lifetime_is_there_until_its_end_and_then_absent(store: &dyn Store) {
    let (bucket, another) = (open(store), open(store));
    bucket.set_expiring("lives on", b"1", LONG).unwrap();
    let seen = outlive(&*bucket, "ends", b"2");
    assert!(seen.value.is_none_or(|value| value == b"2"));
    for bucket in [bucket, another] {
        assert_eq!(bucket.get("lives on").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(bucket.get("ends"), Ok(None));
        assert_eq!(bucket.snapshot("ends"), Ok(Snapshot::ABSENT));
        assert_eq!(bucket.get_many(&["ends", "lives on"]), Ok(vec![None, Some(b"1".to_vec())]));
        assert_lists(&*bucket, &["lives on"]);
    }
}

pub fn the_remaining_lifetime_is_told_of_those_that_have_one(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("lasting", b"1").unwrap();
    bucket.set_expiring("long", b"1", LONG).unwrap();
    bucket.set_expiring("longer", b"1", LONG * 2).unwrap();
    let left = bucket.lifetimes(&["long", "lasting", "none", "longer", "long"]).unwrap();
    assert_eq!(left.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, true, true]);
    assert!(left[0].is_some_and(|left| left > LONG / 2 && left <= LONG + Duration::from_secs(2)), "{left:?}");
    assert!(left[3] > left[0], "{left:?}");
}

pub fn what_is_set_after_an_end_begins_anew(store: &dyn Store) {
    let bucket = open(store);
    outlive(&*bucket, "counter", b"40");
    assert_eq!(bucket.increment("counter", 2, 0), Ok(2));
    outlive(&*bucket, "created", b"1");
    assert_eq!(bucket.create("created", b"2", None), Ok(true));
    assert_eq!(bucket.create("created", b"3", None), Ok(false));
    outlive(&*bucket, "set", b"1");
    bucket.set("set", b"2").unwrap();
    outlive(&*bucket, "deleted", b"1");
    bucket.delete("deleted").unwrap();
    bucket.delete_many(&["deleted"]).unwrap();
    assert_eq!(bucket.lifetimes(&["counter", "created", "set"]), Ok(vec![None, None, None]));
    let two = Some(b"2".to_vec());
    assert_eq!(
        bucket.get_many(&["counter", "created", "set", "deleted"]),
        Ok(vec![two.clone(), two.clone(), two, None])
    );
}

pub fn a_version_from_before_an_end_conflicts_after_it(store: &dyn Store) {
    let bucket = open(store);
    let seen = outlive(&*bucket, "key", b"1");
    if seen.value.is_some() {
        assert_eq!(bucket.swap("key", &seen.version, b"2"), Ok(Swap::Conflict(Snapshot::ABSENT)));
    }
    assert_eq!(bucket.swap("key", &Snapshot::ABSENT.version, b"3"), Ok(Swap::Done));
    if seen.value.is_some() {
        assert!(matches!(bucket.swap("key", &seen.version, b"2"), Ok(Swap::Conflict(now)) if now.value.is_some()));
    }
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"3"[..]));
}

pub fn a_set_a_batch_and_a_swap_end_a_lifetime(store: &dyn Store) {
    let bucket = open(store);
    let begin = || bucket.set_expiring("key", b"1", LONG).unwrap();
    begin();
    bucket.set("key", b"2").unwrap();
    assert_eq!(left(&*bucket), None);
    begin();
    bucket.set_many(&[("key", b"3")]).unwrap();
    assert_eq!(left(&*bucket), None);
    begin();
    let seen = bucket.snapshot("key").unwrap();
    assert_eq!(bucket.swap("key", &seen.version, b"4"), Ok(Swap::Done));
    assert_eq!(left(&*bucket), None);
    begin();
    bucket.delete("key").unwrap();
    bucket.set("key", b"5").unwrap();
    assert_eq!(left(&*bucket), None);
}

pub fn an_increment_keeps_the_lifetime(store: &dyn Store) {
    let bucket = open(store);
    bucket.set_expiring("key", b"1", LONG).unwrap();
    assert_eq!(bucket.increment("key", 1, 0), Ok(2));
    assert!(left(&*bucket).is_some_and(|left| left > LONG / 2));
}

pub fn what_is_created_may_have_a_lifetime(store: &dyn Store) {
    let bucket = open(store);
    assert_eq!(bucket.create("key", b"1", Some(LONG)), Ok(true));
    assert!(left(&*bucket).is_some());
    bucket.set("key", b"2").unwrap();
    assert_eq!(bucket.create("key", b"3", Some(LONG)), Ok(false), "it is there");
    assert_eq!((left(&*bucket), bucket.get("key").unwrap().as_deref()), (None, Some(&b"2"[..])));
}
