//! A consumer that uses two generations at once. Both have to show the same store.

mod draft {
    wit_bindgen::generate!({ path: "../../wit/draft", world: "wasi:keyvalue/imports@0.2.0-draft" });
}
mod draft2 {
    wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });
}

use draft::wasi::keyvalue as old;
use draft2::wasi::keyvalue as new;

kvfuse_test_guests::cases! {
    what_one_generation_writes_the_other_reads,
    counters_and_swaps_are_shared,
    the_bucket_memory_is_shared_too,
}

fn pair(name: &str) -> (old::store::Bucket, new::store::Bucket) {
    (old::store::open(name).unwrap(), new::store::open(name).unwrap())
}

fn what_one_generation_writes_the_other_reads() {
    let (old, new) = pair("test");
    old.set("old", b"1").unwrap();
    new.set("new", b"2").unwrap();
    assert_eq!(new.get("old").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(old.get("new").unwrap().as_deref(), Some(&b"2"[..]));
    let (mut listed, mut listed_new) = (old.list_keys(None).unwrap().keys, new.list_keys(None).unwrap().keys);
    listed.sort();
    listed_new.sort();
    assert_eq!(listed, ["new", "old"]);
    assert_eq!(listed_new, listed);
    new.delete("old").unwrap();
    assert!(!old.exists("old").unwrap());
}

fn counters_and_swaps_are_shared() {
    let (old, new) = pair("test");
    assert_eq!(old::atomics::increment(&old, "n", 5).unwrap(), 5);
    assert_eq!(new::atomics::increment(&new, "n", -2).unwrap(), 3);
    let cas = new::atomics::Cas::new(&new, "n").unwrap();
    old.set("n", b"3").unwrap();
    assert!(matches!(new::atomics::swap(cas, b"9"), Err(new::atomics::CasError::CasFailed(_))));
}

fn the_bucket_memory_is_shared_too() {
    let (old, new) = pair(":memory:");
    old.set("key", b"value").unwrap();
    assert_eq!(new.get("key").unwrap().as_deref(), Some(&b"value"[..]));
}
