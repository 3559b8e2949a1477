//! What is specific to Memcached: names, logins, lifetimes, limits, several servers, round trips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Own, connect, connect_counting, list};
use kvfuse_core::{Bucket, Kind, Store, Swap};
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::net::StdNetwork;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_suite::swaps::add_one_by_swaps;
use std::time::Duration;

#[test]
fn other_clients_find_a_key_under_the_name_that_is_documented() {
    let own = Own::start(&[]);
    let server = &own.servers[0];
    own.open("users").unwrap().set("ann:1", b"hello").unwrap();
    own.open("a:b").unwrap().set("with space", b"escaped").unwrap();
    assert_eq!(server.command("mg users:ann:1 v"), "hello");
    assert_eq!(server.command("mg a%3Ab:with%20space v"), "escaped");
    let prefixed = connect(&server.address(), &[("KEYVALUE_PREFIX", "app/")]).open("users").unwrap();
    assert_eq!(prefixed.get("ann:1"), Ok(None));
    prefixed.set("ann:1", b"another").unwrap();
    assert_eq!(server.command("mg app/users:ann:1 v"), "another");
    assert_eq!(server.command("ms users:bob 2 F7\r\nhi"), "HD");
    assert_eq!(own.open("users").unwrap().get("bob").unwrap().as_deref(), Some(&b"hi"[..]));
}

#[test]
fn keys_longer_than_a_name_work_in_every_operation_and_stay_apart() {
    let own = Own::start(&[]);
    let bucket = own.open("b").unwrap();
    let [one, other] = ["a", "b"].map(|last| "k".repeat(300) + last);
    bucket.set(&one, b"1").unwrap();
    assert_eq!((bucket.get(&other), bucket.exists(&other)), (Ok(None), Ok(false)));
    assert_eq!(bucket.increment(&other, 5, 0), Ok(5));
    let seen = bucket.snapshot(&one).unwrap();
    assert_eq!(bucket.swap(&one, &seen.version, b"2"), Ok(Swap::Done));
    assert_eq!(bucket.get_many(&[&other, &one]), Ok(vec![Some(b"5".to_vec()), Some(b"2".to_vec())]));
    bucket.delete(&one).unwrap();
    assert_eq!(bucket.create(&one, b"3", None), Ok(true));
    assert_eq!(bucket.create(&other, b"3", None), Ok(false));
}

#[test]
fn a_login_opens_and_a_wrong_or_missing_one_is_access_denied() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start_with_login("ann", "hunter2,@:x");
    let with = |user, password| {
        let login = [("KEYVALUE_MEMCACHED_USERNAME", user), ("KEYVALUE_MEMCACHED_PASSWORD", password)];
        connect(&server.address(), &login).open("b").unwrap()
    };
    with("ann", "hunter2,@:x").set("a", b"1").unwrap();
    assert_eq!(with("ann", "hunter2,@:x").get("a").unwrap().as_deref(), Some(&b"1"[..]));
    for (user, password) in [("ann", "hunter3"), ("bob", "hunter2,@:x"), ("", "")] {
        for error in [with(user, password).get("a").unwrap_err(), with(user, password).set("a", b"2").unwrap_err()] {
            assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
            assert!(!error.message().contains("hunter") && !error.message().contains("ann"), "{error}");
        }
    }
    assert_eq!(with("ann", "hunter2,@:x").get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_login_is_not_kept_by_a_server_that_asks_for_none() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let login = [("KEYVALUE_MEMCACHED_USERNAME", "ann"), ("KEYVALUE_MEMCACHED_PASSWORD", "hunter2")];
    connect(&server.address(), &login).open("b").unwrap().set("a", b"1").unwrap();
    assert_eq!(server.command("mg login v"), "EN");
}

#[test]
fn the_largest_item_is_taken_and_a_larger_one_is_refused_and_leaves_the_old_value() {
    let _watchdog = Watchdog::of_the_test();
    for (arguments, limit) in [(&[][..], 1 << 20), (&["-I", "2m"], 2 << 20)] {
        let server = Memcached::start(arguments);
        let bucket = connect(&server.address(), &[]).open("b").unwrap();
        bucket.set("key", b"old").unwrap();
        let fits = limit - 63 - "b:key".len();
        let too_large = vec![b'x'; fits + 1];
        let seen = bucket.snapshot("key").unwrap();
        for error in [
            bucket.set("key", &too_large).unwrap_err(),
            bucket.set_many(&[("other", b"1"), ("key", &too_large)]).unwrap_err(),
            bucket.swap("key", &seen.version, &too_large).unwrap_err(),
            bucket.create("new", &too_large, None).unwrap_err(),
            bucket.set_expiring("key", &too_large, Duration::from_secs(9)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.message().contains(&limit.to_string()), "{error}");
        }
        assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"old"[..]));
        assert!(!bucket.exists("other").unwrap(), "no part of the batch was sent");
        bucket.set("key", &too_large[1..]).unwrap();
        assert_eq!(bucket.get("key").unwrap().map(|value| value.len()), Some(fits));
    }
}

#[test]
fn a_full_cache_evicts_the_oldest_keys_and_without_eviction_it_is_a_quota() {
    let _watchdog = Watchdog::of_the_test();
    let fill = |server: &Memcached| {
        let bucket = connect(&server.address(), &[]).open("b").unwrap();
        let set = (0..200).map(|n| bucket.set(&n.to_string(), &[b'x'; 100_000]));
        (set.collect::<Result<Vec<_>, _>>(), bucket)
    };
    let evicting = Memcached::start(&["-m", "8"]);
    let (set, bucket) = fill(&evicting);
    set.unwrap();
    assert_eq!((bucket.get("0"), bucket.exists("199")), (Ok(None), Ok(true)));
    let error = fill(&Memcached::start(&["-m", "8", "-M"])).0.unwrap_err();
    assert_eq!(error.kind(), Kind::QuotaExceeded);
    assert!(error.message().contains("-m"), "{error}");
}

/// The seconds that are left of a key, as Memcached says.
fn left(server: &Memcached, name: &str) -> i64 {
    server.command(&format!("mg {name} t")).strip_prefix("HD t").unwrap().parse().unwrap()
}

#[test]
fn lifetimes_of_years_are_kept_and_what_memcached_cannot_represent_has_no_end() {
    let own = Own::start(&[]);
    let (server, bucket) = (&own.servers[0], own.open("b").unwrap());
    for days in [1, 29, 30, 31, 400] {
        let seconds = days * 86_400;
        bucket.set_expiring("key", b"1", Duration::from_secs(seconds)).unwrap();
        let left = left(server, "b:key");
        assert!((seconds as i64..=seconds as i64 + 3).contains(&left), "{days} days are {left} seconds");
    }
    bucket.set_expiring("key", b"1", Duration::from_millis(u64::MAX)).unwrap();
    assert_eq!(left(server, "b:key"), -1);
    assert_eq!(bucket.lifetimes(&["key"]), Ok(vec![None]));
}

/// The rest of a lifetime is in whole seconds: if an increment set that, each one across the end of a second would move the end.
#[test]
fn increments_set_the_second_in_which_the_lifetime_ends_and_not_what_is_left_of_it() {
    let own = Own::start(&[]);
    let proxy = Proxy::start(own.servers[0].port());
    let bucket = connect(&format!("127.0.0.1:{}", proxy.port()), &[]).open("b").unwrap();
    proxy.sent();
    bucket.set_expiring("key", b"0", Duration::from_secs(1000)).unwrap();
    // Down and up, over the ends of a digit and of the sign.
    for delta in [7, 7, -7, -14] {
        bucket.increment("key", delta, i64::MIN).unwrap();
    }
    let sent = String::from_utf8(proxy.sent()).unwrap();
    let stored = sent.lines().filter(|line| line.starts_with("ms "));
    let ends: Vec<_> = stored.map(|line| line.split(' ').find(|word| word.starts_with('T')).expect("an end")).collect();
    assert_eq!(ends, [ends[0]; 5]);
    let left = left(&own.servers[0], "b:key");
    assert!((990..=1003).contains(&left), "{left}");
}

#[test]
fn an_increment_keeps_the_lifetime_and_the_flags_that_another_client_gave() {
    let own = Own::start(&[]);
    let (server, bucket) = (&own.servers[0], own.open("b").unwrap());
    for seconds in [500, 2_500_000] {
        assert_eq!(server.command(&format!("ms b:key 1 T{seconds} F9\r\n5")), "HD");
        assert_eq!(bucket.increment("key", 2, 0), Ok(7));
        let left = left(server, "b:key");
        assert!((seconds - 2..=seconds + 1).contains(&left), "{left} of {seconds} seconds");
        assert_eq!(server.command("mg b:key f"), "HD f9");
    }
    assert_eq!(server.command("ms b:key 1 F9\r\n5"), "HD");
    assert_eq!(bucket.increment("key", 2, 0), Ok(7));
    assert_eq!(left(server, "b:key"), -1);
}

#[test]
fn a_counter_that_another_client_left_with_a_space_is_no_counter() {
    let own = Own::start(&[]);
    let (server, bucket) = (&own.servers[0], own.open("b").unwrap());
    assert_eq!(server.command("ms b:key 2\r\n10"), "HD");
    assert_eq!(server.command("ma b:key MD"), "HD");
    let error = bucket.increment("key", 1, 0).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"9 "[..]));
}

#[test]
fn a_server_without_versions_serves_everything_but_what_needs_them() {
    let own = Own::start(&["-C"]);
    let bucket = own.open("b").unwrap();
    bucket.set("key", b"1").unwrap();
    for error in [bucket.increment("key", 1, 0).unwrap_err(), bucket.snapshot("key").unwrap_err()] {
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains("-C"), "{error}");
    }
    assert_eq!(bucket.create("key", b"2", None), Ok(false));
    assert_eq!(bucket.get("key").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_server_with_too_many_connections_is_unavailable() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&["-c", "64", "-t", "1", "-o", "maxconns_fast"]);
    let many: Vec<_> = (0..64)
        .map(|_| {
            let bucket = connect(&server.address(), &[("KEYVALUE_TIMEOUT_MS", "100")]).open("b").unwrap();
            (bucket.set("a", b"1"), bucket)
        })
        .collect();
    let refused = many.iter().find_map(|(set, _)| set.clone().err()).expect("some are for the server itself");
    assert_eq!(refused.kind(), Kind::Unavailable, "{refused}");
    drop(many);
    assert_eq!(connect(&server.address(), &[]).open("b").unwrap().get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn several_servers_share_the_keys_and_without_one_only_its_keys_are_unavailable() {
    let mut servers: Vec<_> = (0..3).map(|_| Memcached::start(&[])).collect();
    let network = StdNetwork::default();
    let store = connect_counting(&list(&servers), &[("KEYVALUE_TIMEOUT_MS", "2000")], network.clone());
    let _watchdog = Watchdog::of_the_test();
    let bucket = store.open("b").unwrap();
    let keys: Vec<String> = (0..90).map(|n| format!("{n}")).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), key.as_bytes())).collect();
    bucket.set_many(&pairs).unwrap();
    let has = |server: &Memcached, key: &str| server.command(&format!("mg b:{key}")) != "EN";
    let shares = servers.iter().map(|server| keys.iter().filter(|key| has(server, key)).count()).collect::<Vec<_>>();
    assert!(shares.iter().sum::<usize>() == 90 && shares.iter().all(|share| *share > 10), "{shares:?}");
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let values: Vec<_> = keys.iter().map(|key| Some(key.clone().into_bytes())).collect();
    assert_eq!(bucket.get_many(&names), Ok(values));
    assert_eq!(network.connects.get(), 3);
    // The order of the list does not matter.
    servers.reverse();
    let another = connect(&list(&servers), &[]).open("b").unwrap();
    assert!(names.iter().all(|key| another.exists(key).unwrap()));

    let of_first: Vec<bool> = keys.iter().map(|key| has(&servers[0], key)).collect();
    servers[0].kill();
    let (gone, left): (Vec<_>, Vec<_>) = names.iter().zip(of_first).partition(|(_, of_first)| *of_first);
    assert!(left.iter().all(|(key, _)| bucket.get(key).unwrap().is_some()));
    // Of the others, one is enough: each is waited for until the time limit.
    assert_eq!(bucket.get(gone[0].0).unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(bucket.get_many(&names).unwrap_err().kind(), Kind::Unavailable);
}

#[test]
fn round_trips_are_as_documented() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let network = StdNetwork::default();
    let store = connect_counting(&server.address(), &[], network.clone());
    let bucket = store.open("b").unwrap();
    assert_eq!(network.round_trips_of(|| drop(store.open("c").unwrap())), 0, "open");
    assert_eq!(network.round_trips_of(|| drop(bucket.get("a").unwrap())), 2, "the first: handshake and get");
    let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &[0u8; 100][..])).collect();
    assert_eq!(network.round_trips_of(|| drop(bucket.get("a").unwrap())), 1, "get");
    assert_eq!(network.round_trips_of(|| bucket.set("a", b"1").unwrap()), 1, "set");
    assert_eq!(
        network.round_trips_of(|| bucket.set_expiring("e", b"1", Duration::from_secs(9)).unwrap()),
        1,
        "with a lifetime"
    );
    assert_eq!(network.round_trips_of(|| assert!(bucket.exists("a").unwrap())), 1, "exists");
    assert_eq!(network.round_trips_of(|| _ = bucket.increment("n", 1, i64::MIN).unwrap()), 2, "increment");
    assert_eq!(network.round_trips_of(|| _ = bucket.increment("n", 1, 0).unwrap()), 2, "with a floor");
    assert_eq!(network.round_trips_of(|| _ = bucket.increment("e", 1, 0).unwrap()), 2, "of a key with a lifetime");
    let seen = bucket.snapshot("a").unwrap();
    assert_eq!(network.round_trips_of(|| drop(bucket.snapshot("a").unwrap())), 1, "current");
    assert_eq!(network.round_trips_of(|| assert_eq!(bucket.swap("a", &seen.version, b"2"), Ok(Swap::Done))), 1, "swap");
    let conflicted = || assert!(matches!(bucket.swap("a", &seen.version, b"3"), Ok(Swap::Conflict(_))));
    assert_eq!(network.round_trips_of(conflicted), 2, "a swap that conflicts");
    assert_eq!(network.round_trips_of(|| bucket.delete("a").unwrap()), 1, "delete");
    assert_eq!(network.round_trips_of(|| bucket.set_many(&pairs).unwrap()), 1, "set-many");
    assert_eq!(network.round_trips_of(|| drop(bucket.get_many(&keys).unwrap())), 1, "get-many");
    assert_eq!(network.round_trips_of(|| bucket.delete_many(&keys).unwrap()), 1, "delete-many");
    assert_eq!(network.round_trips_of(|| assert!(bucket.list(None).is_err())), 0, "list");
    assert_eq!(network.connects.get(), 1);
}

/// Several instances on one server at once.
fn at_once(address: &str, work: impl Fn(&dyn Bucket) + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| work(&*connect(address, &[("KEYVALUE_TIMEOUT_MS", "60000")]).open("b").unwrap()));
        }
    });
}

#[test]
fn counters_and_swaps_of_several_instances_lose_no_update() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    at_once(&server.address(), |bucket| {
        for _ in 0..25 {
            bucket.increment("counter", 3, 0).unwrap();
            bucket.increment("counter", -1, i64::MIN).unwrap();
            add_one_by_swaps(bucket, "sum");
        }
    });
    let bucket = connect(&server.address(), &[]).open("b").unwrap();
    assert_eq!(bucket.increment("counter", 0, 0), Ok(200));
    assert_eq!(bucket.get("sum").unwrap().as_deref(), Some(&b"100"[..]));
}

#[test]
fn a_batch_whose_replies_are_far_larger_than_any_buffer_comes_back_whole() {
    let own = Own::start(&["-m", "256"]);
    let bucket = own.open("b").unwrap();
    let value = vec![b'x'; 500_000];
    let keys: Vec<String> = (0..100).map(|n| format!("{n}{}", "k".repeat(200))).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), value.as_slice())).collect();
    bucket.set_many(&pairs).unwrap();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(bucket.get_many(&names).unwrap().iter().all(|found| found.as_ref() == Some(&value)));
}
