//! Compare-and-swap.

use crate::open;
use kvfuse_core::{Bucket, Snapshot, Store, Swap};

fn conflict(bucket: &dyn Bucket, expected: &Snapshot, value: &[u8]) -> Snapshot {
    match bucket.swap("key", &expected.version, value).unwrap() {
        Swap::Conflict(now) => now,
        Swap::Done => panic!("the swap succeeded on an outdated version"),
    }
}

/// Adds one to a number in decimal text by compare-and-swap, retrying after every conflict.
pub fn add_one_by_swaps(bucket: &dyn Bucket, key: &str) {
    let mut seen = bucket.snapshot(key).unwrap();
    loop {
        let text = String::from_utf8(seen.value.unwrap_or_else(|| b"0".to_vec())).unwrap();
        let next = (text.parse::<u64>().unwrap() + 1).to_string();
        match bucket.swap(key, &seen.version, next.as_bytes()).unwrap() {
            Swap::Done => return,
            Swap::Conflict(now) => seen = now,
        }
    }
}

pub fn a_snapshot_of_nothing_is_absent(store: &dyn Store) {
    assert_eq!(open(store).snapshot("key").unwrap(), Snapshot::ABSENT);
}

pub fn a_swap_on_what_was_seen_succeeds(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("key", b"one").unwrap();
    for value in [&b"two"[..], b"three", b""] {
        let seen = bucket.snapshot("key").unwrap();
        assert_eq!(seen.value, bucket.get("key").unwrap());
        assert_eq!(bucket.swap("key", &seen.version, value).unwrap(), Swap::Done);
        assert_eq!(bucket.get("key").unwrap().as_deref(), Some(value));
    }
}

pub fn a_swap_on_what_changed_returns_what_is_there(store: &dyn Store) {
    let (mine, theirs) = (open(store), open(store));
    mine.set("key", b"one").unwrap();
    let seen = mine.snapshot("key").unwrap();
    theirs.set("key", b"two").unwrap();
    let now = conflict(&*mine, &seen, b"three");
    assert_eq!(now.value.as_deref(), Some(&b"two"[..]));
    assert_eq!(mine.get("key").unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(mine.swap("key", &now.version, b"three").unwrap(), Swap::Done);
    assert_eq!(theirs.get("key").unwrap().as_deref(), Some(&b"three"[..]));
}

pub fn a_swap_on_an_absent_key_creates_it_once(store: &dyn Store) {
    let bucket = open(store);
    let absent = bucket.snapshot("key").unwrap();
    assert_eq!(bucket.swap("key", &absent.version, b"first").unwrap(), Swap::Done);
    assert_eq!(conflict(&*bucket, &absent, b"second").value.as_deref(), Some(&b"first"[..]));
}

pub fn a_value_that_went_away_and_came_back_is_another_version(store: &dyn Store) {
    let (mine, theirs) = (open(store), open(store));
    mine.set("key", b"A").unwrap();
    let seen = mine.snapshot("key").unwrap();
    theirs.set("key", b"B").unwrap();
    theirs.set("key", b"A").unwrap();
    assert_eq!(conflict(&*mine, &seen, b"C").value.as_deref(), Some(&b"A"[..]));

    let seen = mine.snapshot("key").unwrap();
    theirs.delete("key").unwrap();
    theirs.set("key", b"A").unwrap();
    assert_eq!(conflict(&*mine, &seen, b"C").value.as_deref(), Some(&b"A"[..]));

    mine.set("key", b"1").unwrap();
    let seen = mine.snapshot("key").unwrap();
    theirs.increment("key", 1, i64::MIN).unwrap();
    theirs.increment("key", -1, i64::MIN).unwrap();
    assert_eq!(conflict(&*mine, &seen, b"C").value.as_deref(), Some(&b"1"[..]));
}

pub fn a_swap_after_a_delete_conflicts(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("key", b"value").unwrap();
    let seen = bucket.snapshot("key").unwrap();
    bucket.delete("key").unwrap();
    assert_eq!(conflict(&*bucket, &seen, b"other"), Snapshot::ABSENT);
    assert_eq!(bucket.get("key").unwrap(), None);
}
