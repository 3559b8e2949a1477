//! Bounded staleness: what each operation reads, and what it leaves to be read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{BOUND, NoBody, Shared, bytes, instance};
use kvfuse_core::{Bucket, Kind, Result, Settings, Store, Swap, Version};
use kvfuse_gate::{Gate, LARGEST, Labelled};
use std::rc::Rc;

type Call = fn(&dyn Bucket) -> Result<()>;

/// A bucket of an instance with the bound, and the store behind it.
fn bucket() -> (Rc<dyn Bucket>, Shared) {
    let shared = Shared::default();
    (instance(&shared, "5").open("b").unwrap(), shared)
}

#[test]
fn within_the_bound_a_read_asks_nobody_and_after_it_the_store() {
    let (bucket, shared) = bucket();
    shared.other().set("k", b"1").unwrap();
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    assert_eq!((bucket.get("x"), bucket.exists("y")), (Ok(None), Ok(false)));
    assert_eq!(shared.calls(), ["get", "get", "exists"]);
    shared.other().set("k", b"2").unwrap();
    shared.other().set("y", b"").unwrap();
    shared.0.clock.advance(BOUND);
    assert_eq!((bucket.get("k"), bucket.exists("k"), bucket.get("x")), (Ok(bytes("1")), Ok(true), Ok(None)));
    assert_eq!((bucket.exists("x"), bucket.exists("y"), bucket.get("y")), (Ok(false), Ok(false), Ok(None)));
    assert_eq!(bucket.get_many(&["k", "x", "k"]), Ok(vec![bytes("1"), None, bytes("1")]));
    assert_eq!(shared.calls(), [""; 0]);
    shared.0.clock.advance(1);
    assert_eq!((bucket.get("k"), bucket.exists("y")), (Ok(bytes("2")), Ok(true)));
    assert_eq!(shared.calls(), ["get", "exists"]);
    assert_eq!(bucket.get("y"), Ok(bytes("")), "that it exists does not tell its value");
    assert_eq!(shared.calls(), ["get"]);
}

#[test]
fn a_state_is_as_old_as_the_call_that_told_it_and_not_as_its_return() {
    let (bucket, shared) = bucket();
    shared.0.takes.set((0, BOUND));
    assert_eq!(bucket.get("k"), Ok(None));
    shared.0.clock.advance(1);
    assert_eq!(bucket.get("k"), Ok(None));
    assert_eq!(shared.calls(), ["get", "get"]);
}

#[test]
fn without_the_setting_every_read_asks_the_store() {
    for setting in ["", "0"] {
        let shared = Shared::default();
        let bucket = instance(&shared, setting).open("b").unwrap();
        for _ in 0..2 {
            bucket.get("k").unwrap();
        }
        assert_eq!(shared.calls(), ["get", "get"], "{setting:?}");
    }
}

#[test]
fn a_setting_that_is_no_number_of_milliseconds_is_refused_by_name() {
    for text in ["-1", "+5", "1.5", "5s", "3600001", "99999999999999999999"] {
        let error = instance(&Shared::default(), text).open("b").err().unwrap();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("KEYVALUE_STALE_MS"), "{error}");
    }
}

#[test]
fn own_writes_show_at_once_whichever_they_are() {
    let (bucket, shared) = bucket();
    let seen = || (bucket.get("k").unwrap(), bucket.exists("k").unwrap());
    assert_eq!(seen(), (None, false));
    bucket.set("k", b"1").unwrap();
    assert_eq!(seen(), (bytes("1"), true));
    assert_eq!(bucket.increment("k", 41, 0), Ok(42));
    assert_eq!(seen(), (bytes("42"), true));
    let snapshot = bucket.snapshot("k").unwrap();
    assert_eq!(bucket.swap("k", &snapshot.version, b"s"), Ok(Swap::Done));
    assert_eq!(seen(), (bytes("s"), true));
    bucket.delete("k").unwrap();
    assert_eq!(seen(), (None, false));
    bucket.set_many(&[("k", b"1"), ("l", b"2"), ("k", b"3")]).unwrap();
    assert_eq!((seen(), bucket.get("l")), ((bytes("3"), true), Ok(bytes("2"))));
    bucket.delete_many(&["k", "x"]).unwrap();
    assert_eq!(seen(), (None, false));
    let asked = ["get", "set", "increment", "snapshot", "swap", "delete", "set-many", "delete-many"];
    assert_eq!(shared.calls(), asked, "what was written is known");
    // A value that went through a stream is not.
    bucket.set_body("k", &mut NoBody).unwrap();
    assert_eq!(seen(), (bytes("streamed"), true));
    assert_eq!(shared.calls(), ["set-body", "get"]);
}

#[test]
fn own_writes_show_through_every_handle_of_the_bucket_and_of_its_name_space() {
    /// A store whose buckets are all one, as in the layout `raw` of Redis.
    struct Raw(Shared);
    impl Store for Raw {
        fn open(&self, _: &str) -> Result<Rc<dyn Bucket>> {
            self.0.open("one")
        }

        fn space<'a>(&'a self, _: &'a str) -> &'a str {
            ""
        }
    }
    let shared = Shared::default();
    let settings = Settings::new([("KEYVALUE_STALE_MS".to_string(), "5".to_string())]);
    let raw = Gate::new(&settings, Ok(Raw(shared.clone())), shared.0.clock.clone());
    let apart = instance(&shared, "5");
    for (store, other) in [(&raw as &dyn Store, "c"), (&apart, "b")] {
        let (one, same) = (store.open("b").unwrap(), store.open(other).unwrap());
        assert_eq!(same.get("k").unwrap(), None);
        one.set("k", b"1").unwrap();
        assert_eq!(same.get("k").unwrap(), bytes("1"));
    }
    // Other buckets have other keys.
    assert_eq!(apart.open("c").unwrap().get("k"), Ok(None));
}

#[test]
fn labels_and_routes_keep_what_is_seen_of_buckets_apart_as_the_buckets_are() {
    let shared = Shared::default();
    let gate = |label: &str| {
        let settings = [("KEYVALUE_STALE_MS", "5"), ("KEYVALUE_LABEL", label)];
        let settings = Settings::new(settings.map(|(name, value)| (name.to_string(), value.to_string())));
        Gate::new(&settings, Labelled::new(&settings, Ok(shared.clone())), shared.0.clock.clone())
    };
    let (labelled, plain) = (gate("a"), gate(""));
    let (one, other) = (labelled.open("b").unwrap(), plain.open("b").unwrap());
    assert_eq!((one.get("k"), other.get("k")), (Ok(None), Ok(None)));
    one.set("k", b"a").unwrap();
    assert_eq!((one.get("k"), other.get("k")), (Ok(bytes("a")), Ok(None)));
    assert_eq!(shared.calls(), ["get", "get", "set"], "both answer from what they have seen");
    shared.0.clock.advance(BOUND + 1);
    assert_eq!((one.get("k"), other.get("k"), shared.other().get("k")), (Ok(bytes("a")), Ok(None), Ok(None)));
    // Of one instance, the cache of a label and a bucket called like it are two as well.
    let cache = labelled.open_cache().unwrap();
    cache.set("k", b"cached").unwrap();
    assert_eq!((labelled.open("cache").unwrap().get("k"), cache.get("k")), (Ok(None), Ok(bytes("cached"))));
}

#[test]
fn a_write_that_failed_leaves_nothing_of_the_key_to_be_answered() {
    let writes: [(&str, Call); 8] = [
        ("set", |bucket| bucket.set("k", b"2")),
        ("delete", |bucket| bucket.delete("k")),
        ("increment", |bucket| bucket.increment("k", 1, 0).map(drop)),
        ("swap", |bucket| bucket.swap("k", &Version::Number(1), b"2").map(drop)),
        ("set-many", |bucket| bucket.set_many(&[("l", b"2"), ("k", b"2")])),
        ("delete-many", |bucket| bucket.delete_many(&["l", "k"])),
        ("set-body", |bucket| bucket.set_body("k", &mut NoBody)),
        ("snapshot and swap", |bucket| bucket.swap("k", &Version::Absent, b"2").map(drop)),
    ];
    for (name, write) in writes {
        for happened in [false, true] {
            let (bucket, shared) = bucket();
            bucket.set_many(&[("k", b"1"), ("l", b"1"), ("m", b"1")]).unwrap();
            shared.0.fails.set(Some((happened, Kind::OutcomeUnknown)));
            assert_eq!(write(&*bucket).unwrap_err().kind(), Kind::OutcomeUnknown);
            shared.calls();
            assert_eq!(bucket.get("k"), shared.other().get("k"), "{name}");
            assert_eq!(bucket.get("m"), Ok(bytes("1")));
            assert_eq!(shared.calls(), ["get"], "{name}: the other key is still known");
        }
    }
}

#[test]
fn a_read_that_failed_changes_nothing() {
    let (bucket, shared) = bucket();
    bucket.set("k", b"1").unwrap();
    let reads: [Call; 3] = [
        |bucket| bucket.snapshot("k").map(drop),
        |bucket| bucket.get_body("k").map(drop),
        |bucket| bucket.list(None).map(drop),
    ];
    for read in reads {
        shared.0.fails.set(Some((false, Kind::Unsupported)));
        read(&*bucket).unwrap_err();
    }
    shared.calls();
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    assert_eq!(shared.calls(), [""; 0]);
}

#[test]
fn a_swap_is_never_decided_by_what_is_kept() {
    let (bucket, shared) = bucket();
    bucket.set("k", b"1").unwrap();
    shared.other().set("k", b"2").unwrap();
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    let snapshot = bucket.snapshot("k").unwrap();
    assert_eq!(snapshot.value, bytes("2"));
    assert_eq!(bucket.get("k"), Ok(bytes("2")), "what the instance returned is not taken back");
    shared.other().set("k", b"3").unwrap();
    let Ok(Swap::Conflict(now)) = bucket.swap("k", &snapshot.version, b"mine") else { panic!("it is not the latest") };
    assert_eq!((now.value, bucket.get("k")), (bytes("3"), Ok(bytes("3"))));
    shared.other().set("k", b"10").unwrap();
    assert_eq!(bucket.increment("k", 1, 0), Ok(11));
}

#[test]
fn after_a_page_or_a_stream_reads_are_not_older_than_those() {
    let (bucket, shared) = bucket();
    assert_eq!((bucket.get("k"), bucket.get("l")), (Ok(None), Ok(None)));
    shared.other().set("k", b"1").unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["k"]);
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    shared.other().set("k", b"2").unwrap();
    assert_eq!(bucket.get_body("k").unwrap().unwrap().size, 1);
    assert_eq!(bucket.get("k"), Ok(bytes("2")));
    shared.other().delete("k").unwrap();
    assert!(bucket.get_body("k").unwrap().is_none());
    assert_eq!(bucket.get("k"), Ok(None));
}

#[test]
fn a_batch_asks_for_what_is_not_known_and_a_large_value_never_is() {
    let (bucket, shared) = bucket();
    let large = vec![7; LARGEST];
    bucket.set_many(&[("a", b"1"), ("large", &large)]).unwrap();
    shared.other().set("b", b"2").unwrap();
    let all = vec![bytes("2"), bytes("1"), Some(large), None, bytes("2")];
    assert_eq!(bucket.get_many(&["b", "a", "large", "x", "b"]), Ok(all.clone()));
    shared.other().set("a", b"other").unwrap();
    assert_eq!(bucket.get_many(&["b", "a", "large", "x", "b"]), Ok(all));
    assert_eq!(shared.calls(), ["set-many", "get-many", "get-many"]);
    assert_eq!(bucket.get_many(&["b", "a"]), Ok(vec![bytes("2"), bytes("1")]));
    assert_eq!(shared.calls(), [""; 0]);
}

mod contract {
    use super::{Gate, Shared, instance};
    use kvfuse_core::{Bucket, Result, Store};
    use std::rc::Rc;

    /// One instance, alone.
    struct Alone(Gate<Shared>);

    impl Store for Alone {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            self.0.open(bucket)
        }
    }

    kvfuse_suite::contract!(|| Alone(instance(&Shared::default(), "5")));
}
