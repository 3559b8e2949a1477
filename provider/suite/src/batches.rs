//! Batches.

use crate::{assert_lists, open};
use kvfuse_core::Store;

pub fn a_batch_reads_in_the_order_asked(store: &dyn Store) {
    let bucket = open(store);
    bucket.set_many(&[("a", b"1"), ("b", b""), ("c", b"3")]).unwrap();
    let values = bucket.get_many(&["c", "none", "a", "c", "b"]).unwrap();
    let expected: [Option<&[u8]>; 5] = [Some(b"3"), None, Some(b"1"), Some(b"3"), Some(b"")];
    assert_eq!(values.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
}

pub fn a_batch_sets_and_deletes(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("kept", b"k").unwrap();
    bucket.set("b", b"old").unwrap();
    bucket.set_many(&[("a", b"1"), ("b", b"2")]).unwrap();
    assert_eq!(bucket.get("b").unwrap().as_deref(), Some(&b"2"[..]));
    bucket.delete_many(&["a", "never there", "b", "a"]).unwrap();
    for gone in ["a", "b"] {
        assert!(!bucket.exists(gone).unwrap(), "{gone}");
    }
    assert!(bucket.exists("kept").unwrap());
    assert_lists(&*bucket, &["kept"]);
}

pub fn the_last_of_equal_keys_wins(store: &dyn Store) {
    let bucket = open(store);
    bucket.set_many(&[("key", b"first"), ("other", b"x"), ("key", b"last")]).unwrap();
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"last"[..]));
}

pub fn an_empty_batch_succeeds(store: &dyn Store) {
    let bucket = open(store);
    assert_eq!(bucket.get_many(&[]).unwrap(), Vec::<Option<Vec<u8>>>::new());
    bucket.set_many(&[]).unwrap();
    bucket.delete_many(&[]).unwrap();
}

pub fn a_batch_of_thousands_is_complete(store: &dyn Store) {
    let bucket = open(store);
    let keys: Vec<String> = (0..5000).map(|n| format!("key {n}")).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), key.as_bytes())).collect();
    bucket.set_many(&pairs).unwrap();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let values = bucket.get_many(&names).unwrap();
    assert!(values.iter().zip(&names).all(|(value, name)| value.as_deref() == Some(name.as_bytes())));
    bucket.delete_many(&names).unwrap();
    assert!(bucket.get_many(&names).unwrap().iter().all(Option::is_none));
    assert_lists(&*bucket, &[""; 0]);
}
