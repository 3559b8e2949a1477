//! Many calls of one instance at once: answers, dropped calls, deadlines, members and servers that die.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_core::{AsyncBucket, AsyncStore, Kind};
use kvfuse_etcd::EtcdBucket;
use kvfuse_servers::at_once;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::gateway::{Asked, Gateway};
use kvfuse_servers::http::TokioHttp;
use kvfuse_servers::process::{free_port, wait_until};
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::waiting::{Polled, TokioClock, all, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::ops::Range;
use std::thread;
use std::time::Duration;

type Bucket = EtcdBucket<TokioHttp, TokioClock>;

const LOGIN: [(&str, &str); 2] = [("KEYVALUE_ETCD_USERNAME", "root"), ("KEYVALUE_ETCD_PASSWORD", "hunter1")];
const PATIENT: (&str, &str) = ("KEYVALUE_TIMEOUT_MS", "60000");

/// A bucket of an instance of its own.
fn bucket_at(endpoints: &str, variables: &[(&str, &str)]) -> (Bucket, TokioHttp) {
    let http = TokioHttp::default();
    (connect_waiting(endpoints, variables, http.clone()).open_async("b").unwrap(), http)
}

/// Reads of keys at once, of a gateway that gives each key as its own value.
async fn echoes(bucket: &Bucket, numbers: Range<usize>) {
    let values = all(numbers.clone().map(async |number| bucket.get(&format!("{number}")).await)).await;
    for (number, value) in numbers.zip(values) {
        assert_eq!(value.unwrap(), Some(format!("keyvalue/b/{number}").into_bytes()));
    }
}

#[test]
fn reads_that_begin_at_the_same_time_share_up_to_four_requests_and_each_gets_its_own_answer() {
    let _watchdog = Watchdog::of_the_test();
    for (reads, expected) in [(32, &[32][..]), (64, &[32; 2]), (100, &[32, 32, 32, 4]), (300, &[75; 4])] {
        let gateway = Gateway::start();
        let (bucket, http) = bucket_at(&gateway.endpoint(), &[PATIENT]);
        let server = thread::spawn(move || {
            let asked = gateway.take_together(expected.len());
            let mut keys: Vec<_> = asked.iter().map(|asked| asked.keys().len()).collect();
            keys.sort_unstable_by(|one, other| other.cmp(one));
            assert_eq!(keys, expected);
            asked.into_iter().rev().for_each(Asked::echo);
        });
        runtime().block_on(echoes(&bucket, 0..reads));
        server.join().unwrap();
        assert_eq!(http.network.connects.get(), expected.len());
    }
}

#[test]
fn reads_of_long_values_go_together_only_as_far_as_one_answer_stays_short() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let (bucket, _) = bucket_at(&gateway.endpoint(), &[PATIENT]);
    // 400,000 bytes, in base64.
    let long = "AAAA".repeat(400_000 / 3) + "AA==";
    let server = thread::spawn(move || {
        gateway.take().give(|_| long.clone());
        let asked = gateway.take_together(4);
        assert!(asked.iter().all(|asked| asked.keys().len() == 2));
        asked.into_iter().for_each(Asked::echo);
        // Those were short.
        let asked = gateway.take();
        assert_eq!(asked.keys().len(), 32);
        asked.echo();
    });
    runtime().block_on(async {
        assert_eq!(bucket.get("long").await.unwrap().unwrap().len(), 400_000);
        echoes(&bucket, 0..8).await;
        echoes(&bucket, 0..32).await;
    });
    server.join().unwrap();
}

#[test]
fn reads_wait_while_four_requests_are_on_their_way_and_then_go_together() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let (bucket, http) = bucket_at(&gateway.endpoint(), &[PATIENT]);
    let (all_wait, go) = std::sync::mpsc::channel();
    let server = thread::spawn(move || {
        // Those that come one by one do not wait for each other.
        let mut first = gateway.take_together(4);
        assert!(first.iter().all(|asked| asked.keys().len() == 1));
        go.recv().unwrap();
        first.pop().unwrap().echo();
        // All others wait for whichever of them ends.
        let others = gateway.take();
        assert_eq!(others.keys().len(), 60);
        others.echo();
        first.into_iter().rev().for_each(Asked::echo);
    });
    let connects = &http.network.connects;
    let after = async |connected: usize| {
        while connects.get() < connected {
            tokio::task::yield_now().await;
        }
    };
    runtime().block_on(async {
        let first = all((0..4).map(async |number| {
            after(number).await;
            echoes(&bucket, number..number + 1).await;
        }));
        let others = async {
            after(4).await;
            echoes(&bucket, 4..64).await;
        };
        let told = async {
            after(4).await;
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            assert_eq!(connects.get(), 4);
            all_wait.send(()).unwrap();
        };
        tokio::join!(first, others, told);
    });
    server.join().unwrap();
}

#[test]
fn sixty_four_writes_are_in_flight_together() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let (bucket, _) = bucket_at(&gateway.endpoint(), &[PATIENT]);
    let server = thread::spawn(move || {
        let written = r#"{"header":{"revision":"1"}}"#;
        gateway.take_together(64).into_iter().rev().for_each(|asked| asked.answer(200, written));
    });
    let written = runtime().block_on(all((0..64).map(async |number| bucket.set(&format!("{number}"), b"").await)));
    assert!(written.iter().all(Result::is_ok));
    server.join().unwrap();
}

#[test]
fn a_read_that_etcd_refuses_fails_alone_though_others_went_in_the_same_request() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let (bucket, _) = bucket_at(&gateway.endpoint(), &[PATIENT]);
    let refused = "a2V5dmFsdWUvYi8zMA==";
    let server = thread::spawn(move || {
        let refuse = |asked: Asked| {
            asked.answer(403, r#"{"error":"etcdserver: permission denied","code":7}"#);
        };
        let mut answered = 0;
        while answered < 64 {
            let asked = gateway.take();
            let (keys, refused) = (asked.keys().len(), asked.keys().iter().any(|key| key == refused));
            if refused {
                answered += usize::from(keys == 1);
                refuse(asked);
            } else {
                answered += keys;
                asked.echo();
            }
        }
    });
    let values = runtime().block_on(all((0..64).map(async |number| bucket.get(&format!("{number}")).await)));
    for (number, value) in values.into_iter().enumerate() {
        if number == 30 {
            assert_eq!(value.unwrap_err().kind(), Kind::AccessDenied);
        } else {
            assert_eq!(value.unwrap(), Some(format!("keyvalue/b/{number}").into_bytes()));
        }
    }
    server.join().unwrap();
}

#[test]
fn reads_that_are_dropped_at_any_await_leave_the_others_their_answers() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, http) = bucket_at(&etcd.endpoints(), &[PATIENT]);
    http.network.piece.set(Some(50));
    runtime().block_on(async {
        bucket.set("key", b"value").await.unwrap();
        for polls in 0..30 {
            // Those that have a request, those that wait, and of these the ones that are to read for the others.
            let reads = all((0..48).map(async |number: usize| {
                if number.is_multiple_of(3) {
                    return drop(Polled::times(polls, bucket.get("key")).await);
                }
                assert_eq!(bucket.get("key").await.unwrap().as_deref(), Some(&b"value"[..]), "{polls} {number}");
                assert_eq!(bucket.exists("none").await, Ok(false));
            }));
            reads.await;
        }
        // Everybody has given back what it had: nobody waits for a request that never ends.
        let before = http.network.connects.get();
        assert_eq!(bucket.exists("key").await, Ok(true));
        assert_eq!(http.network.connects.get() - before, 1);
    });
}

#[test]
fn reads_that_go_together_get_their_own_answers_whichever_byte_a_connection_fails_at() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let proxy = Proxy::start(etcd.ports()[0]);
    let (bucket, _) = bucket_at(&format!("http://127.0.0.1:{}", proxy.port()), &[PATIENT]);
    let runtime = runtime();
    let value = |number: usize| format!("value {number}").into_bytes();
    let read = || runtime.block_on(all((0..12).map(async |number| bucket.get(&format!("{number}")).await)));
    runtime.block_on(async {
        for number in 0..12 {
            bucket.set(&format!("{number}"), &value(number)).await.unwrap();
        }
    });
    proxy.count();
    read();
    let (sent, received) = proxy.count();
    let mut refused = 0;
    for (direction, fault, length) in [
        (Direction::Request, Fault::Close, sent),
        (Direction::Reply, Fault::Close, received),
        (Direction::Reply, Fault::Nonsense, received),
    ] {
        for at in (0..length).step_by(17) {
            proxy.plan(direction, fault, at);
            for (number, found) in read().into_iter().enumerate() {
                match found {
                    Ok(found) => assert_eq!(found, Some(value(number)), "{direction:?} {fault:?} at {at}"),
                    // What is not of etcd is no answer to ask for again.
                    Err(error) => {
                        let kind = (fault, error.kind());
                        assert!(matches!(kind, (Fault::Nonsense, Kind::Unavailable)), "{at}: {error}");
                        refused += 1;
                    }
                }
            }
            proxy.clear();
        }
    }
    // Of those that go together, none fails with another one.
    let rounds = received / 17;
    assert!(refused < rounds * 2, "{refused} of {rounds} rounds");
}

#[test]
fn each_call_gets_its_own_answer_however_slowly_and_unevenly_they_arrive() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let proxy = Proxy::start(etcd.ports()[0]);
    proxy.trickle(true);
    let (bucket, http) = bucket_at(&format!("http://127.0.0.1:{}", proxy.port()), &[PATIENT]);
    // Writes that take several steps as well.
    http.network.piece.set(Some(7));
    runtime().block_on(at_once::each_gets_its_own_answer(&bucket));
}

#[test]
fn a_call_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, http) = bucket_at(&etcd.endpoints(), &[]);
    // Every write waits in between, so that there are requests of which a part was sent.
    http.network.piece.set(Some(10));
    runtime().block_on(at_once::a_dropped_call_harms_no_other(&bucket));
}

#[test]
fn calls_that_are_all_dropped_leave_a_store_that_works() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, http) = bucket_at(&etcd.endpoints(), &[]);
    http.network.piece.set(Some(10));
    runtime().block_on(at_once::calls_that_are_all_dropped_leave_a_store_that_works(&bucket));
}

#[test]
fn a_swap_or_a_listing_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, _) = bucket_at(&etcd.endpoints(), &[]);
    runtime().block_on(at_once::a_dropped_swap_or_listing_harms_no_other(&bucket));
}

#[test]
fn what_is_dropped_before_it_is_sent_or_half_sent_never_happens() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, http) = bucket_at(&etcd.endpoints(), &[]);
    http.network.piece.set(Some(10));
    runtime().block_on(async {
        for polls in 0..40 {
            assert!(Polled::times(polls, bucket.set("dropped", &[b'x'; 1000])).await.is_none());
            assert_eq!(bucket.get("dropped").await.unwrap(), None, "after {polls} polls");
        }
    });
}

#[test]
fn swaps_and_increments_of_one_instance_lose_no_update_while_others_write() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, _) = bucket_at(&etcd.endpoints(), &[PATIENT]);
    runtime().block_on(at_once::swaps_and_increments_lose_no_update(&bucket));
}

#[test]
fn increments_of_one_key_take_turns() {
    let _watchdog = Watchdog::of_the_test();
    let server = Etcd::start(1, &[]);
    let (bucket, http) = bucket_at(&server.endpoints(), &[]);
    runtime().block_on(at_once::increments_of_one_key_take_turns(&bucket, &http.network.connects));
}

#[test]
fn connections_that_are_cut_at_any_byte_end_each_call_by_its_own_rule() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let proxy = Proxy::start(etcd.ports()[0]);
    let (bucket, _) = bucket_at(&format!("http://127.0.0.1:{}", proxy.port()), &[]);
    let (direct, _) = bucket_at(&etcd.endpoints(), &[]);
    // All calls read first, which takes about 16 KB; then half of them write.
    runtime().block_on(at_once::cut_at_any_byte(&bucket, &proxy, 601, &direct));
}

#[test]
fn counters_are_exact_but_for_unknown_outcomes_when_the_server_is_killed_under_sixty_four_calls() {
    let _watchdog = Watchdog::of_the_test();
    let mut etcd = Etcd::start(1, &[]);
    let endpoints = etcd.endpoints();
    // Each call has a counter of its own: many that add to one keep each other from it.
    at_once::killed_under_sixty_four_calls(
        64,
        500,
        || bucket_at(&endpoints, &[PATIENT]).0,
        || {
            etcd.kill(0);
            etcd.resume(0);
            etcd.wait_until_serving();
        },
    );
}

#[test]
fn a_frozen_server_times_out_each_call_and_the_instance_goes_on_when_it_thaws() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, _) = bucket_at(&etcd.endpoints(), &[("KEYVALUE_TIMEOUT_MS", "500")]);
    wait_until("the first write succeeds", || runtime().block_on(bucket.set("a", b"1")).is_ok());
    runtime().block_on(async {
        etcd.freeze(0);
        let calls = (0..64).map(async |number| match number % 2 {
            0 => bucket.get("a").await.map(drop),
            _ => bucket.set(&format!("{number}"), b"").await,
        });
        for (number, outcome) in all(calls).await.into_iter().enumerate() {
            let expected = if number % 2 == 0 { Kind::Timeout } else { Kind::OutcomeUnknown };
            assert_eq!(outcome.unwrap_err().kind(), expected, "{number}");
        }
        etcd.thaw(0);
    });
    wait_until("etcd answers again", || runtime().block_on(bucket.get("a")).is_ok());
}

#[test]
fn a_call_ends_at_its_own_deadline_while_a_later_one_waits_for_its_own() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let (bucket, _) = bucket_at(&gateway.endpoint(), &[("KEYVALUE_TIMEOUT_MS", "2000")]);
    let (ended, has_ended) = std::sync::mpsc::channel();
    let server = thread::spawn(move || {
        let early = gateway.take();
        let late = gateway.take();
        // The early one never gets its answer, and the late one only when the early one has ended.
        has_ended.recv().unwrap();
        late.echo();
        drop(early);
    });
    runtime().block_on(async {
        let early = async {
            let early = bucket.set("early", b"").await;
            ended.send(()).unwrap();
            early
        };
        let late = async {
            tokio::time::sleep(Duration::from_millis(1000)).await;
            bucket.get("late").await
        };
        let (early, late) = tokio::join!(early, late);
        assert_eq!(early.unwrap_err().kind(), Kind::OutcomeUnknown);
        assert_eq!(late.unwrap().as_deref(), Some(&b"keyvalue/b/late"[..]));
    });
    server.join().unwrap();
}

#[test]
fn calls_that_come_first_log_in_once_and_once_more_when_the_token_is_rejected() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let (bucket, _) = bucket_at(&gateway.endpoint(), &[LOGIN[0], LOGIN[1], PATIENT]);
    let server = thread::spawn(move || {
        let log_in = |token: &str| {
            let login = gateway.take();
            assert!(login.is_for("/v3/auth/authenticate"), "{}", login.text);
            login.answer(200, &format!(r#"{{"token":"{token}"}}"#));
        };
        log_in("first");
        let mut asked = gateway.take_together(4);
        assert!(asked.iter().all(|asked| asked.text.contains("authorization: first\r\n")));
        // The last ones learn that their token is no good when there is a new one, which they take.
        let late = asked.split_off(2);
        let reject = |asked: Asked| {
            asked.answer(401, r#"{"error":"etcdserver: invalid auth token","code":16}"#);
        };
        asked.into_iter().for_each(reject);
        log_in("second");
        let again = gateway.take_together(2);
        late.into_iter().for_each(reject);
        let again: Vec<_> = again.into_iter().chain(gateway.take_together(2)).collect();
        assert!(again.iter().all(|asked| asked.text.contains("authorization: second\r\n")));
        again.into_iter().for_each(|asked| asked.answer(200, r#"{"header":{"revision":"1"}}"#));
    });
    let written = runtime().block_on(all((0..4).map(async |number| bucket.set(&format!("{number}"), b"").await)));
    assert!(written.iter().all(Result::is_ok));
    server.join().unwrap();
}

#[test]
fn a_login_that_is_dropped_is_made_by_another_call() {
    let _watchdog = Watchdog::of_the_test();
    let mut etcd = Etcd::start(1, &[]);
    etcd.enable_logins();
    for polls in 0..12 {
        let (bucket, http) = bucket_at(&etcd.endpoints(), &LOGIN);
        http.network.piece.set(Some(100));
        runtime().block_on(async {
            let dropped = Polled::times(polls, bucket.get("a"));
            let others = all((0..3).map(|_| bucket.get("a")));
            let (_, others) = tokio::join!(dropped, others);
            others.into_iter().for_each(|value| assert_eq!(value, Ok(None), "{polls}"));
        });
    }
}

#[test]
fn sixty_four_writes_that_come_first_share_one_lease() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let (bucket, http) = bucket_at(&etcd.endpoints(), &[("KEYVALUE_TTL_S", "1000"), PATIENT]);
    let outcomes = runtime().block_on(all((0..64).map(async |number| bucket.set(&format!("{number}"), b"").await)));
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(http.network.connects.get(), 65, "a lease, and the writes");
}

#[test]
fn a_member_that_is_gone_is_left_by_all_calls_for_the_next_one_and_not_for_any_other() {
    let _watchdog = Watchdog::of_the_test();
    let (next, last) = (Gateway::start(), Gateway::start());
    let endpoints = format!("http://127.0.0.1:{},{},{}", free_port(), next.endpoint(), last.endpoint());
    let (bucket, _) = bucket_at(&endpoints, &[PATIENT]);
    let server = thread::spawn(move || {
        next.echo(64);
        // The calls after those begin here.
        next.take().echo();
    });
    runtime().block_on(async {
        echoes(&bucket, 0..64).await;
        assert_eq!(bucket.get("after").await.unwrap().as_deref(), Some(&b"keyvalue/b/after"[..]));
    });
    server.join().unwrap();
}
