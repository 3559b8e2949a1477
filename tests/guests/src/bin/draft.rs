//! Every function of `wasi:keyvalue@0.2.0-draft`.

wit_bindgen::generate!({ path: "../../wit/draft", world: "wasi:keyvalue/imports@0.2.0-draft" });

use wasi::keyvalue::store::{self, Bucket, Error};
use wasi::keyvalue::{atomics, batch};

kvfuse_test_guests::cases! {
    a_value_is_set_read_found_and_deleted,
    hostile_keys_are_all_different,
    listings_continue_by_number,
    a_number_that_is_not_a_cursor_is_rejected_or_harmless,
    counters_are_unsigned_up_to_what_a_counter_can_hold,
    a_counter_below_zero_cannot_be_represented_and_is_kept,
    batches_set_get_and_delete,
}

kvfuse_test_guests::drafts!(cursor: Clone::clone);

fn a_value_is_set_read_found_and_deleted() {
    let bucket = open();
    assert_eq!(bucket.get("key").unwrap(), None);
    bucket.set("key", &(0..=255).collect::<Vec<u8>>()).unwrap();
    assert_eq!(open().get("key").unwrap(), Some((0..=255).collect()));
    assert!(bucket.exists("key").unwrap());
    bucket.delete("key").unwrap();
    bucket.delete("key").unwrap();
    assert!(!bucket.exists("key").unwrap());
}

fn hostile_keys_are_all_different() {
    let bucket = open();
    let mut hostile = kvfuse_test_guests::hostile_keys();
    hostile.iter().enumerate().for_each(|(n, key)| bucket.set(key, &n.to_be_bytes()).unwrap());
    for (n, key) in hostile.iter().enumerate() {
        assert_eq!(bucket.get(key).unwrap().as_deref(), Some(&n.to_be_bytes()[..]));
    }
    let mut listed = keys(&bucket);
    listed.sort();
    hostile.sort();
    assert!(listed == hostile);
}

fn listings_continue_by_number() {
    let (bucket, writer) = (open(), open());
    let names: Vec<String> = (0..5_000).map(|n| format!("key {n:04}")).collect();
    let pairs: Vec<_> = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    batch::set_many(&bucket, &pairs).unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = open().list_keys(cursor).unwrap();
        seen.extend(page.keys.into_iter().filter(|key| key.starts_with("key")));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        writer.set(&format!("new {}", seen.len()), b"").unwrap();
    }
    seen.sort();
    assert!(seen == names);
}

fn a_number_that_is_not_a_cursor_is_rejected_or_harmless() {
    let bucket = open();
    bucket.set("key", b"").unwrap();
    for cursor in [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX] {
        match bucket.list_keys(Some(cursor)) {
            Ok(page) => assert!(page.keys.len() <= 1),
            Err(error) => {
                let text = reason(error);
                assert!(text.contains("cursor"), "{text}");
            }
        }
    }
}

fn counters_are_unsigned_up_to_what_a_counter_can_hold() {
    let bucket = open();
    assert_eq!(atomics::increment(&bucket, "n", 7).unwrap(), 7);
    assert_eq!(bucket.get("n").unwrap().as_deref(), Some(&b"7"[..]));
    assert_eq!(atomics::increment(&bucket, "n", i64::MAX as u64 - 7).unwrap(), i64::MAX as u64);
    for delta in [1, u64::MAX, i64::MAX as u64 + 1] {
        let text = reason(atomics::increment(&bucket, "n", delta).unwrap_err());
        assert!(text.contains("9223372036854775807"), "{text}");
    }
    assert_eq!(bucket.get("n").unwrap().as_deref(), Some(&b"9223372036854775807"[..]));
}

fn a_counter_below_zero_cannot_be_represented_and_is_kept() {
    let bucket = open();
    bucket.set("n", b"-5").unwrap();
    let text = reason(atomics::increment(&bucket, "n", 2).unwrap_err());
    assert!(text.contains("-5 plus 2 is -3"), "{text}");
    assert_eq!(bucket.get("n").unwrap().as_deref(), Some(&b"-5"[..]));
    assert_eq!(atomics::increment(&bucket, "n", 6).unwrap(), 1);
}

fn batches_set_get_and_delete() {
    let bucket = open();
    let pair = |key: &str, value: &[u8]| (key.to_string(), value.to_vec());
    batch::set_many(&bucket, &[pair("a", b"1"), pair("b", b"")]).unwrap();
    let values = batch::get_many(&bucket, &["b", "none", "a"].map(String::from)).unwrap();
    assert_eq!(values, [Some(pair("b", b"")), None, Some(pair("a", b"1"))]);
    batch::delete_many(&bucket, &["a".to_string(), "none".to_string()]).unwrap();
    assert_eq!(keys(&bucket), ["b"]);
}
