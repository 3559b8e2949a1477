//! What is specific to etcd: logins, limits, revisions, leases, round trips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnEtcd, connect, connect_counting};
use kvfuse_core::{Kind, Store, Swap};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::http::StdHttp;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::watchdog::Watchdog;
use std::time::{Duration, Instant};

#[test]
fn a_login_opens_what_its_roles_allow_and_a_wrong_or_missing_one_is_access_denied() {
    let _watchdog = Watchdog::of_the_test();
    let mut etcd = Etcd::start(1, &[]);
    etcd.enable_logins();
    let with = |user, password| {
        connect(&etcd.endpoints(), &[("KEYVALUE_ETCD_USERNAME", user), ("KEYVALUE_ETCD_PASSWORD", password)])
    };
    let ann = with("ann", "hunter2");
    let bucket = ann.open("ann").unwrap();
    bucket.set("a", b"1").unwrap();
    assert_eq!(bucket.increment("a", 1, 0), Ok(2));
    assert_eq!(bucket.list(None).unwrap().keys, ["a"]);

    let other = ann.open("other").unwrap();
    let denied = [
        other.get("a").unwrap_err(),
        other.set("a", b"").unwrap_err(),
        with("ann", "hunter3").open("ann").unwrap().get("a").unwrap_err(),
        with("bob", "hunter3").open("ann").unwrap().set("a", b"").unwrap_err(),
        connect(&etcd.endpoints(), &[]).open("ann").unwrap().get("a").unwrap_err(),
        connect(&etcd.endpoints(), &[]).open("ann").unwrap().set("a", b"").unwrap_err(),
    ];
    for error in denied {
        assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
        assert!(!error.message().contains("hunter"), "{error}");
    }
}

#[test]
fn a_token_that_expired_is_renewed() {
    let _watchdog = Watchdog::of_the_test();
    // Tokens expire a second after their last use.
    let mut etcd = Etcd::start(1, &["--auth-token-ttl", "1"]);
    etcd.enable_logins();
    let login = [("KEYVALUE_ETCD_USERNAME", "root"), ("KEYVALUE_ETCD_PASSWORD", "hunter1")];
    let http = StdHttp::default();
    let bucket = connect_counting(&etcd.endpoints(), &login, http.clone()).open("b").unwrap();
    assert_eq!(bucket.increment("counter", 1, 0), Ok(1));
    let exchanges = |work: &dyn Fn()| http.network.round_trips_of(work);
    let set = || bucket.set("a", b"1").unwrap();
    assert_eq!(exchanges(&set), 1, "the token is kept");
    // The condition is that a write takes three exchanges: rejected, logged in, done.
    wait_until("a token expires", || {
        std::thread::sleep(Duration::from_millis(1500));
        exchanges(&set) == 3
    });
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn an_unnecessary_login_is_harmless() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let login = [("KEYVALUE_ETCD_USERNAME", "ann"), ("KEYVALUE_ETCD_PASSWORD", "hunter2")];
    let bucket = connect(&etcd.endpoints(), &login).open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn round_trips_are_as_documented() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let http = StdHttp::default();
    let store = connect_counting(&etcd.endpoints(), &[], http.clone());
    let count = |operation: &dyn Fn()| http.network.round_trips_of(operation);
    let bucket = store.open("b").unwrap();
    let keys: Vec<String> = (0..129).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &[0u8; 100][..])).collect();
    assert_eq!(count(&|| drop(store.open("c").unwrap())), 0, "open");
    assert_eq!(count(&|| drop(bucket.get("a").unwrap())), 1, "get");
    assert_eq!(count(&|| bucket.set("a", b"1").unwrap()), 1, "set");
    assert_eq!(count(&|| assert!(bucket.exists("a").unwrap())), 1, "exists");
    assert_eq!(count(&|| _ = bucket.increment("n", 1, 0).unwrap()), 2, "increment");
    assert_eq!(count(&|| drop(bucket.snapshot("a").unwrap())), 1, "snapshot");
    let seen = bucket.snapshot("a").unwrap();
    assert_eq!(count(&|| assert_eq!(bucket.swap("a", &seen.version, b"2"), Ok(Swap::Done))), 1, "swap");
    let conflict = || assert!(matches!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Conflict(_))));
    assert_eq!(count(&conflict), 1, "a swap that conflicts");
    assert_eq!(count(&|| bucket.delete("a").unwrap()), 1, "delete");
    assert_eq!(count(&|| bucket.set_many(&pairs[..100]).unwrap()), 1, "set-many of 100");
    assert_eq!(count(&|| drop(bucket.get_many(&keys[..100]).unwrap())), 1, "get-many of 100");
    assert_eq!(count(&|| drop(bucket.list(None).unwrap())), 1, "list");
    assert_eq!(count(&|| bucket.delete_many(&keys[..100]).unwrap()), 1, "delete-many of 100");
    assert_eq!(count(&|| bucket.set_many(&pairs).unwrap()), 2, "set-many of 129");
    assert_eq!(count(&|| drop(bucket.get_many(&keys).unwrap())), 2, "get-many of 129");
    assert_eq!(count(&|| bucket.delete_many(&keys).unwrap()), 2, "delete-many of 129");
}

#[test]
fn batches_respect_a_lower_limit_of_the_server() {
    let own = OwnEtcd::start(1, &["--max-txn-ops", "10"], &[]);
    let bucket = own.open("b").unwrap();
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, key.as_bytes())).collect();
    bucket.set_many(&pairs).unwrap();
    let values = bucket.get_many(&keys).unwrap();
    assert!(values.iter().zip(&keys).all(|(value, key)| value.as_deref() == Some(key.as_bytes())));
    bucket.delete_many(&keys).unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, [""; 0]);
}

#[test]
fn batches_of_large_values_are_split_below_the_size_of_a_request() {
    let own = OwnEtcd::start(1, &[], &[]);
    let bucket = own.open("b").unwrap();
    let value = vec![7; 300_000];
    let keys: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), value.as_slice())).collect();
    bucket.set_many(&pairs).unwrap();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(bucket.get_many(&keys).unwrap().into_iter().all(|found| found.as_ref() == Some(&value)));
}

#[test]
fn a_value_too_large_for_the_server_is_an_invalid_argument_and_the_error_names_the_flag() {
    let own = OwnEtcd::start(1, &[], &[]);
    let bucket = own.open("b").unwrap();
    for size in [1_600_000, 3_000_000] {
        let error = bucket.set("a", &vec![0; size]).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{size}: {error}");
        assert!(error.message().contains("--max-request-bytes"), "{error}");
    }
    let raised = OwnEtcd::start(1, &["--max-request-bytes", "8000000"], &[]);
    let bucket = raised.open("b").unwrap();
    let value: Vec<u8> = (0..4_000_000u32).map(|n| n as u8).collect();
    bucket.set("a", &value).unwrap();
    assert!(bucket.get("a").unwrap() == Some(value));
}

#[test]
fn a_full_database_exceeds_the_quota() {
    let own = OwnEtcd::start(1, &["--quota-backend-bytes", "1000000"], &[]);
    let bucket = own.open("b").unwrap();
    let full = (0..50).find_map(|n| bucket.set(&n.to_string(), &[0; 100_000]).err()).expect("1 MB is full");
    assert_eq!(full.kind(), Kind::QuotaExceeded, "{full}");
}

#[test]
fn a_listing_stays_at_one_revision_and_continues_at_another_when_that_is_compacted() {
    let own = OwnEtcd::start(1, &[], &[]);
    let bucket = own.open("b").unwrap();
    let names = |what: &str, count| (0..count).map(|n| format!("{what} {n:05}")).collect::<Vec<String>>();
    let set = |keys: &[String]| {
        let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect();
        bucket.set_many(&pairs).unwrap();
    };
    let stay = names("stay", 3500);
    set(&stay);
    let first = bucket.list(None).unwrap();
    set(&["stay 01500 and a half".to_string()]);
    let second = bucket.list(first.cursor.as_deref()).unwrap();
    assert!(!second.keys.contains(&"stay 01500 and a half".to_string()), "what was written later is not visible");

    set(&["stay 02500 and a half".to_string()]);
    let compact = format!(r#"{{"revision":"{}","physical":true}}"#, own.server.revision());
    own.server.post("/v3/kv/compaction", &compact);
    let third = bucket.list(second.cursor.as_deref()).unwrap();
    assert!(third.keys.contains(&"stay 02500 and a half".to_string()), "it continues at the current revision");
    // Another instance can continue as well: no state is kept in this one.
    let another = connect(&own.server.endpoints(), &[]).open("b").unwrap();
    let fourth = another.list(third.cursor.as_deref()).unwrap();
    assert_eq!(fourth.cursor, None);
    let mut all = [first.keys, second.keys, third.keys, fourth.keys].concat();
    all.retain(|key| !key.ends_with("half"));
    assert_eq!(all, stay, "every key that stayed, once");
}

#[test]
fn keys_have_the_prefix_and_buckets_with_slashes_are_separate() {
    let own = OwnEtcd::start(1, &[], &[]);
    own.open("b").unwrap().set("k", b"1").unwrap();
    // base64 of keyvalue/b/k
    assert!(own.server.post("/v3/kv/range", r#"{"key":"a2V5dmFsdWUvYi9r"}"#).contains(r#""value":"MQ==""#));
    let other = connect(&own.server.endpoints(), &[("KEYVALUE_PREFIX", "other:")]);
    assert_eq!(other.open("b").unwrap().get("k"), Ok(None));
    own.open("x/y").unwrap().set("z", b"1").unwrap();
    assert_eq!(own.open("x").unwrap().get("y/z"), Ok(None));
    assert_eq!(own.open("x").unwrap().list(None).unwrap().keys, [""; 0]);
    assert_eq!(own.open("x/y").unwrap().list(None).unwrap().keys, ["z"]);
}

#[test]
fn keys_expire_after_their_lifetime_and_not_before() {
    let own = OwnEtcd::start(1, &[], &[("KEYVALUE_TTL_S", "2")]);
    let bucket = own.open("b").unwrap();
    let forever = connect(&own.server.endpoints(), &[]).open("b").unwrap();
    forever.set("forever", b"1").unwrap();
    let begun = Instant::now();
    bucket.set("a", b"1").unwrap();
    bucket.set_many(&[("b", b"1"), ("c", b"1")]).unwrap();
    bucket.increment("d", 1, 0).unwrap();
    let absent = kvfuse_core::Version::Absent;
    assert_eq!(bucket.swap("e", &absent, b"1"), Ok(Swap::Done));
    assert_eq!(bucket.list(None).unwrap().keys, ["a", "b", "c", "d", "e", "forever"]);
    wait_until("the keys expire", || forever.list(None).unwrap().keys == ["forever"]);
    assert!(begun.elapsed() >= Duration::from_secs(2), "they expired early");
    // The old lease is gone, so the next write gets a new one.
    bucket.set("a", b"2").unwrap();
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_lease_revoked_by_others_is_replaced() {
    let own = OwnEtcd::start(1, &[], &[("KEYVALUE_TTL_S", "1000")]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    let leases = own.server.post("/v3/lease/leases", "{}");
    let id = leases.split(r#""ID":""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a lease").to_string();
    own.server.post("/v3/lease/revoke", &format!(r#"{{"ID":"{id}"}}"#));
    assert_eq!(bucket.get("a"), Ok(None));
    bucket.set("a", b"2").unwrap();
    assert_eq!(bucket.increment("n", 1, 0), Ok(1));
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"2"[..]));
}
