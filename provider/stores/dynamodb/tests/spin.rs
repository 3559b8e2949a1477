//! The layout of Spin: the contract but for what its keys cannot be, and items as Spin writes and reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{KEYS, NativeStore, connect};
use kvfuse_core::{Bucket, Kind, Result, Store, Swap, Version};
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::Fault;
use kvfuse_servers::shared::Shared;
use kvfuse_servers::watchdog::Watchdog;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A store with a table of its own, as Spin's documentation creates it, in an emulator that cases share.
struct Own {
    store: NativeStore,
    table: String,
    server: Arc<DynamoDb>,
    _watchdog: Watchdog,
}

impl Own {
    fn start() -> Self {
        static SERVER: Shared<DynamoDb> = Shared::new();
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let _watchdog = Watchdog::of_the_test();
        let server = SERVER.get(DynamoDb::start);
        let table = format!("spin-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        create(&server, &table);
        Self { store: at(&server.endpoint(), &table, "120000"), table, server, _watchdog }
    }

    /// An operation of another client on this table.
    fn dynamodb(&self, operation: &str, body: &str) -> String {
        self.server.dynamodb(operation, &body.replacen('{', &format!(r#"{{"TableName":"{}","#, self.table), 1))
    }
}

impl Store for Own {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}

fn create(server: &DynamoDb, table: &str) {
    let body = format!(
        r#"{{"TableName":"{table}","BillingMode":"PAY_PER_REQUEST","KeySchema":[{{"AttributeName":"PK","KeyType":"HASH"}}],
            "AttributeDefinitions":[{{"AttributeName":"PK","AttributeType":"S"}}]}}"#
    );
    server.dynamodb("CreateTable", &body);
    let name = format!(r#"{{"TableName":"{table}"}}"#);
    wait_until("the table is there", || server.dynamodb("DescribeTable", &name).contains("\"ACTIVE\""));
}

fn at(endpoint: &str, table: &str, time_limit: &str) -> NativeStore {
    let variables =
        [("KEYVALUE_DYNAMODB_LAYOUT", "spin"), ("KEYVALUE_DYNAMODB_TABLE", table), ("KEYVALUE_TIMEOUT_MS", time_limit)];
    connect(endpoint, &variables)
}

mod contract {
    use super::Own;

    // All cases but those with an empty key, with keys of more than 2048 bytes, and with several buckets.
    kvfuse_suite::cases! { Own::start;
        single: a_key_never_written_has_no_value, what_was_set_is_read, setting_again_replaces,
            deleting_removes_and_deleting_again_succeeds, the_empty_value_is_a_value, every_byte_comes_back,
            two_handles_see_one_bucket, opening_creates_nothing;
        keys: the_longest_key_is_kept;
        listing: an_empty_bucket_lists_nothing, a_listing_gives_every_key_once_and_ends,
            keys_that_stay_are_given_once_while_others_write, a_cursor_works_from_another_handle,
            a_cursor_made_up_is_refused_or_harmless;
        counters: a_missing_counter_starts_at_the_delta, a_counter_is_decimal_text,
            what_is_not_a_counter_is_left_unchanged, a_counter_stops_at_both_ends, a_counter_stays_above_its_floor,
            adding_zero_returns_the_counter;
        swaps: a_swap_on_what_was_seen_succeeds, a_swap_on_what_changed_returns_what_is_there,
            a_swap_on_an_absent_key_creates_it_once, a_swap_after_a_delete_conflicts, a_snapshot_of_nothing_is_absent,
            what_is_created_was_not_there, a_version_works_from_its_text_until_the_key_is_written,
            a_text_that_is_no_version_is_none_or_harmless, a_value_that_went_away_and_came_back_is_another_version;
        batches: a_batch_reads_in_the_order_asked, a_batch_sets_and_deletes, the_last_of_equal_keys_wins,
            an_empty_batch_succeeds, a_batch_of_thousands_is_complete;
    }
}

#[test]
fn what_spin_has_set_swapped_and_counted_is_read_and_spin_reads_what_is_written_here() {
    let own = Own::start();
    let bucket = own.open("any name").unwrap();
    // As Spin sets, and as it swaps.
    own.dynamodb("PutItem", r#"{"Item":{"PK":{"S":"set"},"VAL":{"B":"AQI="}}}"#);
    own.dynamodb("PutItem", r#"{"Item":{"PK":{"S":"swapped"},"VAL":{"B":"NDE="},"VER":{"N":"3"}}}"#);
    assert_eq!(bucket.get_many(&["set", "swapped"]), Ok(vec![Some(vec![1, 2]), Some(b"41".to_vec())]));
    assert_eq!(bucket.increment("swapped", 1, 0), Ok(42));
    for (key, old) in [("set", &[1, 2][..]), ("swapped", b"42")] {
        let seen = bucket.snapshot(key).unwrap();
        assert_eq!(seen.value.as_deref(), Some(old));
        assert_eq!(bucket.swap(key, &seen.version, b"new"), Ok(Swap::Done));
        assert!(matches!(bucket.swap(key, &seen.version, b"newer"), Ok(Swap::Conflict(_))));
        let item = own.dynamodb("GetItem", &format!(r#"{{"Key":{{"PK":{{"S":"{key}"}}}}}}"#));
        assert!(item.contains(r#""VAL":{"B":"bmV3"}"#) && item.contains(r#""VER":{"N":""#), "{item}");
    }
    // As Spin swaps what it has seen.
    let seen = bucket.snapshot("set").unwrap();
    let item = own.dynamodb("GetItem", r#"{"Key":{"PK":{"S":"set"}}}"#);
    let version = item.split(r#""VER":{"N":""#).nth(1).unwrap().split('"').next().unwrap();
    own.dynamodb(
        "UpdateItem",
        &format!(
            r##"{{"Key":{{"PK":{{"S":"set"}}}},"UpdateExpression":"SET #VAL = :val ADD #VER :increment",
                "ConditionExpression":"#VER = :ver","ExpressionAttributeNames":{{"#VAL":"VAL","#VER":"VER"}},
                "ExpressionAttributeValues":{{":val":{{"B":"bmV3"}},":increment":{{"N":"1"}},":ver":{{"N":"{version}"}}}}}}"##
        ),
    );
    assert!(matches!(bucket.swap("set", &seen.version, b"x"), Ok(Swap::Conflict(now)) if now.value == seen.value));
    // The bucket is ignored, as Spin ignores the store's name.
    assert_eq!(own.open("another").unwrap().get("set").unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_version_that_spin_gives_again_is_no_other_value() {
    let own = Own::start();
    let bucket = own.open("b").unwrap();
    let put = |value: &str| {
        own.dynamodb(
            "PutItem",
            &format!(r#"{{"Item":{{"PK":{{"S":"key"}},"VAL":{{"B":"{value}"}},"VER":{{"N":"1"}}}}}}"#),
        )
    };
    put("AQ==");
    let seen = bucket.snapshot("key").unwrap();
    // Set, which drops the version, and swapped, which begins at 1 again.
    put("Ag==");
    assert!(matches!(bucket.swap("key", &seen.version, b"3"), Ok(Swap::Conflict(now)) if now.value == Some(vec![2])));
    // Seen without a version, and swapped to the same value.
    own.dynamodb("PutItem", r#"{"Item":{"PK":{"S":"key"},"VAL":{"B":"Ag=="}}}"#);
    let seen = bucket.snapshot("key").unwrap();
    put("Ag==");
    assert!(matches!(bucket.swap("key", &seen.version, b"3"), Ok(Swap::Conflict(now)) if now.version != seen.version));
}

#[test]
fn a_prefix_lists_its_keys_however_many_others_there_are() {
    let own = Own::start();
    let bucket = own.open("b").unwrap();
    let keys: Vec<String> = (0..2300).map(|n| if n % 100 == 0 { format!("user/{n}") } else { n.to_string() }).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect();
    bucket.set_many(&pairs).unwrap();
    let (mut listed, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = bucket.list_prefix("user/", cursor.as_deref()).unwrap();
        listed.extend(page.keys);
        pages += 1;
        let Some(next) = page.cursor else { break };
        assert_eq!(bucket.list(Some(&next)).unwrap_err().kind(), Kind::InvalidArgument, "it is for its prefix");
        cursor = Some(next);
    }
    let mut expected: Vec<_> = keys.into_iter().filter(|key| key.starts_with("user/")).collect();
    listed.sort();
    expected.sort();
    assert!(listed == expected && pages >= 3, "{} keys in {pages} pages", listed.len());
}

#[test]
fn what_the_layout_has_no_place_for_is_refused_with_the_reason() {
    let own = Own::start();
    let bucket = own.open("b").unwrap();
    for key in ["", &"k".repeat(2049)] {
        let refused = [
            bucket.get(key).unwrap_err(),
            bucket.set(key, b"1").unwrap_err(),
            bucket.delete(key).unwrap_err(),
            bucket.increment(key, 1, 0).unwrap_err(),
            bucket.swap(key, &Version::Absent, b"1").unwrap_err(),
            bucket.get_many(&["fine", key]).unwrap_err(),
            bucket.set_many(&[("fine", b"1"), (key, b"1")]).unwrap_err(),
            bucket.delete_many(&["fine", key]).unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
            assert!(error.message().contains("2048"), "{error}");
        }
    }
    assert!(!bucket.exists("fine").unwrap());
    let largest = 409_600 - 29 - "key".len();
    assert_eq!(bucket.set("key", &vec![1; largest + 1]).unwrap_err().kind(), Kind::InvalidArgument);
    bucket.set("key", &vec![1; largest]).unwrap();
    let forever = bucket.set_expiring("key", b"1", Duration::from_secs(9)).unwrap_err();
    assert_eq!((forever.kind(), bucket.lifetimes(&["key"])), (Kind::Unsupported, Ok(vec![None])));
    assert!(bucket.watch("", kvfuse_core::watch::From::Now).is_err_and(|error| error.kind() == Kind::Unsupported));

    own.dynamodb("PutItem", r#"{"Item":{"PK":{"S":"no value"}}}"#);
    own.dynamodb("PutItem", r#"{"Item":{"PK":{"S":"half"},"VAL":{"B":"AQ=="},"VER":{"N":"1.5"}}}"#);
    for key in ["no value", "half"] {
        assert_eq!(bucket.get(key).unwrap_err().kind(), Kind::Damaged);
    }
    for (name, value) in [("KEYVALUE_LABEL", "sessions"), ("KEYVALUE_PREFIX", "app/"), ("KEYVALUE_TTL_S", "9")] {
        let variables = [
            &KEYS[..],
            &[("KEYVALUE_DYNAMODB_ENDPOINT", "http://h"), ("KEYVALUE_DYNAMODB_LAYOUT", "spin"), (name, value)],
        ];
        let settings = kvfuse_servers::settings(&variables.concat());
        let ambient = kvfuse_dynamodb::Ambient { since_1970: common::since_1970, random: common::random };
        let store = kvfuse_dynamodb::DynamoStore::new(
            &settings,
            kvfuse_servers::http::StdHttp::default(),
            kvfuse_servers::clock::SystemClock,
            ambient,
        );
        let error = store.err().expect("it is refused");
        assert!(error.message().contains("KEYVALUE_DYNAMODB_LAYOUT=spin"), "{error}");
    }
    let other = connect(&own.server.endpoint(), &[("KEYVALUE_DYNAMODB_LAYOUT", "spin")]).open("b").unwrap();
    let error = other.get("key").unwrap_err();
    assert!(error.message().contains("partition key PK"), "{error}");
}

#[test]
fn clients_that_count_and_swap_at_the_same_time_lose_nothing() {
    let own = Own::start();
    let (endpoint, table) = (own.server.endpoint(), own.table.as_str());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let bucket = at(&endpoint, table, "60000").open("b").unwrap();
                for _ in 0..15 {
                    bucket.increment("counted", 1, 0).unwrap();
                    kvfuse_suite::swaps::add_one_by_swaps(&*bucket, "swapped");
                }
            });
        }
    });
    let values = own.open("b").unwrap().get_many(&["counted", "swapped"]);
    assert_eq!(values, Ok(vec![Some(b"45".to_vec()), Some(b"45".to_vec())]));
}

#[test]
fn a_write_whose_answer_is_lost_is_unknown_and_a_read_is_tried_again() {
    use kvfuse_servers::proxy::{Direction, Proxy};
    let own = Own::start();
    let proxy = Proxy::start(own.server.port());
    let bucket = at(&format!("http://127.0.0.1:{}", proxy.port()), &own.table, "10000").open("b").unwrap();
    bucket.set("key", b"1").unwrap();
    for byte in (0..200).step_by(7) {
        proxy.plan(Direction::Reply, Fault::Close, byte);
        assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"1"[..]), "at byte {byte}");
        proxy.clear();
        proxy.plan(Direction::Reply, Fault::Close, byte);
        let outcome = bucket.set("key", b"1");
        assert!(outcome.is_ok() || outcome.is_err_and(|error| error.kind() == Kind::OutcomeUnknown), "at byte {byte}");
        proxy.clear();
    }
}
