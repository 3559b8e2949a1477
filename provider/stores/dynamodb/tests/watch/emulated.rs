//! On moto.

use super::common::{KEYS, NativeStore, connect, random};
use super::{PATIENCE, delete, missed, set, wait_for};
use kvfuse_core::watch::From;
use kvfuse_core::{Bucket, Change, Kind, Result, Store, Swap};
use kvfuse_dynamodb::{Ambient, DynamoStore};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::http::StdHttp;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::settings;
use kvfuse_servers::watchdog::Watchdog;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// A table, whose stream has the changes of other tests as well, and a prefix in it.
struct Own {
    server: Arc<DynamoDb>,
    prefix: &'static str,
    _watchdog: Watchdog,
}

impl Own {
    fn start(prefix: &'static str) -> Self {
        static SERVER: Mutex<Weak<DynamoDb>> = Mutex::new(Weak::new());
        let mut shared = SERVER.lock().unwrap();
        let server = shared.upgrade().unwrap_or_else(|| Arc::new(DynamoDb::streaming("NEW_IMAGE")));
        *shared = Arc::downgrade(&server);
        Self { server, prefix, _watchdog: Watchdog::of_the_test() }
    }

    fn open(&self, bucket: &str) -> Rc<dyn Bucket> {
        self.at(&self.server.endpoint()).open(bucket).unwrap()
    }

    fn at(&self, endpoint: &str) -> NativeStore {
        connect(endpoint, &[("KEYVALUE_PREFIX", self.prefix), ("KEYVALUE_TIMEOUT_MS", "20000")])
    }

    /// Writes an item as another client would.
    fn put(&self, bucket: &str, rest: &str) {
        let item = format!(r#"{{"pk":{{"S":"{}{bucket}"}},{rest}}}"#, self.prefix);
        self.server.dynamodb("PutItem", &format!(r#"{{"TableName":"keyvalue","Item":{item}}}"#));
    }
}

fn position(bucket: &dyn Bucket) -> String {
    bucket.watch("", From::Now).unwrap().next(Duration::ZERO).unwrap().position.unwrap()
}

#[test]
fn every_change_is_delivered_once_in_order_with_the_value_it_had() {
    let own = Own::start("every/");
    let bucket = own.open("b");
    let mut watch = bucket.watch("k", From::Now).unwrap();
    let other = own.open("b");
    let writes: [&dyn Fn() -> Result<()>; 10] = [
        &|| other.set("k", b"1"),
        &|| other.increment("k", 5, 0).map(drop),
        &|| other.set_many(&[("x", b""), ("kk", b"7")]),
        &|| other.swap("k", &other.snapshot("k")?.version, b"swapped").map(|swap| assert_eq!(swap, Swap::Done)),
        &|| other.delete("k"),
        &|| other.delete("k"),
        &|| own.open("other").set("k", b""),
        &|| other.set("key\n", &[0, 255]),
        &|| other.create("kc", b"-1", None).map(drop),
        &|| other.delete_many(&["x", "kk"]),
    ];
    writes.iter().for_each(|write| write().unwrap());
    let expected = [
        set("k", b"1"),
        set("k", b"6"),
        set("kk", b"7"),
        set("k", b"swapped"),
        delete("k"),
        set("key\n", &[0, 255]),
        set("kc", b"-1"),
        delete("kk"),
    ];
    assert_eq!(wait_for(&mut *watch, expected.len()).0, expected);
    assert!(watch.next(PATIENCE).unwrap().changes.is_empty());
}

#[test]
fn an_answer_is_bounded_and_a_watch_goes_on_behind_the_position_of_another() {
    let own = Own::start("bounded/");
    let bucket = own.open("b");
    let mut watch = bucket.watch("", From::Now).unwrap();
    let start = position(&*bucket);
    let fill = |from: usize, to: usize, value: &[u8]| {
        let keys: Vec<String> = (from..to).map(|n| n.to_string()).collect();
        bucket.set_many(&keys.iter().map(|key| (key.as_str(), value)).collect::<Vec<_>>()).unwrap();
    };
    fill(0, 1200, b"v");
    let (all, middle) = wait_for(&mut *watch, 1200);
    assert_eq!(relayed(&own, &start, 1200), all);
    // More than one answer may have, and less than DynamoDB gives at once.
    fill(1200, 1650, &[7; 11 << 10]);
    let (all, _) = wait_for(&mut *watch, 450);
    let expected: Vec<Change> = (1200..1650).map(|n| set(&n.to_string(), &[7; 11 << 10])).collect();
    assert!(all == expected, "{} changes", all.len());
    assert!(relayed(&own, &middle, 450) == all);
}

/// What comes behind a position if each answer goes to another instance, which goes on where the one before was.
fn relayed(own: &Own, start: &str, count: usize) -> Vec<Change> {
    let (mut heard, mut position) = (Vec::new(), start.to_string());
    while heard.len() < count {
        let answer = own.open("b").watch("", From::Position(&position)).unwrap().next(PATIENCE).unwrap();
        let size = answer.changes.iter().map(Change::size).sum::<usize>();
        assert!(answer.changes.len() <= 500 && size < (4 << 20) + (12 << 10) && answer.missed.is_none(), "{size}");
        heard.extend(answer.changes);
        position = answer.position.unwrap();
    }
    heard
}

#[test]
fn the_beginning_is_everything_and_then_what_changes() {
    let own = Own::start("beginning/");
    let bucket = own.open("b");
    bucket.set_many(&[("p/a", b"1"), ("p/b", b"2"), ("q", b"3")]).unwrap();
    let mut watch = bucket.watch("p/", From::Beginning).unwrap();
    bucket.delete("p/a").unwrap();
    bucket.set("q", b"4").unwrap();
    bucket.set("p/c", b"5").unwrap();
    let first = watch.next(PATIENCE).unwrap();
    assert_eq!(first.changes, [set("p/b", b"2")]);
    // The listing was made after they had changed, and their changes come again.
    assert_eq!(wait_for(&mut *watch, 3).0, [set("p/c", b"5"), delete("p/a"), set("p/c", b"5")]);
    // Behind the position of a part of everything comes all of it again, and what was deleted meanwhile.
    bucket.delete("p/b").unwrap();
    let mut again = bucket.watch("p/", From::Position(&first.position.unwrap())).unwrap();
    assert_eq!(again.next(PATIENCE).unwrap().changes, [set("p/c", b"5")]);
    let (changes, position) = wait_for(&mut *again, 5);
    assert_eq!(changes.last(), Some(&delete("p/b")));
    let mut on = bucket.watch("p/", From::Position(&position)).unwrap();
    bucket.set("p/d", b"6").unwrap();
    assert_eq!(wait_for(&mut *on, 1).0, [set("p/d", b"6")]);
}

#[test]
fn a_position_of_another_bucket_or_table_or_none_at_all_is_refused() {
    let own = Own::start("positions/");
    let bucket = own.open("b");
    let right = position(&*bucket);
    assert!(!right.contains(char::is_whitespace), "{right}");
    bucket.watch("other prefix", From::Position(&right)).unwrap();
    let moved = right.replace("table/keyvalue/", "table/another/");
    assert_ne!(moved, right);
    let of_another = position(&*own.open("c"));
    for wrong in ["", "7", "new", right.split_at(1).1, &moved, &of_another, &format!("{right}0")] {
        let error = bucket.watch("", From::Position(wrong)).err().unwrap();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{wrong}");
        assert!(error.message().contains("from now on, or from the beginning"), "{error}");
    }
    let table = own.server.dynamodb("DescribeTable", r#"{"TableName":"keyvalue"}"#);
    let mut table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let create = table["Table"].as_object_mut().unwrap();
    let known = ["BillingMode", "KeySchema", "AttributeDefinitions", "StreamSpecification"];
    create.retain(|name, _| known.contains(&name.as_str()));
    create.insert("TableName".into(), "another".into());
    create.insert("BillingMode".into(), "PAY_PER_REQUEST".into());
    own.server.dynamodb("CreateTable", &table["Table"].to_string());
    let another =
        connect(&own.server.endpoint(), &[("KEYVALUE_PREFIX", own.prefix), ("KEYVALUE_DYNAMODB_TABLE", "another")]);
    let error = another.open("b").unwrap().watch("", From::Position(&right)).err().unwrap();
    assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
    assert!(error.message().contains("another table"), "{error}");
}

#[test]
fn a_table_without_a_stream_or_without_values_in_it_is_refused_with_the_command_that_helps() {
    let _watchdog = Watchdog::of_the_test();
    let refused = |server: &DynamoDb| {
        let error = connect(&server.endpoint(), &[]).open("b").unwrap().watch("", From::Now).err().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        assert!(error.message().contains("StreamEnabled=true,StreamViewType=NEW_IMAGE"), "{error}");
        error.message().to_string()
    };
    assert!(refused(&DynamoDb::start()).contains("has no stream"));
    assert!(refused(&DynamoDb::streaming("KEYS_ONLY")).contains("KEYS_ONLY"));
}

#[test]
fn a_stream_that_was_switched_off_is_an_error_that_says_so() {
    let _watchdog = Watchdog::of_the_test();
    let server = DynamoDb::streaming("NEW_IMAGE");
    let bucket = connect(&server.endpoint(), &[]).open("b").unwrap();
    let position = position(&*bucket);
    let off = r#"{"TableName":"keyvalue","StreamSpecification":{"StreamEnabled":false}}"#;
    server.dynamodb("UpdateTable", off);
    for from in [From::Now, From::Beginning, From::Position(&position)] {
        let error = bucket.watch("", from).err().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        assert!(error.message().contains("has no stream"), "{error}");
    }
}

#[test]
fn a_server_that_was_killed_and_has_another_table_is_told_and_everything_follows() {
    let _watchdog = Watchdog::of_the_test();
    let mut server = DynamoDb::streaming("NEW_IMAGE");
    let bucket = connect(&server.endpoint(), &[("KEYVALUE_TIMEOUT_MS", "500")]).open("b").unwrap();
    let mut watch = bucket.watch("", From::Now).unwrap();
    bucket.set("gone", b"1").unwrap();
    let (_, position) = wait_for(&mut *watch, 1);
    server.kill();
    let error = watch.next(PATIENCE).unwrap_err();
    assert!(matches!(error.kind(), Kind::Unavailable | Kind::Timeout), "{error}");
    assert!(watch.next(PATIENCE).is_err(), "it is still gone");
    server.resume();
    let bucket = connect(&server.endpoint(), &[("KEYVALUE_TIMEOUT_MS", "20000")]).open("b").unwrap();
    bucket.set_many(&[("a", b"1"), ("b", b"2")]).unwrap();
    for mut watch in [watch, bucket.watch("", From::Position(&position)).unwrap()] {
        assert_eq!(missed(&mut *watch, "switched off and on", 2), [set("a", b"1"), set("b", b"2")]);
        bucket.delete("a").unwrap();
        assert_eq!(wait_for(&mut *watch, 1).0, [delete("a")]);
        bucket.set("a", b"1").unwrap();
        wait_for(&mut *watch, 1);
    }
}

#[test]
fn a_server_that_froze_times_out_and_the_watch_goes_on_when_it_thaws() {
    let _watchdog = Watchdog::of_the_test();
    let server = DynamoDb::streaming("NEW_IMAGE");
    let bucket = connect(&server.endpoint(), &[("KEYVALUE_TIMEOUT_MS", "500")]).open("b").unwrap();
    let mut watch = bucket.watch("", From::Now).unwrap();
    server.freeze();
    assert_eq!(watch.next(PATIENCE).unwrap_err().kind(), Kind::Timeout);
    server.thaw();
    while bucket.set("k", b"1").is_err() {}
    let changes = loop {
        match watch.next(PATIENCE) {
            Ok(next) if next.changes.is_empty() => assert_eq!(next.missed, None),
            Ok(next) => break next.changes,
            Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Timeout), "{error}"),
        }
    };
    assert!(changes.iter().all(|change| *change == set("k", b"1")), "{changes:?}");
}

#[test]
fn an_answer_that_is_lost_or_nonsense_is_asked_for_again_and_nothing_is_missed() {
    let own = Own::start("lost/");
    let proxy = Proxy::start(own.server.port());
    let direct = own.open("b");
    let mut watch =
        own.at(&format!("http://127.0.0.1:{}", proxy.port())).open("b").unwrap().watch("", From::Now).unwrap();
    let (mut sent, mut heard) = (Vec::new(), Vec::new());
    for fault in [Fault::Close, Fault::Nonsense] {
        for byte in [0, 1, 20, 150, 200, 300, 400] {
            let key = format!("{fault:?} {byte}");
            direct.set(&key, b"1").unwrap();
            sent.push(set(&key, b"1"));
            proxy.plan(Direction::Reply, fault, byte);
            while heard.len() < sent.len() {
                match watch.next(PATIENCE) {
                    Ok(next) => {
                        assert_eq!(next.missed, None);
                        heard.extend(next.changes);
                    }
                    Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error}"),
                }
            }
            proxy.clear();
        }
    }
    assert_eq!(heard, sent);
}

#[test]
fn a_long_key_is_delivered_and_its_deletion_only_where_the_stream_says_which() {
    let own = Own::start("long/");
    let long = format!("p/{}", "é".repeat(3000));
    for (view, told) in [("NEW_IMAGE", true), ("NEW_AND_OLD_IMAGES", false)] {
        let server = if told { own.server.clone() } else { Arc::new(DynamoDb::streaming(view)) };
        let bucket = connect(&server.endpoint(), &[("KEYVALUE_PREFIX", own.prefix)]).open("b").unwrap();
        let mut watch = bucket.watch("p/", From::Now).unwrap();
        bucket.set(&long, b"1").unwrap();
        assert_eq!(wait_for(&mut *watch, 1).0, [set(&long, b"1")]);
        let elsewhere = "q".repeat(1000);
        bucket.set(&elsewhere, b"1").unwrap();
        bucket.delete(&elsewhere).unwrap();
        bucket.delete(&long).unwrap();
        bucket.set("p/next", b"2").unwrap();
        let (mut missed, mut changes) = (None, Vec::new());
        while changes.last() != Some(&set("p/next", b"2")) {
            let next = watch.next(PATIENCE).unwrap();
            missed = missed.or(next.missed);
            changes.extend(next.changes);
        }
        if told {
            assert!(missed.unwrap().contains("NEW_AND_OLD_IMAGES"));
            assert_eq!(changes, [set("p/next", b"2")]);
        } else {
            assert_eq!((missed, changes), (None, vec![delete(&long), set("p/next", b"2")]));
        }
        // What the prefix leaves out does not matter.
        let mut watch = bucket.watch("p/n", From::Now).unwrap();
        bucket.set(&long, b"1").unwrap();
        bucket.delete(&long).unwrap();
        bucket.delete("p/next").unwrap();
        assert_eq!(wait_for(&mut *watch, 1).0, [delete("p/next")]);
    }
}

#[test]
fn an_item_of_somebody_else_is_told_and_the_watch_goes_on_behind_it() {
    let own = Own::start("foreign/");
    let bucket = own.open("b");
    let mut watch = bucket.watch("", From::Now).unwrap();
    // In another partition, or with another kind of sort key, it is nobody's business.
    own.put("other", r#""sk":{"S":"kx"},"val":{"S":"text"},"num":{"L":[]}"#);
    own.put("b", r#""sk":{"S":"x"},"val":{"S":"text"}"#);
    bucket.set("a", b"1").unwrap();
    assert_eq!(wait_for(&mut *watch, 1).0, [set("a", b"1")]);
    for wrong in [
        r#""sk":{"S":"kx"},"val":{"S":"text"}"#,
        r#""sk":{"S":"kx"}"#,
        r#""sk":{"S":"kx"},"num":{"N":"1.5"}"#,
        r#""sk":{"S":"kx"},"num":{"N":"1"},"ttl":{"N":"1.5"}"#,
        r#""sk":{"S":"kx"},"num":{"N":"1"},"key":{"S":"y"}"#,
    ] {
        own.put("b", wrong);
        let next = loop {
            let next = watch.next(PATIENCE).unwrap();
            if next.missed.is_some() {
                break next;
            }
        };
        assert!(next.missed.unwrap().contains("did not write"), "{wrong}");
        assert_eq!(next.changes, [], "{wrong}");
    }
    bucket.delete("x").unwrap();
    assert_eq!(wait_for(&mut *watch, 1).0, [delete("x")]);
}

thread_local! {
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[test]
fn a_key_that_has_ended_is_deleted_also_before_dynamodb_does_that() {
    let own = Own::start("ended/");
    let endpoint = own.server.endpoint();
    let variables =
        [&KEYS[..], &[("KEYVALUE_DYNAMODB_ENDPOINT", &*endpoint), ("KEYVALUE_PREFIX", own.prefix)]].concat();
    let ambient = Ambient { since_1970: || TIME.get(), random };
    let store = DynamoStore::new(&settings(&variables), StdHttp::default(), SystemClock, ambient).unwrap();
    let bucket = store.open("b").unwrap();
    TIME.set(Duration::from_secs(1_000_000));
    let mut watch = bucket.watch("", From::Now).unwrap();
    bucket.set_expiring("a", b"1", Duration::from_secs(10)).unwrap();
    assert_eq!(wait_for(&mut *watch, 1).0, [set("a", b"1")]);
    bucket.set_expiring("b", b"1", Duration::from_secs(10)).unwrap();
    TIME.set(Duration::from_secs(1_000_010));
    assert_eq!(wait_for(&mut *watch, 1).0, [delete("b")]);
    // As DynamoDB does it.
    let key = format!(r#"{{"pk":{{"S":"{}b"}},"sk":{{"S":"ka"}}}}"#, own.prefix);
    own.server.dynamodb("DeleteItem", &format!(r#"{{"TableName":"keyvalue","Key":{key}}}"#));
    assert_eq!(wait_for(&mut *watch, 1).0, [delete("a")]);
}

#[test]
fn requests_about_the_stream_are_signed_as_well() {
    let _watchdog = Watchdog::of_the_test();
    let server = DynamoDb::moto();
    let (id, secret) = &server.access_key;
    let open = |secret: &str| {
        let keys = [("AWS_ACCESS_KEY_ID", id.as_str()), ("AWS_SECRET_ACCESS_KEY", secret)];
        connect(&server.endpoint(), &keys).open("b").unwrap()
    };
    let bucket = open(secret);
    let mut watch = bucket.watch("", From::Beginning).unwrap();
    bucket.set("k", b"1").unwrap();
    let (changes, _) = wait_for(&mut *watch, 1);
    assert_eq!(changes[0], set("k", b"1"));
    let error = open("hunter3").watch("", From::Now).err().unwrap();
    assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
    assert!(error.message().contains("GetShardIterator") && !error.message().contains("hunter"), "{error}");
}
