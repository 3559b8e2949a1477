//! Every function of `wasi:keyvalue@0.2.0-draft2`, and the sizes and names that a provider must support.

wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use wasi::keyvalue::atomics::{self, Cas, CasError};
use wasi::keyvalue::batch;
use wasi::keyvalue::store::{self, Bucket, Error};

kvfuse_test_guests::cases! {
    a_value_is_set_read_found_and_deleted,
    every_byte_and_the_empty_value_come_back,
    sixteen_mebibytes_come_back,
    a_value_over_the_limit_is_rejected_and_the_error_says_how_to_raise_it,
    hostile_keys_are_all_different,
    a_key_over_a_mebibyte_is_refused,
    many_keys_are_paged_while_another_handle_writes,
    counters_have_the_full_range,
    what_is_not_a_counter_is_rejected_and_kept,
    a_swap_succeeds_on_what_was_seen,
    a_swap_that_lost_returns_a_handle_on_the_current_value,
    a_swap_creates_an_absent_key_once,
    a_swap_is_not_fooled_by_a_restored_value,
    batches_set_get_and_delete,
    bucket_names_cannot_escape_or_collide,
    the_empty_name_is_the_bucket_default,
    the_bucket_memory_is_shared_by_all_handles,
    names_that_start_and_end_with_a_colon_are_reserved,
}

kvfuse_test_guests::drafts!(cursor: Option::as_deref);

fn a_value_is_set_read_found_and_deleted() {
    let bucket = open();
    assert_eq!(bucket.get("key").unwrap(), None);
    assert!(!bucket.exists("key").unwrap());
    bucket.set("key", b"value").unwrap();
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    assert!(bucket.exists("key").unwrap());
    bucket.set("key", b"other").unwrap();
    assert_eq!(open().get("key").unwrap().as_deref(), Some(&b"other"[..]));
    bucket.delete("key").unwrap();
    bucket.delete("key").unwrap();
    assert_eq!(bucket.get("key").unwrap(), None);
    assert_eq!(keys(&bucket), [""; 0]);
}

fn every_byte_and_the_empty_value_come_back() {
    let bucket = open();
    let bytes: Vec<u8> = (0..=255).collect();
    bucket.set("bytes", &bytes).unwrap();
    bucket.set("empty", b"").unwrap();
    assert_eq!(bucket.get("bytes").unwrap(), Some(bytes));
    assert_eq!(bucket.get("empty").unwrap().as_deref(), Some(&b""[..]));
    assert!(bucket.exists("empty").unwrap());
}

fn large(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

fn sixteen_mebibytes_come_back() {
    let (bucket, value) = (open(), large(16 << 20));
    bucket.set("large", &value).unwrap();
    bucket.set("small", b"s").unwrap();
    assert!(open().get("large").unwrap() == Some(value));
    bucket.set("large", b"no more").unwrap();
    assert_eq!(bucket.get("large").unwrap().as_deref(), Some(&b"no more"[..]));
}

fn a_value_over_the_limit_is_rejected_and_the_error_says_how_to_raise_it() {
    let bucket = open();
    bucket.set("key", b"before").unwrap();
    let text = reason(bucket.set("key", &vec![0; (64 << 20) + 1]).unwrap_err());
    assert!(text.contains("67108865 bytes") && text.contains("KEYVALUE_MAX_VALUE"), "{text}");
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"before"[..]));
}

fn hostile_keys_are_all_different() {
    let bucket = open();
    let mut hostile = kvfuse_test_guests::hostile_keys();
    for (n, key) in hostile.iter().enumerate() {
        assert_eq!(bucket.get(key).unwrap(), None);
        bucket.set(key, &n.to_be_bytes()).unwrap();
    }
    for (n, key) in hostile.iter().enumerate() {
        assert_eq!(bucket.get(key).unwrap().as_deref(), Some(&n.to_be_bytes()[..]));
    }
    let mut listed = keys(&bucket);
    listed.sort();
    hostile.sort();
    assert!(listed == hostile);
}

fn a_key_over_a_mebibyte_is_refused() {
    let key = "k".repeat((1 << 20) + 1);
    let bucket = open();
    for error in [bucket.set(&key, b"").unwrap_err(), bucket.get(&key).unwrap_err(), bucket.delete(&key).unwrap_err()] {
        let text = reason(error);
        assert!(text.contains("1048577 bytes") && text.contains("1048576"), "{text}");
    }
}

fn many_keys_are_paged_while_another_handle_writes() {
    let (bucket, writer) = (open(), open());
    let count = std::env::var("KEYS").map_or(100_000, |count| count.parse().unwrap());
    let names: Vec<String> = (0..count).map(|n| format!("key {n:06}")).collect();
    for part in names.chunks(5_000) {
        let pairs: Vec<_> = part.iter().map(|name| (name.clone(), b"v".to_vec())).collect();
        batch::set_many(&bucket, &pairs).unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    let mut pages = 0;
    loop {
        let page = bucket.list_keys(cursor.as_deref()).unwrap();
        seen.extend(page.keys.into_iter().filter(|key| key.starts_with("key")));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        writer.set(&format!("new {pages}"), b"n").unwrap();
        writer.set(&names[pages * 7919 % names.len()], b"overwritten").unwrap();
        pages += 1;
    }
    assert!(pages >= count / 2_000, "{pages} pages");
    seen.sort();
    assert!(seen == names, "{} of {} keys", seen.len(), names.len());
}

fn counters_have_the_full_range() {
    let bucket = open();
    assert_eq!(atomics::increment(&bucket, "n", 0).unwrap(), 0);
    assert_eq!(atomics::increment(&bucket, "n", i64::MAX).unwrap(), i64::MAX);
    let text = reason(atomics::increment(&bucket, "n", 1).unwrap_err());
    assert!(text.contains("9223372036854775807 plus 1 does not fit"), "{text}");
    assert_eq!(atomics::increment(&bucket, "n", i64::MIN).unwrap(), -1);
    assert_eq!(atomics::increment(&bucket, "n", i64::MIN + 1).unwrap(), i64::MIN);
    assert!(atomics::increment(&bucket, "n", -1).is_err());
    assert_eq!(bucket.get("n").unwrap().as_deref(), Some(&b"-9223372036854775808"[..]));
}

fn what_is_not_a_counter_is_rejected_and_kept() {
    let bucket = open();
    bucket.set("n", b"seven").unwrap();
    let text = reason(atomics::increment(&bucket, "n", 1).unwrap_err());
    assert!(text.contains("not a counter") && text.contains("decimal"), "{text}");
    assert_eq!(bucket.get("n").unwrap().as_deref(), Some(&b"seven"[..]));
}

fn a_swap_succeeds_on_what_was_seen() {
    let bucket = open();
    bucket.set("key", b"one").unwrap();
    let cas = Cas::new(&bucket, "key").unwrap();
    assert_eq!(cas.current().unwrap().as_deref(), Some(&b"one"[..]));
    atomics::swap(cas, b"two").unwrap();
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"two"[..]));
}

fn a_swap_that_lost_returns_a_handle_on_the_current_value() {
    let bucket = open();
    bucket.set("key", b"one").unwrap();
    let cas = Cas::new(&bucket, "key").unwrap();
    bucket.set("key", b"two").unwrap();
    assert_eq!(cas.current().unwrap().as_deref(), Some(&b"one"[..]), "the handle keeps what it saw");
    let Err(CasError::CasFailed(fresh)) = atomics::swap(cas, b"three") else { panic!("the swap must lose") };
    assert_eq!(fresh.current().unwrap().as_deref(), Some(&b"two"[..]));
    atomics::swap(fresh, b"three").unwrap();
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"three"[..]));
}

fn a_swap_creates_an_absent_key_once() {
    let bucket = open();
    let (first, second) = (Cas::new(&bucket, "key").unwrap(), Cas::new(&bucket, "key").unwrap());
    assert_eq!(first.current().unwrap(), None);
    atomics::swap(first, b"mine").unwrap();
    let Err(CasError::CasFailed(fresh)) = atomics::swap(second, b"theirs") else { panic!("the swap must lose") };
    assert_eq!(fresh.current().unwrap().as_deref(), Some(&b"mine"[..]));
}

fn a_swap_is_not_fooled_by_a_restored_value() {
    let bucket = open();
    bucket.set("key", b"A").unwrap();
    let cas = Cas::new(&bucket, "key").unwrap();
    bucket.set("key", b"B").unwrap();
    bucket.set("key", b"A").unwrap();
    assert!(matches!(atomics::swap(cas, b"C"), Err(CasError::CasFailed(_))));
}

fn batches_set_get_and_delete() {
    let bucket = open();
    let pair = |key: &str, value: &[u8]| (key.to_string(), value.to_vec());
    batch::set_many(&bucket, &[pair("a", b"1"), pair("b", b""), pair("a", b"last")]).unwrap();
    let asked = ["b", "none", "a", "b"].map(String::from);
    let values = batch::get_many(&bucket, &asked).unwrap();
    let expected = [("b", Some(&b""[..])), ("none", None), ("a", Some(b"last")), ("b", Some(b""))];
    assert_eq!(values, expected.map(|(key, value)| (key.to_string(), value.map(<[u8]>::to_vec))));
    batch::delete_many(&bucket, &["a".to_string(), "none".to_string()]).unwrap();
    assert_eq!(keys(&bucket), ["b"]);
    batch::set_many(&bucket, &[]).unwrap();
    assert_eq!(batch::get_many(&bucket, &[]).unwrap(), []);
}

fn bucket_names_cannot_escape_or_collide() {
    let long = "n".repeat(256);
    let names = ["a", "A", "../x", "..", ".", "/", "a/b", "a\0b", "日本", "con", " ", long.as_str()];
    for name in names {
        store::open(name).unwrap().set("key", name.as_bytes()).unwrap();
    }
    for name in names {
        let bucket = store::open(name).unwrap();
        assert_eq!(bucket.get("key").unwrap().as_deref(), Some(name.as_bytes()), "{name:?}");
        assert_eq!(keys(&bucket), ["key"]);
    }
    let text = reason(store::open(&"n".repeat(257)).unwrap_err());
    assert!(text.contains("257 bytes"), "{text}");
}

fn the_empty_name_is_the_bucket_default() {
    store::open("").unwrap().set("key", b"value").unwrap();
    assert_eq!(store::open("default").unwrap().get("key").unwrap().as_deref(), Some(&b"value"[..]));
}

fn the_bucket_memory_is_shared_by_all_handles() {
    store::open(":memory:").unwrap().set("key", b"value").unwrap();
    assert_eq!(store::open(":memory:").unwrap().get("key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(open().get("key").unwrap(), None);
}

fn names_that_start_and_end_with_a_colon_are_reserved() {
    for name in ["::", ":cache:", ":Memory:"] {
        let text = reason(store::open(name).unwrap_err());
        assert!(text.contains("reserved") && text.contains(":memory:"), "{text}");
    }
}
