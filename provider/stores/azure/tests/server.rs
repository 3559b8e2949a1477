//! What is specific to Azure Tables: signatures, limits, entities, lifetimes, round trips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{NativeStore, OwnAzure, connect, connect_counting, random};
use kvfuse_azure::{Ambient, AzureStore};
use kvfuse_core::{Bucket, Kind, Store, Swap, Version};
use kvfuse_http::keyed::keyed;
use kvfuse_servers::azure::{ACCOUNT, AzureTables, KEY};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::http::StdHttp;
use kvfuse_servers::settings;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_transport::clock::Clock;
use kvfuse_transport::http::{HttpClient, Method, Request, Scheme};
use std::cell::Cell;
use std::thread;
use std::time::Duration;

/// When the shared access signatures end.
const END: &str = "2099-01-01T00:00:00Z";

/// A shared access signature for one table.
fn for_table(table: &str, permissions: &str) -> String {
    let text =
        format!("{permissions}\n\n{END}\n/table/{ACCOUNT}/{}\n\n\n\n2019-02-02\n\n\n\n", table.to_ascii_lowercase());
    signed(&format!("tn={table}"), permissions, &text)
}

/// One for the entities of all tables of the account. The emulator takes no other for entity group transactions.
fn for_account(permissions: &str) -> String {
    signed("ss=t&srt=co", permissions, &format!("{ACCOUNT}\n{permissions}\nt\nco\n\n{END}\n\n\n2019-02-02\n"))
}

fn signed(what: &str, permissions: &str, text: &str) -> String {
    let signature = STANDARD.encode(keyed(&STANDARD.decode(KEY).unwrap(), text).unwrap());
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("?sv=2019-02-02&{what}&sp={permissions}&se={}&sig={signature}", END.replace(':', "%3A"))
}

fn every_operation(bucket: &dyn Bucket) {
    bucket.set("ä", b"1").unwrap();
    assert!(bucket.exists("ä").unwrap());
    assert_eq!(bucket.increment("ä", 41, 0), Ok(42));
    assert_eq!(bucket.increment("new", -7, i64::MIN), Ok(-7));
    assert_eq!(bucket.increment("ä", -43, 0).unwrap_err().kind(), Kind::InvalidArgument);
    let seen = bucket.snapshot("ä").unwrap();
    assert_eq!(bucket.swap("ä", &seen.version, b"two"), Ok(Swap::Done));
    let Swap::Conflict(now) = bucket.swap("ä", &seen.version, b"three").unwrap() else { panic!("it was outdated") };
    assert_eq!(now.value.as_deref(), Some(&b"two"[..]));
    assert!(matches!(bucket.swap("ä", &Version::Absent, b"x"), Ok(Swap::Conflict(_))));
    assert_eq!(bucket.create("created", b"x", None), Ok(true));
    assert_eq!(bucket.increment("created", 1, 0).unwrap_err().kind(), Kind::InvalidArgument);
    let long = "l/".repeat(2500);
    bucket.set_many(&[("", b""), (&long, b"3")]).unwrap();
    assert_eq!(bucket.get_many(&[&long, "none", ""]).unwrap(), [Some(b"3".to_vec()), None, Some(vec![])]);
    assert_eq!(bucket.list(None).unwrap().keys, ["", "created", &long, "new", "ä"]);
    assert_eq!(bucket.list_prefix("l", None).unwrap().keys, [long.as_str()]);
    bucket.delete("new").unwrap();
    bucket.delete_many(&["", "none", &long, "created"]).unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["ä"]);
}

/// azurite checks each signature.
#[test]
fn a_server_that_checks_signatures_accepts_every_operation_and_rejects_wrong_credentials() {
    let _watchdog = Watchdog::of_the_test();
    let server = AzureTables::start();
    let with = |name: &str, secret: &str| connect(&server.endpoint(), &[(name, secret)]).open("bücket").unwrap();
    let (key, sas) = ("KEYVALUE_AZURE_KEY", "KEYVALUE_AZURE_SAS");
    let bucket = with(key, KEY);
    every_operation(&*bucket);
    bucket.delete("ä").unwrap();
    let full = for_account("rdlau");
    every_operation(&*with(sas, &full));
    let of_table = with(sas, &for_table("keyvalue", "raud"));
    of_table.set("n", b"1").unwrap();
    assert_eq!(of_table.increment("n", 1, 0), Ok(2));
    assert_eq!(of_table.list(None).unwrap().keys, ["n", "ä"]);
    of_table.delete("n").unwrap();

    let other = STANDARD.encode("hunter2");
    let damaged = full.replacen("sig=", "sig=AAAA", 1);
    let of_another_table = for_table("other", "raud");
    for wrong in [with(key, &other), with(sas, &damaged), with(sas, &of_another_table)] {
        for error in [wrong.get("ä").unwrap_err(), wrong.set("ä", b"").unwrap_err(), wrong.list(None).unwrap_err()] {
            assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
            let said = error.message();
            assert!(!said.contains(&other) && !said.contains("hunter2") && !said.contains("sig="), "{error}");
        }
    }
    // One that may only read.
    let reading = with(sas, &for_account("rl"));
    assert_eq!(reading.get("ä").unwrap().as_deref(), Some(&b"two"[..]), "nothing was written");
    assert_eq!(reading.set("ä", b"").unwrap_err().kind(), Kind::AccessDenied);
    assert_eq!(bucket.get("ä").unwrap().as_deref(), Some(&b"two"[..]), "nothing was written");
}

#[test]
fn a_table_is_made_by_the_first_call_if_the_credentials_allow_it() {
    let _watchdog = Watchdog::of_the_test();
    let server = AzureTables::start();
    let table = ("KEYVALUE_AZURE_TABLE", "Made1");
    let sas = for_table("Made1", "raud");
    let without = connect(&server.endpoint(), &[table, ("KEYVALUE_AZURE_SAS", &sas)]).open("b").unwrap();
    for error in [without.get("a").unwrap_err(), without.set("a", b"x").unwrap_err()] {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.message().contains("az storage table create --name Made1"), "{error}");
    }
    let with = connect(&server.endpoint(), &[table]).open("b").unwrap();
    assert_eq!(with.get("a"), Ok(None));
    without.set("a", b"x").unwrap();
    assert_eq!(with.get("a").unwrap().as_deref(), Some(&b"x"[..]));
    // The other kinds of calls may be the first one, too.
    let first: [fn(&dyn Bucket); 5] = [
        |bucket| _ = bucket.list(None).unwrap(),
        |bucket| bucket.set_many(&[("a", b"1"), ("b", b"2")]).unwrap(),
        |bucket| bucket.delete_many(&["a", "b"]).unwrap(),
        |bucket| bucket.delete("a").unwrap(),
        |bucket| assert_eq!(bucket.increment("a", 1, 0), Ok(1)),
    ];
    for (number, call) in first.into_iter().enumerate() {
        let table = format!("First{number}");
        call(&*connect(&server.endpoint(), &[("KEYVALUE_AZURE_TABLE", &table)]).open("b").unwrap());
    }
}

#[test]
fn round_trips_are_as_documented() {
    let own = OwnAzure::start(&[]);
    let http = StdHttp::default();
    let store = connect_counting(&own.server.endpoint(), &[], http.clone());
    let count = |operation: &dyn Fn()| http.network.round_trips_of(operation);
    let bucket = store.open("b").unwrap();
    let keys: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &[0u8; 100][..])).collect();
    assert_eq!(count(&|| drop(store.open("c").unwrap())), 0, "open");
    assert_eq!(count(&|| drop(bucket.get("a").unwrap())), 3, "the first call of all, which makes the table");
    assert_eq!(count(&|| drop(bucket.get("a").unwrap())), 1, "get");
    assert_eq!(count(&|| bucket.set("a", b"x").unwrap()), 1, "set");
    assert_eq!(count(&|| assert!(bucket.exists("a").unwrap())), 1, "exists");
    assert_eq!(count(&|| _ = bucket.increment("n", 1, 0).unwrap()), 2, "increment");
    assert_eq!(count(&|| _ = bucket.increment("n", 1, 0).unwrap()), 2, "increment");
    assert_eq!(count(&|| drop(bucket.snapshot("a").unwrap())), 1, "snapshot");
    let seen = bucket.snapshot("a").unwrap();
    assert_eq!(count(&|| assert_eq!(bucket.swap("a", &seen.version, b"y"), Ok(Swap::Done))), 1, "swap");
    let conflict = || assert!(matches!(bucket.swap("a", &seen.version, b"z"), Ok(Swap::Conflict(_))));
    assert_eq!(count(&conflict), 2, "a swap that conflicts");
    assert_eq!(count(&|| assert_eq!(bucket.create("c", b"", None), Ok(true))), 1, "create");
    assert_eq!(count(&|| bucket.delete("a").unwrap()), 1, "delete");
    assert_eq!(count(&|| bucket.set_many(&pairs[..100]).unwrap()), 1, "set-many of 100");
    assert_eq!(count(&|| drop(bucket.get_many(&keys[..1]).unwrap())), 1, "get-many of one");
    assert_eq!(count(&|| drop(bucket.get_many(&keys[..12]).unwrap())), 1, "get-many of 12");
    assert_eq!(count(&|| drop(bucket.get_many(&keys[..100]).unwrap())), 9, "get-many of 100");
    assert_eq!(count(&|| drop(bucket.list(None).unwrap())), 1, "list");
    assert_eq!(count(&|| bucket.delete_many(&keys[..100]).unwrap()), 1, "delete-many of 100 that exist");
    assert_eq!(count(&|| bucket.set_many(&pairs).unwrap()), 2, "set-many of 101");
    bucket.delete_many(&["5", "50"]).unwrap();
    assert_eq!(count(&|| bucket.delete_many(&keys[..100]).unwrap()), 1 + 9 + 1, "delete-many of 98 that exist and 2");
    assert_eq!(bucket.list(None).unwrap().keys, ["100", "c", "n"]);
}

/// The JSON of an entity, as another client sees it.
fn entity(server: &AzureTables, partition: &str, row: &str) -> String {
    let deadline = SystemClock.now() + Duration::from_secs(30);
    let sas = for_table("keyvalue", "r");
    let request = Request {
        method: Method::Get,
        scheme: Scheme::Http,
        authority: &format!("127.0.0.1:{}", server.port()),
        path: &format!("/{ACCOUNT}/keyvalue(PartitionKey='{partition}',RowKey='{row}'){sas}"),
        headers: &[("accept", "application/json;odata=fullmetadata"), ("x-ms-version", "2019-02-02")],
        body: b"",
        connect_deadline: deadline,
        max_answer: 8 << 20,
    };
    String::from_utf8(StdHttp::default().exchange(&request, deadline).unwrap().body).unwrap()
}

#[test]
fn an_entity_is_as_documented() {
    let own = OwnAzure::start(&[("KEYVALUE_PREFIX", "app/")]);
    let bucket = own.open("b").unwrap();
    bucket.set("key/1", b"\x01\x02").unwrap();
    let seen = entity(&own.server, "app~2fb", "kkey~2f1");
    for part in [r#""value0":"AQI=""#, r#""value0@odata.type":"Edm.Binary""#, r#""mark@odata.type":"Edm.Binary""#] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert!(!seen.contains(r#""end""#) && !seen.contains(r#""key0""#), "{seen}");
    bucket.set_expiring("n", b"", Duration::from_secs(3600)).unwrap();
    let seen = entity(&own.server, "app~2fb", "kn");
    assert!(seen.contains(r#""end@odata.type":"Edm.Int64""#) && seen.contains(r#""value0":"""#), "{seen}");
    let long = "x".repeat(441);
    bucket.set(&long, &vec![7; (64 << 10) + 1]).unwrap();
    let row = bucket.list(None).unwrap().keys.iter().position(|key| *key == long);
    assert_eq!(row, Some(2), "the rows are in order");
    // The other entities of the table are in other partitions.
    own.open("c").unwrap().set("other", b"").unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["key/1", "n", &long]);
}

/// The emulator counts the JSON text of an entity, which is a third longer than its bytes.
#[test]
fn values_in_many_properties_are_kept_and_larger_ones_are_refused_before_anything_is_sent() {
    let own = OwnAzure::start(&[("KEYVALUE_TIMEOUT_MS", "60000")]);
    let bucket = own.open("b").unwrap();
    let large: Vec<u8> = (0..700_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    bucket.set("key", &large).unwrap();
    assert!(bucket.get("key").unwrap().as_ref() == Some(&large));
    let larger = vec![7; 1 << 20];
    let refused = [
        bucket.set("key", &larger).unwrap_err(),
        bucket.swap("key", &Version::Absent, &larger).map(|_| ()).unwrap_err(),
        bucket.set_many(&[("other", b"1"), ("key", &larger)]).unwrap_err(),
        bucket.set(&"k".repeat(1 << 20), b"").unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
        assert!(error.message().contains("1 MiB"), "{error}");
    }
    assert_eq!(bucket.list(None).unwrap().keys, ["key"]);
    // What the emulator refuses is an error, too.
    let error = bucket.set("key", &vec![7; 1_000_000]).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
    // More than one request may have, and one answer: values, and keys.
    let keys: Vec<String> = (0..14).map(|n| n.to_string()).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &large[..])).collect();
    bucket.set_many(&pairs).unwrap();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(bucket.get_many(&keys).unwrap().iter().all(|value| value.as_ref() == Some(&large)));
    let names = own.open("names").unwrap();
    let mut long: Vec<String> = (10..24).map(|n| n.to_string() + &"k".repeat(700_000)).collect();
    long.iter().for_each(|key| names.set(key, b"").unwrap());
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = names.list(cursor.as_deref()).unwrap();
        listed.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    long.sort();
    assert!(listed == long, "{} of {}", listed.len(), long.len());
}

#[test]
fn clients_that_count_and_swap_at_the_same_time_lose_nothing() {
    let own = OwnAzure::start(&[]);
    let endpoint = own.server.endpoint();
    let store = || connect(&endpoint, &[("KEYVALUE_TIMEOUT_MS", "60000")]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let bucket = store().open("b").unwrap();
                for _ in 0..30 {
                    bucket.increment("counted", 1, 0).unwrap();
                    kvfuse_suite::swaps::add_one_by_swaps(&*bucket, "swapped");
                }
            });
        }
    });
    let bucket = own.open("b").unwrap();
    assert_eq!(bucket.get_many(&["counted", "swapped"]).unwrap(), [Some(b"120".to_vec()), Some(b"120".to_vec())]);
}

thread_local! {
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// What passes with each look at the clock.
    static STEP: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A store whose time of day is that of the test. The emulator does not look at the time of a signature.
fn at_a_time(server: &AzureTables, variables: &[(&str, &str)]) -> NativeStore {
    let endpoint = server.endpoint();
    let variables = [&[("KEYVALUE_AZURE_ENDPOINT", &*endpoint), ("KEYVALUE_AZURE_KEY", KEY)], variables].concat();
    let ambient = Ambient { since_1970: || TIME.replace(TIME.get() + STEP.get()), random };
    AzureStore::new(&settings(&variables), StdHttp::default(), SystemClock, ambient).unwrap()
}

#[test]
fn a_key_ends_after_its_lifetime_for_every_operation_though_the_entity_is_still_there() {
    let own = OwnAzure::start(&[]);
    TIME.set(Duration::from_micros(1_000_000_500));
    let bucket = at_a_time(&own.server, &[]).open("b").unwrap();
    let life = Duration::from_secs(10);
    for key in ["a", "n", "s", "c", "d"] {
        bucket.set_expiring(key, b"1", life).unwrap();
    }
    bucket.set("forever", b"1").unwrap();
    // Rounded up to a millisecond.
    let left = bucket.lifetimes(&["a", "forever", "none"]).unwrap();
    assert_eq!(left, [Some(Duration::from_micros(10_000_500)), None, None]);
    let seen = bucket.snapshot("s").unwrap();

    TIME.set(Duration::from_micros(1_010_000_999));
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(bucket.list(None).unwrap().keys, ["a", "c", "d", "forever", "n", "s"]);

    TIME.set(Duration::from_micros(1_010_001_000));
    assert_eq!(bucket.get("a"), Ok(None));
    assert_eq!(bucket.exists("a"), Ok(false));
    assert_eq!(bucket.get_many(&["a", "forever"]).unwrap(), [None, Some(b"1".to_vec())]);
    assert_eq!(bucket.lifetimes(&["a"]).unwrap(), [None]);
    assert_eq!(bucket.list(None).unwrap().keys, ["forever"]);
    assert_eq!(bucket.snapshot("a").unwrap().version, Version::Absent);
    assert!(matches!(bucket.swap("s", &seen.version, b"2"), Ok(Swap::Conflict(now)) if now.value.is_none()));
    assert_eq!(bucket.swap("s", &Version::Absent, b"3"), Ok(Swap::Done));
    assert_eq!(bucket.create("c", b"4", None), Ok(true));
    bucket.delete_many(&["d", "a"]).unwrap();
    // A counter begins again, and for good.
    assert_eq!(bucket.increment("n", 5, 0), Ok(5));
    assert_eq!(bucket.list(None).unwrap().keys, ["c", "forever", "n", "s"]);
    assert_eq!(bucket.lifetimes(&["n", "s", "c"]).unwrap(), [None, None, None]);
}

/// It may have been set again before its end, after the answer was made.
#[test]
fn a_key_that_ends_while_it_is_read_is_there() {
    let own = OwnAzure::start(&[]);
    TIME.set(Duration::from_micros(1_000_000_500));
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
        TIME.set(Duration::from_micros(1_010_000_999));
        STEP.set(Duration::from_secs(5));
        assert!(find(&*bucket), "{number}");
        STEP.set(Duration::ZERO);
        assert!(!find(&*bucket), "{number}");
    }
}

#[test]
fn with_a_lifetime_for_all_keys_every_write_begins_it_anew() {
    let own = OwnAzure::start(&[]);
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
