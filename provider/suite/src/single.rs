//! Operations on one key, and buckets.

use crate::{assert_lists, open};
use kvfuse_core::Store;

pub fn a_key_never_written_has_no_value(store: &dyn Store) {
    let bucket = open(store);
    assert_eq!(bucket.get("nothing").unwrap(), None);
    assert!(!bucket.exists("nothing").unwrap());
}

pub fn what_was_set_is_read(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("key", b"value").unwrap();
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    assert!(bucket.exists("key").unwrap());
}

pub fn setting_again_replaces(store: &dyn Store) {
    let bucket = open(store);
    for value in [&b"first"[..], b"second, and longer", b"3"] {
        bucket.set("key", value).unwrap();
        assert_eq!(bucket.get("key").unwrap().as_deref(), Some(value));
    }
    assert_lists(&*bucket, &["key"]);
}

pub fn deleting_removes_and_deleting_again_succeeds(store: &dyn Store) {
    let bucket = open(store);
    bucket.delete("never there").unwrap();
    bucket.set("key", b"value").unwrap();
    for _ in 0..2 {
        bucket.delete("key").unwrap();
        assert_eq!(bucket.get("key").unwrap(), None);
        assert!(!bucket.exists("key").unwrap());
    }
    bucket.set("key", b"again").unwrap();
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"again"[..]));
}

pub fn the_empty_value_is_a_value(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("key", b"").unwrap();
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b""[..]));
    assert!(bucket.exists("key").unwrap());
    assert_lists(&*bucket, &["key"]);
}

pub fn every_byte_comes_back(store: &dyn Store) {
    let bucket = open(store);
    let value: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    bucket.set("key", &value).unwrap();
    assert_eq!(bucket.get("key").unwrap(), Some(value));
}

/// 1 MB: more than engines treat as a small write, less than the limit of most of them.
pub fn a_large_value_comes_back(store: &dyn Store) {
    let bucket = open(store);
    let value: Vec<u8> = (0..1_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    bucket.set("large", &value).unwrap();
    bucket.set("small", b"beside it").unwrap();
    assert!(bucket.get("large").unwrap().as_ref() == Some(&value));
    bucket.set("large", b"small now").unwrap();
    assert_eq!(bucket.get("large").unwrap().as_deref(), Some(&b"small now"[..]));
}

pub fn buckets_are_separate(store: &dyn Store) {
    let names = ["suite", "Suite", "suite2", "suite/sub", "../suite", "suite\0", "日本", ".", "s"];
    for name in names {
        store.open(name).unwrap().set("key", name.as_bytes()).unwrap();
    }
    for name in names {
        let bucket = store.open(name).unwrap();
        assert_eq!(bucket.get("key").unwrap().as_deref(), Some(name.as_bytes()), "{name:?}");
        assert_lists(&*bucket, &["key"]);
    }
}

pub fn two_handles_see_one_bucket(store: &dyn Store) {
    let (one, other) = (open(store), open(store));
    one.set("key", b"value").unwrap();
    assert_eq!(other.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    other.delete("key").unwrap();
    assert_eq!(one.get("key").unwrap(), None);
}

pub fn opening_creates_nothing(store: &dyn Store) {
    let bucket = open(store);
    assert_lists(&*bucket, &[""; 0]);
    assert_eq!(bucket.get_many(&["a"]).unwrap(), [None]);
    bucket.delete("a").unwrap();
    assert_lists(&*open(store), &[""; 0]);
}
