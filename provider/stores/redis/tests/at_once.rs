//! Many calls of one instance at once, on one connection: answers, dropped calls, deadlines, and servers that die.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_core::{AsyncBucket, AsyncStore, Kind};
use kvfuse_redis::RedisBucket;
use kvfuse_servers::at_once;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::waiting::{Polled, TokioClock, TokioNetwork, all, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::future::Future;
use std::time::Duration;

type Bucket = RedisBucket<TokioNetwork, TokioClock>;

/// A bucket of an instance of its own, at a port.
fn bucket_at(port: u16, variables: &[(&str, &str)]) -> (Bucket, TokioNetwork) {
    let network = TokioNetwork::default();
    let store = connect_waiting(&format!("redis://127.0.0.1:{port}"), variables, network.clone());
    (store.open_async("b").unwrap(), network)
}

#[test]
fn sixty_four_calls_share_one_connection_and_are_sent_together() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, network) = bucket_at(redis.port(), &[]);
    runtime().block_on(async {
        bucket.set("first", b"").await.unwrap();
        network.writes.set(0);
        for outcome in all((0..64).map(|number| bucket.set_owned(number))).await {
            outcome.unwrap();
        }
        // The first one may ask first whether the connection is still open, and then comes last.
        assert!(network.writes.get() <= 2, "{} writes", network.writes.get());
        let values = all((0..64).map(|number| bucket.get_owned(number))).await;
        for (number, value) in values.into_iter().enumerate() {
            assert_eq!(value.unwrap(), Some(format!("value {number}").into_bytes()));
        }
        assert_eq!(network.connects.get(), 1);
    });
}

#[test]
fn sixty_four_calls_that_come_first_open_one_connection() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, network) = bucket_at(redis.port(), &[]);
    let sums = runtime().block_on(all((0..64).map(|_| bucket.increment("counter", 1, i64::MIN))));
    let mut sums: Vec<i64> = sums.into_iter().map(Result::unwrap).collect();
    sums.sort_unstable();
    assert_eq!(sums, (1..=64).collect::<Vec<_>>());
    assert_eq!(network.connects.get(), 1);
}

#[test]
fn each_call_gets_its_own_answer_however_slowly_and_unevenly_they_arrive() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    proxy.trickle(true);
    let (bucket, network) = bucket_at(proxy.port(), &[("KEYVALUE_TIMEOUT_MS", "60000")]);
    // Writes that take several steps as well.
    network.piece.set(Some(7));
    runtime().block_on(at_once::each_gets_its_own_answer(&bucket));
    assert_eq!(network.connects.get(), 1);
}

#[test]
fn a_call_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, network) = bucket_at(redis.port(), &[]);
    // Every write waits in between, so that there are requests of which a part was sent.
    network.piece.set(Some(10));
    runtime().block_on(async {
        bucket.set("first", b"").await.unwrap();
        at_once::a_dropped_call_harms_no_other(&bucket).await;
    });
    assert_eq!(network.connects.get(), 1, "no connection was given up");
}

#[test]
fn calls_that_are_all_dropped_leave_a_store_that_works() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, network) = bucket_at(redis.port(), &[]);
    network.piece.set(Some(10));
    runtime().block_on(at_once::calls_that_are_all_dropped_leave_a_store_that_works(&bucket));
}

#[test]
fn what_is_dropped_before_it_is_sent_or_half_sent_without_others_never_happens() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, network) = bucket_at(redis.port(), &[]);
    network.piece.set(Some(10));
    runtime().block_on(async {
        bucket.set("first", b"").await.unwrap();
        for polls in 0..8 {
            assert!(Polled::times(polls, bucket.set("dropped", &[b'x'; 1000])).await.is_none());
            assert_eq!(bucket.get("first").await.unwrap().as_deref(), Some(&b""[..]));
            assert_eq!(bucket.get("dropped").await.unwrap(), None, "after {polls} polls");
        }
    });
    assert!(network.connects.get() > 1, "what was half sent ends its connection");
}

#[test]
fn a_connection_that_is_cut_at_any_byte_ends_each_call_by_its_own_rule() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    let (bucket, _) = bucket_at(proxy.port(), &[]);
    let (direct, _) = bucket_at(redis.port(), &[]);
    runtime().block_on(at_once::cut_at_any_byte(&bucket, &proxy, 11, &direct));
}

#[test]
fn counters_are_exact_but_for_unknown_outcomes_when_the_server_is_killed_under_sixty_four_calls() {
    let _watchdog = Watchdog::of_the_test();
    let mut redis = Redis::start(&[]);
    let port = redis.port();
    at_once::killed_under_sixty_four_calls(1, 2000, || bucket_at(port, &[]).0, || redis.restart());
}

#[test]
fn a_frozen_server_times_out_each_call_and_the_instance_goes_on_when_it_thaws() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, _) = bucket_at(redis.port(), &[("KEYVALUE_TIMEOUT_MS", "300")]);
    runtime().block_on(async {
        bucket.set("a", b"1").await.unwrap();
        redis.freeze();
        let calls = (0..64).map(async |number| match number % 2 {
            0 => bucket.get("a").await.map(|_| ()),
            _ => bucket.increment("counter", 1, i64::MIN).await.map(|_| ()),
        });
        for (number, outcome) in all(calls).await.into_iter().enumerate() {
            let expected = if number % 2 == 0 { Kind::Timeout } else { Kind::OutcomeUnknown };
            assert_eq!(outcome.unwrap_err().kind(), expected, "{number}");
        }
        // The handshake of a new connection hangs, so this was not sent.
        assert_eq!(bucket.increment("counter", 1, i64::MIN).await.unwrap_err().kind(), Kind::Timeout);
        redis.thaw();
        wait_until("the server has read what was sent", || redis.command(&["GET", "b:counter"]) == "32");
        assert_eq!(bucket.get("a").await.unwrap().as_deref(), Some(&b"1"[..]));
    });
}

#[test]
fn a_server_that_takes_no_more_bytes_ends_each_call_and_what_was_not_sent_never_happens() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, _) = bucket_at(redis.port(), &[("KEYVALUE_TIMEOUT_MS", "300")]);
    let value = vec![b'x'; 1 << 20];
    runtime().block_on(async {
        bucket.set("first", b"").await.unwrap();
        redis.freeze();
        // They come one after the other, so that one sends and another one keeps the time.
        let calls = (0..16).map(async |number: u64| {
            tokio::time::sleep(Duration::from_millis(number)).await;
            (number, bucket.set(&format!("{number}"), &value).await)
        });
        let outcomes = all(calls).await;
        redis.thaw();
        wait_until("the server answers again", || redis.command(&["GET", "b:first"]).is_empty());
        let mut unsent = 0;
        for (number, outcome) in outcomes {
            let error = outcome.unwrap_err();
            match error.kind() {
                Kind::OutcomeUnknown => {}
                // The time of the others was not over when the connection was given up, but too short for another one.
                Kind::Timeout | Kind::Unavailable => {
                    assert!(!bucket.exists(&format!("{number}")).await.unwrap(), "{number} happened: {error}");
                    unsent += 1;
                }
                kind => panic!("{kind:?}: {error}"),
            }
        }
        assert!(unsent > 0, "a socket takes less than all of that");
    });
}

#[test]
fn a_call_ends_at_its_own_deadline_while_later_ones_wait_for_theirs() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, network) = bucket_at(redis.port(), &[("KEYVALUE_TIMEOUT_MS", "2000")]);
    runtime().block_on(async {
        bucket.set("a", b"1").await.unwrap();
        redis.freeze();
        let early = async {
            let early = bucket.get("a").await;
            redis.thaw();
            early
        };
        let (early, late) = tokio::join!(early, later(bucket.get("a")));
        assert_eq!(early.unwrap_err().kind(), Kind::Timeout);
        assert_eq!(late.unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(network.connects.get(), 1);
        assert_eq!(bucket.get("a").await.unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(network.connects.get(), 2, "a server that let one call wait for too long gets a new connection");
    });
}

/// A call that has a second left when one that begins now has none.
async fn later<T>(call: impl Future<Output = T>) -> T {
    tokio::time::sleep(Duration::from_millis(1000)).await;
    call.await
}

#[test]
fn what_was_half_sent_when_its_time_was_over_is_not_sent_to_its_end_by_later_calls() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let (bucket, _) = bucket_at(redis.port(), &[("KEYVALUE_TIMEOUT_MS", "2000")]);
    let large = vec![b'x'; 32 << 20];
    runtime().block_on(async {
        bucket.set("first", b"").await.unwrap();
        redis.freeze();
        let early = async {
            let early = bucket.set("large", &large).await;
            redis.thaw();
            early
        };
        let (early, late) = tokio::join!(early, later(bucket.set("late", b"1")));
        // Not unknown: a part of a request does nothing.
        assert_eq!(early.unwrap_err().kind(), Kind::Timeout);
        late.unwrap();
        assert_eq!(bucket.get("late").await.unwrap().as_deref(), Some(&b"1"[..]));
        assert!(!bucket.exists("large").await.unwrap());
    });
}

#[test]
fn swaps_and_transactions_of_one_instance_lose_no_update_while_others_write() {
    let _watchdog = Watchdog::of_the_test();
    for arguments in [&[][..], &["--rename-command", "EVAL", ""]] {
        let redis = Redis::start(arguments);
        for layout in ["prefix", "hash"] {
            let variables = [("KEYVALUE_REDIS_LAYOUT", layout), ("KEYVALUE_TIMEOUT_MS", "60000")];
            let (bucket, _) = bucket_at(redis.port(), &variables);
            runtime().block_on(at_once::swaps_and_increments_lose_no_update(&bucket));
        }
    }
}

#[test]
fn a_swap_or_a_listing_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&["--rename-command", "EVAL", ""]);
    let (bucket, _) = bucket_at(redis.port(), &[]);
    runtime().block_on(at_once::a_dropped_swap_or_listing_harms_no_other(&bucket));
}

/// Calls that own what they are made of.
trait Owned {
    async fn set_owned(&self, number: usize) -> kvfuse_core::Result<()>;
    async fn get_owned(&self, number: usize) -> kvfuse_core::Result<Option<Vec<u8>>>;
}

impl Owned for Bucket {
    async fn set_owned(&self, number: usize) -> kvfuse_core::Result<()> {
        self.set(&format!("{number}"), format!("value {number}").as_bytes()).await
    }

    async fn get_owned(&self, number: usize) -> kvfuse_core::Result<Option<Vec<u8>>> {
        self.get(&format!("{number}")).await
    }
}
