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

pub fn what_is_created_was_not_there(store: &dyn Store) {
    let bucket = open(store);
    assert_eq!(bucket.create("key", b"first", None), Ok(true));
    assert_eq!(bucket.create("key", b"second", None), Ok(false));
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"first"[..]));
    bucket.delete("key").unwrap();
    assert_eq!(bucket.create("key", b"", None), Ok(true));
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b""[..]));
}

pub fn a_version_works_from_its_text_until_the_key_is_written(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("key", b"one").unwrap();
    let seen = bucket.snapshot("key").unwrap();
    let text = bucket.version_text("key", &seen.version);
    assert_eq!(bucket.version_of_text("key", &text), Some(seen.version.clone()));
    assert_eq!(bucket.swap("key", &bucket.version_of_text("key", &text).unwrap(), b"two").unwrap(), Swap::Done);
    let Swap::Conflict(now) = bucket.swap("key", &bucket.version_of_text("key", &text).unwrap(), b"three").unwrap()
    else {
        panic!("the swap succeeded on an outdated version");
    };
    assert_eq!(now.value.as_deref(), Some(&b"two"[..]));
    assert_ne!(bucket.version_text("key", &now.version), text);
}

pub fn a_text_that_is_no_version_is_none_or_harmless(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("key", b"value").unwrap();
    for text in ["", "-", "0", "-1", "18446744073709551616", "x", "x0", "1.2.3", "../x", "\u{1f600}", &"9".repeat(5000)]
    {
        let Some(version) = bucket.version_of_text("key", text) else { continue };
        assert!(matches!(bucket.swap("key", &version, b"other").unwrap(), Swap::Conflict(_)), "{text:?}");
    }
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"value"[..]));
}
