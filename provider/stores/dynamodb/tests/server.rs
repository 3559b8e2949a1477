//! What is specific to DynamoDB: signatures, limits, items, lifetimes, round trips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{KEYS, NativeStore, OwnDynamoDb, connect, connect_counting, random};
use kvfuse_core::{Bucket, Kind, Store, Swap, Version};
use kvfuse_dynamodb::{Ambient, DynamoStore};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::http::StdHttp;
use kvfuse_servers::settings;
use kvfuse_servers::watchdog::Watchdog;
use std::cell::Cell;
use std::thread;
use std::time::Duration;

/// moto checks each signature as botocore makes it, and knows policies.
#[test]
fn a_server_that_checks_signatures_accepts_every_operation_and_rejects_wrong_keys() {
    let _watchdog = Watchdog::of_the_test();
    let server = DynamoDb::moto();
    let with = |id: &str, secret: &str| {
        connect(&server.endpoint(), &[("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)])
    };
    let (id, secret) = &server.access_key;
    let bucket = with(id, secret).open("bücket").unwrap();
    bucket.set("ä", b"1").unwrap();
    assert!(bucket.exists("ä").unwrap());
    assert_eq!(bucket.increment("ä", 41, 0), Ok(42));
    assert_eq!(bucket.increment("new", -7, i64::MIN), Ok(-7));
    assert_eq!(bucket.increment("ä", -43, 0).unwrap_err().kind(), Kind::InvalidArgument);
    let seen = bucket.snapshot("ä").unwrap();
    assert_eq!(bucket.swap("ä", &seen.version, b"two"), Ok(Swap::Done));
    // This service returns the item with the refusal.
    let Swap::Conflict(now) = bucket.swap("ä", &seen.version, b"three").unwrap() else { panic!("it was outdated") };
    assert_eq!(now.value.as_deref(), Some(&b"two"[..]));
    assert!(matches!(bucket.swap("ä", &Version::Absent, b"x"), Ok(Swap::Conflict(_))));
    assert_eq!(bucket.create("created", b"x", None), Ok(true));
    assert_eq!(bucket.increment("created", 1, 0).unwrap_err().kind(), Kind::InvalidArgument);
    let long = "l".repeat(5000);
    bucket.set_many(&[("", b""), (&long, b"3")]).unwrap();
    assert_eq!(bucket.get_many(&[&long, "none", ""]).unwrap(), [Some(b"3".to_vec()), None, Some(vec![])]);
    assert_eq!(bucket.list(None).unwrap().keys, ["", "created", &long, "new", "ä"]);
    assert_eq!(bucket.list_prefix("l", None).unwrap().keys, [long.as_str()]);
    bucket.delete("new").unwrap();
    bucket.delete_many(&["", &long, "created"]).unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["ä"]);

    let wrong = [with(id, "hunter3"), with("AKIAHUNTERHUNTER0000", secret)];
    for bucket in wrong.map(|store| store.open("bücket").unwrap()) {
        for error in [bucket.get("ä").unwrap_err(), bucket.set("ä", b"").unwrap_err(), bucket.list(None).unwrap_err()]
        {
            assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
            let said = error.message().to_ascii_lowercase();
            assert!(!said.contains("hunter") && !said.contains(&secret.to_ascii_lowercase()), "{error}");
        }
    }
    assert_eq!(bucket.get("ä").unwrap().as_deref(), Some(&b"two"[..]), "nothing was written");
}

#[test]
fn round_trips_are_as_documented() {
    let own = OwnDynamoDb::start(&[]);
    let http = StdHttp::default();
    let store = connect_counting(&own.server.endpoint(), &[], http.clone());
    let count = |operation: &dyn Fn()| http.network.round_trips_of(operation);
    let bucket = store.open("b").unwrap();
    let keys: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &[0u8; 100][..])).collect();
    assert_eq!(count(&|| drop(store.open("c").unwrap())), 0, "open");
    assert_eq!(count(&|| drop(bucket.get("a").unwrap())), 1, "get");
    assert_eq!(count(&|| bucket.set("a", b"x").unwrap()), 1, "set");
    assert_eq!(count(&|| assert!(bucket.exists("a").unwrap())), 1, "exists");
    assert_eq!(count(&|| _ = bucket.increment("n", 1, 0).unwrap()), 1, "increment");
    assert_eq!(count(&|| _ = bucket.increment("n", 1, 0).unwrap()), 1, "increment");
    assert_eq!(count(&|| drop(bucket.snapshot("a").unwrap())), 1, "snapshot");
    let seen = bucket.snapshot("a").unwrap();
    assert_eq!(count(&|| assert_eq!(bucket.swap("a", &seen.version, b"y"), Ok(Swap::Done))), 1, "swap");
    let conflict = || assert!(matches!(bucket.swap("a", &seen.version, b"z"), Ok(Swap::Conflict(_))));
    assert_eq!(count(&conflict), 2, "a swap that conflicts, with a service that does not say by what");
    assert_eq!(count(&|| bucket.delete("a").unwrap()), 1, "delete");
    assert_eq!(count(&|| bucket.set_many(&pairs[..100]).unwrap()), 4, "set-many of 100");
    assert_eq!(count(&|| drop(bucket.get_many(&keys[..100]).unwrap())), 1, "get-many of 100");
    assert_eq!(count(&|| drop(bucket.list(None).unwrap())), 1, "list");
    assert_eq!(count(&|| bucket.delete_many(&keys[..100]).unwrap()), 4, "delete-many of 100");
    assert_eq!(count(&|| bucket.set_many(&pairs).unwrap()), 5, "set-many of 101");
    assert_eq!(count(&|| drop(bucket.get_many(&keys).unwrap())), 2, "get-many of 101");
}

#[test]
fn an_item_is_as_documented() {
    let own = OwnDynamoDb::start(&[("KEYVALUE_PREFIX", "app/")]);
    let bucket = own.open("b").unwrap();
    bucket.set("key", b"\x01\x02").unwrap();
    bucket.set("n", b"41").unwrap();
    bucket.increment("n", 1, 0).unwrap();
    let get = |sort: &str| {
        let key = format!(r#"{{"TableName":"keyvalue","Key":{{"pk":{{"S":"app/b"}},"sk":{{"S":"{sort}"}}}}}}"#);
        own.server.dynamodb("GetItem", &key)
    };
    assert!(get("kkey").contains(r#""val":{"B":"AQI="}"#), "{}", get("kkey"));
    assert!(get("kn").contains(r#""num":{"N":"42"}"#), "{}", get("kn"));
    // The other items of the table are in other partitions.
    own.open("c").unwrap().set("other", b"").unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["key", "n"]);
}

#[test]
fn values_up_to_400_kb_are_kept_and_larger_ones_are_refused_before_anything_is_sent() {
    let own = OwnDynamoDb::start(&[]);
    let bucket = own.open("b").unwrap();
    // pk keyvalue/b, sk kkey, ver and its 16 bytes, val: 2 + 10 + 2 + 4 + 3 + 16 + 3
    let largest = vec![7; 409_600 - 40];
    bucket.set("key", &largest).unwrap();
    assert!(bucket.get("key").unwrap().as_ref() == Some(&largest));
    let larger = vec![7; 409_600 - 39];
    let refused = [
        bucket.set("key", &larger).unwrap_err(),
        bucket.swap("key", &Version::Absent, &larger).map(|_| ()).unwrap_err(),
        bucket.set_many(&[("other", b"1"), ("key", &larger)]).unwrap_err(),
        bucket.set(&"k".repeat(1 << 20), b"").unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
        assert!(error.message().contains("400 KB"), "{error}");
    }
    assert_eq!(bucket.list(None).unwrap().keys, ["key"]);
    // More than one request may have.
    let keys: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &largest[..])).collect();
    bucket.set_many(&pairs).unwrap();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(bucket.get_many(&keys).unwrap().iter().all(|value| value.as_ref() == Some(&largest)));
}

#[test]
fn clients_that_count_and_swap_at_the_same_time_lose_nothing() {
    let own = OwnDynamoDb::start(&[]);
    let endpoint = own.server.endpoint();
    let store = || connect(&endpoint, &[("KEYVALUE_TIMEOUT_MS", "60000")]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let bucket = store().open("b").unwrap();
                for _ in 0..50 {
                    bucket.increment("counted", 1, 0).unwrap();
                    kvfuse_suite::swaps::add_one_by_swaps(&*bucket, "swapped");
                }
            });
        }
    });
    let bucket = own.open("b").unwrap();
    assert_eq!(bucket.get_many(&["counted", "swapped"]).unwrap(), [Some(b"200".to_vec()), Some(b"200".to_vec())]);
}

#[test]
fn a_missing_table_and_one_with_other_keys_are_reported_as_such() {
    let own = OwnDynamoDb::start(&[]);
    own.server.dynamodb(
        "CreateTable",
        r#"{"TableName":"other","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"PK","KeyType":"HASH"}],
            "AttributeDefinitions":[{"AttributeName":"PK","AttributeType":"S"}]}"#,
    );
    for (table, says) in [("none", "docs/dynamodb.md"), ("other", "sort key sk")] {
        let store = connect(&own.server.endpoint(), &[("KEYVALUE_DYNAMODB_TABLE", table)]);
        let bucket = store.open("b").unwrap();
        for error in [bucket.get("a").unwrap_err(), bucket.set("a", b"x").unwrap_err()] {
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(error.message().contains(says), "{error}");
        }
    }
}

thread_local! {
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// What passes with each look at the clock.
    static STEP: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A store whose time of day is that of the test.
fn at_a_time(server: &DynamoDb, variables: &[(&str, &str)]) -> NativeStore {
    let endpoint = server.endpoint();
    let variables = [&KEYS[..], &[("KEYVALUE_DYNAMODB_ENDPOINT", &*endpoint)], variables].concat();
    let ambient = Ambient { since_1970: || TIME.replace(TIME.get() + STEP.get()), random };
    DynamoStore::new(&settings(&variables), StdHttp::default(), SystemClock, ambient).unwrap()
}

#[test]
fn a_key_ends_after_its_lifetime_for_every_operation_though_the_item_is_still_there() {
    let own = OwnDynamoDb::start(&[]);
    TIME.set(Duration::from_millis(1_000_500));
    let bucket = at_a_time(&own.server, &[]).open("b").unwrap();
    let life = Duration::from_secs(10);
    for key in ["a", "n", "s", "c"] {
        bucket.set_expiring(key, b"1", life).unwrap();
    }
    bucket.set("forever", b"1").unwrap();
    // Rounded up to a second.
    let left = bucket.lifetimes(&["a", "forever", "none"]).unwrap();
    assert_eq!(left, [Some(Duration::from_millis(10_500)), None, None]);
    let seen = bucket.snapshot("s").unwrap();

    TIME.set(Duration::from_millis(1_010_999));
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(bucket.list(None).unwrap().keys, ["a", "c", "forever", "n", "s"]);

    TIME.set(Duration::from_millis(1_011_000));
    assert_eq!(bucket.get("a"), Ok(None));
    assert_eq!(bucket.exists("a"), Ok(false));
    assert_eq!(bucket.get_many(&["a", "forever"]).unwrap(), [None, Some(b"1".to_vec())]);
    assert_eq!(bucket.lifetimes(&["a"]).unwrap(), [None]);
    assert_eq!(bucket.list(None).unwrap().keys, ["forever"]);
    assert_eq!(bucket.snapshot("a").unwrap().version, Version::Absent);
    assert!(matches!(bucket.swap("s", &seen.version, b"2"), Ok(Swap::Conflict(now)) if now.value.is_none()));
    assert_eq!(bucket.swap("s", &Version::Absent, b"3"), Ok(Swap::Done));
    assert_eq!(bucket.create("c", b"4", None), Ok(true));
    // A counter begins again, and for good.
    assert_eq!(bucket.increment("n", 5, 0), Ok(5));
    assert_eq!(bucket.list(None).unwrap().keys, ["c", "forever", "n", "s"]);
    assert_eq!(bucket.lifetimes(&["n", "s", "c"]).unwrap(), [None, None, None]);
}

/// It may have been set again before its end, after the answer was made.
#[test]
fn a_key_that_ends_while_it_is_read_is_there() {
    let own = OwnDynamoDb::start(&[]);
    TIME.set(Duration::from_millis(1_000_500));
    let bucket = at_a_time(&own.server, &[]).open("b").unwrap();
    bucket.set_expiring("a", b"1", Duration::from_secs(10)).unwrap();
    type Find = fn(&dyn Bucket) -> bool;
    let finds: [Find; 5] = [
        |bucket| bucket.get("a").unwrap().is_some(),
        |bucket| bucket.exists("a").unwrap(),
        |bucket| bucket.snapshot("a").unwrap().value.is_some(),
        |bucket| bucket.get_many(&["a", "b"]).unwrap()[0].is_some(),
        |bucket| bucket.list(None).unwrap().keys == ["a"],
    ];
    for (number, find) in finds.into_iter().enumerate() {
        TIME.set(Duration::from_millis(1_010_999));
        STEP.set(Duration::from_secs(5));
        assert!(find(&*bucket), "{number}");
        STEP.set(Duration::ZERO);
        assert!(!find(&*bucket), "{number}");
    }
}

#[test]
fn with_a_lifetime_for_all_keys_every_write_begins_it_anew() {
    let own = OwnDynamoDb::start(&[]);
    TIME.set(Duration::from_secs(1_000_000));
    let bucket = at_a_time(&own.server, &[("KEYVALUE_TTL_S", "10")]).open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    bucket.set_many(&[("b", b"1")]).unwrap();
    bucket.increment("c", 1, 0).unwrap();
    assert_eq!(bucket.swap("d", &Version::Absent, b"1"), Ok(Swap::Done));
    TIME.set(Duration::from_secs(1_000_009));
    bucket.increment("a", 1, 0).unwrap();
    let ten = Some(Duration::from_secs(10));
    let one = Some(Duration::from_secs(1));
    assert_eq!(bucket.lifetimes(&["a", "b", "c", "d"]).unwrap(), [ten, one, one, one]);
}
