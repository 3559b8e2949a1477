//! Listing in pages.

use crate::{list_by, open};
use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::{Bucket, Kind, Store};
use std::collections::HashMap;

fn fill(bucket: &dyn Bucket, keys: &[String]) {
    for part in keys.chunks(500) {
        bucket.set_many(&part.iter().map(|key| (key.as_str(), &b"v"[..])).collect::<Vec<_>>()).unwrap();
    }
}

pub fn an_empty_bucket_lists_nothing(store: &dyn Store) {
    let bucket = open(store);
    assert_eq!(list_by(|cursor| bucket.list(cursor)), [""; 0]);
}

pub fn a_listing_gives_every_key_once_and_ends(store: &dyn Store) {
    let bucket = open(store);
    let mut expected: Vec<String> = (0..2 * PAGE_KEYS + 1).map(|n| format!("key {n}")).collect();
    fill(&*bucket, &expected);
    let mut listed = list_by(|cursor| bucket.list(cursor));
    listed.sort();
    expected.sort();
    assert!(listed == expected);
}

/// Others add, overwrite and delete between any two pages; a key that is never deleted is returned exactly once.
pub fn keys_that_stay_are_given_once_while_others_write(store: &dyn Store) {
    let (bucket, writer) = (open(store), open(store));
    let staying: Vec<String> = (0..3000).map(|n| format!("stay {n}")).collect();
    let going: Vec<String> = (0..2000).map(|n| format!("go {n}")).collect();
    fill(&*bucket, &staying);
    fill(&*bucket, &going);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut cursor: Option<String> = None;
    for round in 0.. {
        assert!(round < 1000, "the listing does not end");
        let page = bucket.list(cursor.as_deref()).unwrap();
        page.keys.into_iter().for_each(|key| *seen.entry(key).or_default() += 1);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        for n in 0..20 {
            writer.set(&format!("new {round} {n}"), b"x").unwrap();
            writer.set(&staying[(round * 131 + n * 17) % staying.len()], b"overwritten").unwrap();
            writer.delete(&going[(round * 97 + n) % going.len()]).unwrap();
        }
    }
    for key in &staying {
        assert_eq!(seen.get(key), Some(&1), "{key}");
    }
    assert!(seen.iter().all(|(key, times)| *times == 1 || key.starts_with("new")), "a key was returned twice");
}

pub fn a_cursor_works_from_another_handle(store: &dyn Store) {
    let bucket = open(store);
    let mut expected: Vec<String> = (0..2500).map(|n| format!("{n}")).collect();
    fill(&*bucket, &expected);
    let mut listed = list_by(|cursor| open(store).list(cursor));
    listed.sort();
    expected.sort();
    assert!(listed == expected);
}

pub fn large_keys_end_a_page_early(store: &dyn Store) {
    let bucket = open(store);
    let mut expected: Vec<String> = (0..20).map(|n| n.to_string() + &"k".repeat(100_000)).collect();
    expected.iter().for_each(|key| bucket.set(key, b"").unwrap());
    let mut listed = list_by(|cursor| {
        let page = bucket.list(cursor)?;
        assert!(page.keys.iter().map(String::len).sum::<usize>() < PAGE_BYTES + 100_000);
        Ok(page)
    });
    listed.sort();
    expected.sort();
    assert!(listed == expected);
}

/// A store need not be able to tell its own cursors from other strings, but it must neither trap nor loop.
pub fn a_cursor_made_up_is_refused_or_harmless(store: &dyn Store) {
    let bucket = open(store);
    fill(&*bucket, &["a".to_string(), "b".to_string()]);
    for cursor in ["", "0", "-1", "18446744073709551616", "a", "\0", "../x", "😀", &"9".repeat(5000)] {
        match bucket.list(Some(cursor)) {
            Ok(page) => assert!(page.keys.len() <= 2),
            Err(error) => assert_eq!(error.kind(), Kind::InvalidArgument, "{cursor:?}: {error}"),
        }
    }
}

pub fn a_prefix_lists_every_key_that_begins_with_it_once_and_no_other(store: &dyn Store) {
    let bucket = open(store);
    let mut keys: Vec<String> = (0..1500).map(|n| format!("user/{n}")).collect();
    keys.extend(["user", "users", "User/1", "us*r/1", "u", "", "\u{ff}", "[user]/", "v/user/1"].map(str::to_string));
    fill(&*bucket, &keys);
    for prefix in ["", "user/", "user/149", "user/1499", "us*r", "[", "\u{ff}", "none", "v"] {
        let mut listed = list_by(|cursor| bucket.list_prefix(prefix, cursor));
        let mut expected: Vec<String> = keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
        listed.sort();
        expected.sort();
        assert!(listed == expected, "{prefix:?}: {} instead of {}", listed.len(), expected.len());
    }
}

/// For a store that cannot list.
pub fn a_listing_is_refused_with_the_reason(store: &dyn Store) {
    let bucket = open(store);
    bucket.set("key", b"value").unwrap();
    for refused in [bucket.list(None), bucket.list(Some("7")), bucket.list_prefix("k", None)] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        assert!(error.message().contains("not support"), "{error}");
    }
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"value"[..]));
}
