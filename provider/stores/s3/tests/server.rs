//! What is specific to S3: signatures, conditions, objects that other tools see, limits, round trips, streams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{connect, connect_counting};
use kvfuse_core::{Bucket, Kind, Store, Swap, Version};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::http::StdHttp;
use kvfuse_servers::s3::S3;
use kvfuse_servers::shared::Shared;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_transport::clock::Clock;
use kvfuse_transport::http::{Method, Pieces, read_to_end};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Tests that run at the same time share the servers.
fn moto() -> Arc<S3> {
    static SERVER: Shared<S3> = Shared::new();
    SERVER.get(S3::moto)
}

fn seaweedfs() -> Arc<S3> {
    static SERVER: Shared<S3> = Shared::new();
    SERVER.get(S3::seaweedfs)
}

fn every_operation(bucket: &dyn Bucket) {
    bucket.set("ä/1 +", b"1").unwrap();
    assert!(bucket.exists("ä/1 +").unwrap());
    assert!(!bucket.exists("ä").unwrap());
    assert_eq!(bucket.increment("ä/1 +", 41, 0), Ok(42));
    assert_eq!(bucket.increment("new", -7, i64::MIN), Ok(-7));
    assert_eq!(bucket.increment("ä/1 +", -43, 0).unwrap_err().kind(), Kind::InvalidArgument);
    let seen = bucket.snapshot("ä/1 +").unwrap();
    assert_eq!(bucket.swap("ä/1 +", &seen.version, b"two"), Ok(Swap::Done));
    let Swap::Conflict(now) = bucket.swap("ä/1 +", &seen.version, b"three").unwrap() else {
        panic!("it was outdated")
    };
    assert_eq!(now.value.as_deref(), Some(&b"two"[..]));
    assert!(matches!(bucket.swap("ä/1 +", &Version::Absent, b"x"), Ok(Swap::Conflict(_))));
    assert_eq!(bucket.create("created", b"x", None), Ok(true));
    assert_eq!(bucket.create("created", b"y", None), Ok(false));
    bucket.set_many(&[("", b""), ("&<>\"'", b"3")]).unwrap();
    assert!(bucket.exists("").unwrap(), "an empty object has no first byte");
    assert_eq!(bucket.get_many(&["&<>\"'", "none", ""]).unwrap(), [Some(b"3".to_vec()), None, Some(vec![])]);
    assert_eq!(bucket.list(None).unwrap().keys, ["", "&<>\"'", "created", "new", "ä/1 +"]);
    assert_eq!(bucket.list_prefix("ä/", None).unwrap().keys, ["ä/1 +"]);
    bucket.delete("new").unwrap();
    bucket.delete_many(&["", "none", "&<>\"'", "created"]).unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["ä/1 +"]);
}

#[test]
fn servers_that_check_signatures_accept_every_operation_and_reject_wrong_credentials() {
    let _watchdog = Watchdog::of_the_test();
    for server in [moto(), seaweedfs()] {
        let bucket = connect(&server, &[]).open("bücket/1").unwrap();
        every_operation(&*bucket);
        for wrong in [("AWS_SECRET_ACCESS_KEY", "hunter3"), ("AWS_ACCESS_KEY_ID", "AKIDHUNTER3")] {
            let wrong = connect(&server, &[wrong]).open("bücket/1").unwrap();
            for error in [
                wrong.get("ä/1 +").unwrap_err(),
                wrong.set("ä/1 +", b"").unwrap_err(),
                wrong.list(None).unwrap_err(),
                wrong.delete_many(&["ä/1 +"]).unwrap_err(),
            ] {
                assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
                assert!(!error.message().to_lowercase().contains("hunter"), "{error}");
            }
        }
        assert_eq!(bucket.get("ä/1 +").unwrap().as_deref(), Some(&b"two"[..]), "nothing was written");
    }
}

#[test]
fn a_missing_bucket_of_s3_is_an_error_for_every_call() {
    let _watchdog = Watchdog::of_the_test();
    for server in [moto(), seaweedfs()] {
        let endpoint = format!("http://127.0.0.1:{}", server.port());
        let elsewhere = [("KEYVALUE_S3_ENDPOINT", &*endpoint), ("KEYVALUE_S3_BUCKET", "no-bucket")];
        let bucket = connect(&server, &elsewhere).open("b").unwrap();
        for error in [
            bucket.get("a").unwrap_err(),
            bucket.exists("a").unwrap_err(),
            bucket.set("a", b"").unwrap_err(),
            bucket.list(None).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(error.message().contains("aws s3 mb s3://no-bucket"), "{error}");
        }
    }
}

#[test]
fn an_object_is_as_documented_and_what_other_tools_write_is_read() {
    let _watchdog = Watchdog::of_the_test();
    for server in [moto(), seaweedfs()] {
        let bucket = connect(&server, &[("KEYVALUE_PREFIX", "app/")]).open("photos").unwrap();
        bucket.set("2024/my cat.jpg", b"\x01\x02").unwrap();
        bucket.set(".env", b"x").unwrap();
        let seen = server.request(Method::Get, "app/photos/2024/my cat.jpg", "", b"").unwrap();
        assert_eq!((seen.status, seen.body.as_slice()), (200, &b"\x01\x02"[..]));
        assert_eq!(seen.headers.get("x-amz-meta-kvfuse-write").map(str::len), Some(32));
        let seen = server.request(Method::Get, "app/photos/%2Eenv", "", b"").unwrap();
        assert_eq!((seen.status, seen.headers.get("content-type")), (200, Some("application/octet-stream")));
        let put = |name: &str, value: &[u8]| server.request(Method::Put, name, "", value).unwrap().status;
        assert_eq!(put("app/photos/2023/dog.jpg", b"41"), 200);
        assert_eq!(put("app/photosx/not", b""), 200);
        assert_eq!(bucket.increment("2023/dog.jpg", 1, 0), Ok(42));
        assert_eq!(bucket.list(None).unwrap().keys, [".env", "2023/dog.jpg", "2024/my cat.jpg"]);
        assert_eq!(bucket.list_prefix("2024/", None).unwrap().keys, ["2024/my cat.jpg"]);
    }
}

/// That a value was replaced and is back, only the mark tells, and the time if others wrote it.
#[test]
fn a_version_is_that_of_a_write_and_good_for_any_instance() {
    let _watchdog = Watchdog::of_the_test();
    for server in [moto(), seaweedfs()] {
        let bucket = connect(&server, &[("KEYVALUE_TIMEOUT_MS", "60000")]).open("versions").unwrap();
        for value in [&b"1"[..], b""] {
            bucket.set("a", value).unwrap();
            let seen = bucket.snapshot("a").unwrap();
            bucket.set("a", b"2").unwrap();
            assert!(matches!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Conflict(_))));
            bucket.set("a", value).unwrap();
            assert!(matches!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Conflict(_))));
            let seen = bucket.snapshot("a").unwrap();
            let other = connect(&server, &[]).open("versions").unwrap();
            assert_eq!(other.swap("a", &seen.version, b"3"), Ok(Swap::Done));
        }
        assert_eq!(server.request(Method::Put, "versions/a", "", b"4").unwrap().status, 200);
        let seen = bucket.snapshot("a").unwrap();
        assert_eq!(bucket.swap("a", &seen.version, b"5"), Ok(Swap::Done));
    }
}

/// SeaweedFS lists what is in a directory before its siblings, and so not in the order of the names.
#[test]
fn keys_in_folders_are_listed_once_over_several_pages() {
    let _watchdog = Watchdog::of_the_test();
    let server = seaweedfs();
    let bucket = connect(&server, &[("KEYVALUE_TIMEOUT_MS", "60000")]).open("folders").unwrap();
    let ends = ["", "-1", "/1", "/1/2", "/1-1", "0"];
    let mut keys: Vec<String> = (100..280).flat_map(|n| ends.map(|end| format!("{n}{end}"))).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &b""[..])).collect();
    thread::scope(|scope| {
        for part in pairs.chunks(270) {
            let connect = || connect(&server, &[("KEYVALUE_TIMEOUT_MS", "60000")]).open("folders").unwrap();
            scope.spawn(move || connect().set_many(part).unwrap());
        }
    });
    let (mut listed, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = bucket.list(cursor.as_deref()).unwrap();
        listed.extend(page.keys);
        (cursor, pages) = (page.cursor, pages + 1);
        if cursor.is_none() {
            break;
        }
    }
    keys.sort();
    listed.sort();
    assert!(listed == keys && pages > 1, "{} of {} in {pages} pages", listed.len(), keys.len());
    let mut below = bucket.list_prefix("150/", None).unwrap().keys;
    below.sort();
    assert_eq!(below, ["150/1", "150/1-1", "150/1/2"]);
}

#[test]
fn a_key_whose_object_would_have_too_long_a_name_is_refused_before_anything_is_sent() {
    let http = StdHttp::default();
    let server = moto();
    let bucket = connect_counting(&server, &[], http.clone()).open("b").unwrap();
    let before = http.network.round_trips.get();
    let long = "k".repeat(1023);
    for error in [
        bucket.set(&long, b"").unwrap_err(),
        bucket.get(&long).unwrap_err(),
        bucket.set_many(&[("a", b"1"), (&long, b"2")]).unwrap_err(),
        bucket.delete_many(&["a", &long]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
        assert!(error.message().contains("1024"), "{error}");
    }
    assert!(bucket.list_prefix(&long, None).unwrap().keys.is_empty());
    assert_eq!(http.network.round_trips.get(), before);
}

#[test]
fn a_lifetime_and_a_watch_are_refused() {
    let server = moto();
    let bucket = connect(&server, &[]).open("refused").unwrap();
    let life = Duration::from_secs(10);
    for error in [
        bucket.set_expiring("a", b"", life).unwrap_err(),
        bucket.create("a", b"", Some(life)).unwrap_err(),
        bucket.watch("", kvfuse_core::watch::From::Now).map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    }
    assert_eq!(bucket.exists("a"), Ok(false));
}

#[test]
fn round_trips_are_as_documented() {
    let _watchdog = Watchdog::of_the_test();
    let http = StdHttp::default();
    let server = moto();
    let store = connect_counting(&server, &[("KEYVALUE_TIMEOUT_MS", "60000")], http.clone());
    let count = |operation: &dyn Fn()| http.network.round_trips_of(operation);
    let bucket = store.open("trips").unwrap();
    let keys: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &b"x"[..])).collect();
    assert_eq!(count(&|| drop(store.open("c").unwrap())), 0, "open");
    assert_eq!(count(&|| drop(bucket.get("a").unwrap())), 1, "get");
    assert_eq!(count(&|| bucket.set("a", b"x").unwrap()), 1, "set");
    assert_eq!(count(&|| assert!(bucket.exists("a").unwrap())), 1, "exists");
    assert_eq!(count(&|| assert!(!bucket.exists("b").unwrap())), 1, "exists not");
    assert_eq!(count(&|| _ = bucket.increment("n", 1, 0).unwrap()), 2, "increment");
    assert_eq!(count(&|| _ = bucket.increment("n", 1, 0).unwrap()), 2, "increment");
    assert_eq!(count(&|| drop(bucket.snapshot("a").unwrap())), 1, "snapshot");
    let seen = bucket.snapshot("a").unwrap();
    assert_eq!(count(&|| assert_eq!(bucket.swap("a", &seen.version, b"y"), Ok(Swap::Done))), 2, "swap");
    let conflict = || assert!(matches!(bucket.swap("a", &seen.version, b"z"), Ok(Swap::Conflict(_))));
    assert_eq!(count(&conflict), 2, "a swap that conflicts");
    assert_eq!(count(&|| assert_eq!(bucket.create("c", b"", None), Ok(true))), 1, "create");
    assert_eq!(count(&|| assert_eq!(bucket.create("c", b"", None), Ok(false))), 2, "create what exists");
    assert_eq!(count(&|| drop(bucket.get_body("a").unwrap())), 1, "a stream");
    assert_eq!(count(&|| bucket.delete("a").unwrap()), 1, "delete");
    assert_eq!(count(&|| bucket.set_many(&pairs[..20]).unwrap()), 20, "set-many");
    assert_eq!(count(&|| drop(bucket.get_many(&[keys[0], keys[1], keys[0]]).unwrap())), 2, "get-many");
    assert_eq!(count(&|| drop(bucket.list(None).unwrap())), 1, "list");
    assert_eq!(count(&|| bucket.delete_many(&keys[..1000]).unwrap()), 1, "delete-many of 1000");
    assert_eq!(count(&|| bucket.delete_many(&keys).unwrap()), 2, "delete-many of 1001");
    assert_eq!(bucket.list(None).unwrap().keys, ["c", "n"]);
}

#[test]
fn clients_that_count_and_swap_at_the_same_time_lose_nothing() {
    let _watchdog = Watchdog::of_the_test();
    let server = seaweedfs();
    let store = || connect(&server, &[("KEYVALUE_TIMEOUT_MS", "60000")]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let bucket = store().open("races").unwrap();
                for _ in 0..10 {
                    bucket.increment("counted", 1, 0).unwrap();
                    kvfuse_suite::swaps::add_one_by_swaps(&*bucket, "swapped");
                }
            });
        }
    });
    let bucket = store().open("races").unwrap();
    assert_eq!(bucket.get_many(&["counted", "swapped"]).unwrap(), [Some(b"40".to_vec()), Some(b"40".to_vec())]);
}

/// Of many clients that create a key, one does.
#[test]
fn one_of_many_clients_creates_a_key() {
    let _watchdog = Watchdog::of_the_test();
    let server = seaweedfs();
    for round in 0..5 {
        let key = format!("once{round}");
        let slow = [("KEYVALUE_TIMEOUT_MS", "60000")];
        let create = || connect(&server, &slow).open("creating").unwrap().create(&key, b"x", None).unwrap();
        let created: Vec<bool> = thread::scope(|scope| {
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        assert_eq!(created.iter().filter(|created| **created).count(), 1, "{created:?}");
    }
}

#[test]
fn a_value_is_read_through_a_stream_and_not_written_through_one() {
    let _watchdog = Watchdog::of_the_test();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for server in [moto(), seaweedfs()] {
        let store = connect(&server, &[]);
        let bucket = store.open("streams").unwrap();
        for value in [&large[..], b"", b"small"] {
            bucket.set("a", value).unwrap();
            let body = bucket.get_body("a").unwrap().unwrap();
            assert_eq!(body.size, value.len() as u64);
            let mut stream = body.stream.downcast::<kvfuse_servers::http::Chunks>().unwrap();
            let deadline = SystemClock.now() + Duration::from_secs(30);
            assert!(stream.wait(deadline));
            assert!(read_to_end(&mut *stream, usize::MAX, deadline).unwrap() == value);
        }
        assert!(bucket.get_body("none").unwrap().is_none());
        let error = store.create_body().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains("S3") && error.message().contains("byte list"), "{error}");
    }
}
