//! Faults of a real server, or of a [`Proxy`] before it: each at every byte of every operation, and others.

mod every_byte;

pub use every_byte::{
    EveryByte, Site, every_fault_at_every_byte, every_fault_at_every_nth_byte, every_hang_at_every_nth_byte,
};

use crate::process::{free_port, wait_until};
use crate::proxy::{Direction, Fault, Proxy};
use crate::redis::Redis;
use crate::watchdog::Watchdog;
use kvfuse_core::{Bucket, Error, Kind, Store, Swap, counter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Whether a store lists keys at all.
fn lists(bucket: &dyn Bucket) -> bool {
    !bucket.list(None).is_err_and(|error| error.kind() == Kind::Unsupported)
}

/// A server that never stops sending: an operation takes the time limit and no longer, and the store works afterwards.
/// `make` is that of [`every_fault_at_every_byte`], and `fault` is what the server sends.
pub fn a_server_that_never_stops_sending<S: Store>(upstream: u16, fault: Fault, make: fn(u16, &str) -> S) {
    let _watchdog = Watchdog::of_the_test();
    let proxy = Proxy::start(upstream);
    let bucket = make(proxy.port(), "200").open("b").unwrap();
    wait_until("the store works", || bucket.set("a", b"1").is_ok());
    proxy.plan(Direction::Reply, fault, 0);
    assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
    wait_until("the store works again", || bucket.get("a").is_ok());
    proxy.plan(Direction::Reply, fault, 0);
    let error = bucket.set("a", b"2").unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error}");
}

/// An answer without an end is given up when it is larger than any, or when the time is over, whichever comes first, and the
/// store works afterwards. A write without a usable answer may have been looked up.
pub fn an_answer_without_end<S: Store>(
    upstream: u16,
    time_limit: &str,
    make: fn(u16, &str) -> S,
    read: fn(&dyn Bucket) -> Result<(), Error>,
) {
    let _watchdog = Watchdog::of_the_test();
    let proxy = Proxy::start(upstream);
    let bucket = make(proxy.port(), time_limit).open("endless").unwrap();
    wait_until("the store works", || bucket.set("a", b"1").is_ok());
    proxy.plan(Direction::Reply, Fault::BODY, 0);
    let error = read(&*bucket).unwrap_err();
    assert!(matches!(error.kind(), Kind::Timeout | Kind::Unavailable), "{error}");
    wait_until("the store works again", || bucket.get("a").is_ok());
    proxy.plan(Direction::Reply, Fault::BODY, 0);
    match bucket.set("a", b"2") {
        // There was time to look it up.
        Ok(()) => assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"2"[..])),
        Err(error) => assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error}"),
    }
}

/// A server that is frozen costs the time limit of a call, and the same instance goes on when it thaws.
pub fn a_frozen_server(bucket: &dyn Bucket, freeze: impl FnOnce(), thaw: impl FnOnce()) {
    wait_until("the first write succeeds", || bucket.set("a", b"1").is_ok());
    freeze();
    assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Timeout);
    let error = bucket.set("a", b"2").unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
    assert!(error.message().contains("may or may not have happened"), "{error}");
    thaw();
    wait_until("it answers again", || bucket.get("a").is_ok());
}

/// A server is restarted twice while four clients increment one counter and swap another: what was acknowledged is there, and
/// what was reported as not done is not.
pub fn restarted_under_load<S: Store>(port: u16, make: fn(u16, &str) -> S, mut restart: impl FnMut()) {
    let _watchdog = Watchdog::of_the_test();
    let number = |value: Option<Vec<u8>>| value.map_or(0, |value| counter::parse(&value).unwrap());
    // A busy machine takes its time to start a server, and the calls wait for it.
    let open = || make(port, "60000").open("b").unwrap();
    let count = |client: usize| {
        let bucket = open();
        let (mut counted, mut swapped, mut unknown) = (0, 0, 0);
        for round in 0..60 {
            let counts = (client + round).is_multiple_of(2);
            let outcome = if counts {
                bucket.increment("n", 1, 0).map(|_| true)
            } else {
                bucket.snapshot("m").and_then(|seen| {
                    let next = counter::format(number(seen.value) + 1);
                    Ok(bucket.swap("m", &seen.version, &next)? == Swap::Done)
                })
            };
            match outcome {
                Ok(true) if counts => counted += 1,
                Ok(true) => swapped += 1,
                Ok(false) => {}
                Err(error) if error.kind() == Kind::OutcomeUnknown => unknown += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        (counted, swapped, unknown)
    };
    let clients: Vec<_> = thread::scope(|scope| {
        let count = &count;
        let clients: Vec<_> = (0..4).map(|client| scope.spawn(move || count(client))).collect();
        let direct = open();
        for at in [20, 60] {
            wait_until("the clients have counted", || number(direct.get("n").unwrap()) >= at);
            restart();
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let sum = |of: fn(&(i64, i64, i64)) -> i64| clients.iter().map(of).sum::<i64>();
    let (counted, swapped, unknown) = (sum(|client| client.0), sum(|client| client.1), sum(|client| client.2));
    let bucket = open();
    let n = number(bucket.get("n").unwrap());
    assert!((counted..=counted + unknown).contains(&n), "{counted} done and {unknown} unknown, found {n}");
    let m = number(bucket.get("m").unwrap());
    assert!((swapped..=swapped + unknown).contains(&m), "{swapped} swaps done and {unknown} unknown, found {m}");
}

/// Replies that arrive byte by byte are read.
pub fn replies_byte_by_byte<S: Store>(upstream: u16, make: fn(u16, &str) -> S) {
    let _watchdog = Watchdog::of_the_test();
    let proxy = Proxy::start(upstream);
    proxy.trickle(true);
    let bucket = make(proxy.port(), "5000").open("b").unwrap();
    bucket.set_many(&[("a", b"1"), ("b", &[0; 1000]), ("c", b"")]).unwrap();
    let values = bucket.get_many(&["c", "b", "x", "a"]).unwrap();
    assert_eq!(values, [Some(vec![]), Some(vec![0; 1000]), None, Some(b"1".to_vec())]);
    if lists(&*bucket) {
        let mut keys = bucket.list(None).unwrap().keys;
        keys.sort();
        assert_eq!(keys, ["a", "b", "c"]);
    }
}

/// The server is killed three times while three instances count: what was acknowledged is in the counter, and beyond it
/// at most what was reported as unknown. `port` is where `make`'s stores find it.
pub fn killed_under_load<S: Store>(server: &mut Redis, port: u16, make: fn(u16, &str) -> S) {
    let _watchdog = Watchdog::of_the_test();
    let stop = AtomicBool::new(false);
    let open = || make(port, "5000").open("b").unwrap();
    let (known, unknown) = thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let bucket = open();
                    let (mut known, mut unknown) = (0, 0);
                    while !stop.load(Ordering::Relaxed) {
                        match bucket.increment("counter", 1, 0) {
                            Ok(_) => known += 1,
                            Err(error) if error.kind() == Kind::OutcomeUnknown => unknown += 1,
                            Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error}"),
                        }
                    }
                    (known, unknown)
                })
            })
            .collect();
        let bucket = open();
        for target in [500, 1000, 1500] {
            wait_until("the load goes on", || {
                let value = bucket.get("counter").unwrap().unwrap_or_default();
                String::from_utf8(value).unwrap().parse().unwrap_or(0) >= target
            });
            server.restart();
        }
        stop.store(true, Ordering::Relaxed);
        let counted = workers.into_iter().map(|worker| worker.join().unwrap());
        counted.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    });
    let value = open().increment("counter", 0, 0).unwrap();
    assert!(known <= value && value <= known + unknown, "{known} known, {unknown} unknown, and the counter is {value}");
}

/// Nothing listens: the error says where.
pub fn a_missing_server<S: Store>(make: fn(u16, &str) -> S) {
    let _watchdog = Watchdog::of_the_test();
    let bucket = make(free_port(), "1000").open("b").unwrap();
    for error in [bucket.get("a").unwrap_err(), bucket.set("a", b"").unwrap_err()] {
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("127.0.0.1:"), "{error}");
    }
}

/// What listens does not speak HTTP.
pub fn a_server_without_http<S: Store>(make: fn(u16, &str) -> S) {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let bucket = make(redis.port(), "2000").open("b").unwrap();
    let error = bucket.get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    let error = bucket.set("a", b"").unwrap_err();
    assert!(matches!(error.kind(), Kind::Unavailable | Kind::OutcomeUnknown), "{error}");
}
