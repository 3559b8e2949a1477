//! What holds of many calls of one instance at once, whichever store they are of.

use crate::process::wait_until;
use crate::proxy::{Direction, Fault, Proxy};
use crate::waiting::{Polled, all, runtime};
use futures_util::future::{join, join_all};
use kvfuse_core::{AsyncBucket, Kind, Swap};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Each call gets its own answer.
pub async fn each_gets_its_own_answer(bucket: &impl AsyncBucket) {
    let calls = (0..32).map(async |number: usize| {
        let (key, value) = (format!("{number}"), vec![number as u8; number * 37]);
        bucket.set(&key, &value).await.unwrap();
        assert_eq!(bucket.get_many(&[&key, "absent", &key]).await.unwrap(), [Some(value.clone()), None, Some(value)]);
        assert_eq!(bucket.increment(&format!("counter {number}"), number as i64, 0).await, Ok(number as i64));
        assert!(bucket.exists(&key).await.unwrap());
        bucket.delete(&key).await.unwrap();
        assert_eq!(bucket.get(&key).await.unwrap(), None);
    });
    all(calls).await;
}

/// All of these that need no more than a store, each in a bucket of its own.
pub async fn answers_dropped_calls_and_updates<B: AsyncBucket>(open: impl Fn(&str) -> B) {
    each_gets_its_own_answer(&open("1")).await;
    calls_that_are_all_dropped_leave_a_store_that_works(&open("2")).await;
    a_dropped_swap_or_listing_harms_no_other(&open("3")).await;
    swaps_and_increments_lose_no_update(&open("4")).await;
}

/// A call that is dropped after any number of polls harms no other: whichever of the calls it is, one that sends, that reads, or
/// that waits for those.
pub async fn a_dropped_call_harms_no_other(bucket: &impl AsyncBucket) {
    for victim in 0..4 {
        for polls in 0..40 {
            let calls = (0..4).map(async |number: usize| {
                let key = format!("{victim} {polls} {number}");
                if number == victim {
                    let dropped = Polled::times(polls, bucket.set(&key, &[b'x'; 100])).await;
                    assert!(dropped.is_none_or(|done| done.is_ok()));
                } else {
                    assert_eq!(bucket.increment(&key, 7, i64::MIN).await, Ok(7), "{key}");
                    assert_eq!(bucket.get(&key).await.unwrap().as_deref(), Some(&b"7"[..]), "{key}");
                }
            });
            all(calls).await;
        }
    }
}

/// Calls that are all dropped leave a store that works.
pub async fn calls_that_are_all_dropped_leave_a_store_that_works(bucket: &impl AsyncBucket) {
    for polls in 0..30 {
        let calls = (0..3).map(async |number| {
            let key = format!("{polls} {number}");
            Polled::times(polls, async { bucket.set(&key, &[b'x'; 100]).await }).await.is_some()
        });
        all(calls).await;
        assert_eq!(bucket.increment("counter", 1, i64::MIN).await, Ok(polls as i64 + 1));
    }
}

/// Connections are cut under sixty-four calls, each time so many bytes later, and each call ends by its own rule. `direct` is the
/// same bucket past the proxy.
pub async fn cut_at_any_byte<B: AsyncBucket>(bucket: &B, proxy: &Proxy, step: usize, direct: &B) {
    bucket.set("read", b"value").await.unwrap();
    let mut unknown = 0;
    for (round, direction) in [Direction::Request, Direction::Reply].iter().cycle().take(60).enumerate() {
        proxy.plan(*direction, Fault::Close, round * step);
        let calls = (0..64).map(async |number| {
            if number % 2 == 0 {
                // Tried again, whatever happened.
                assert_eq!(bucket.get("read").await.unwrap().as_deref(), Some(&b"value"[..]));
                return None;
            }
            let key = format!("{round} {number}");
            let outcome = bucket.increment(&key, 1, i64::MIN).await;
            Some((key, outcome))
        });
        for (key, outcome) in all(calls).await.into_iter().flatten() {
            let now = direct.get(&key).await.unwrap();
            match outcome {
                Ok(sum) => assert_eq!((sum, now.as_deref()), (1, Some(&b"1"[..])), "{key}"),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::OutcomeUnknown, "{key}: {error}");
                    assert!(now.is_none_or(|now| now == b"1"), "{key}");
                    unknown += 1;
                }
            }
        }
        proxy.clear();
    }
    assert!(unknown > 0, "connections were cut under writes");
}

/// The server is restarted three times under sixty-four calls at once, which add to so many counters: what was acknowledged is in
/// them, and beyond it at most what was reported as unknown. `open` gives a bucket to a thread.
pub fn killed_under_sixty_four_calls<B: AsyncBucket>(
    counters: usize,
    enough: usize,
    open: impl Fn() -> B + Sync,
    mut restart: impl FnMut(),
) {
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let counts = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let bucket = open();
            let calls = (0..64).map(async |number: usize| {
                let (key, mut known, mut unknown) = (format!("counter {}", number % counters), 0, 0);
                while !stop.load(Relaxed) {
                    match bucket.increment(&key, 1, i64::MIN).await {
                        Ok(_) => known += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error}");
                            unknown += 1;
                        }
                    }
                    done.fetch_add(1, Relaxed);
                }
                (key, known, unknown)
            });
            runtime().block_on(all(calls))
        });
        for round in 1..=3 {
            wait_until("the load goes on", || worker.is_finished() || done.load(Relaxed) >= round * enough);
            restart();
        }
        stop.store(true, Relaxed);
        worker.join().unwrap()
    });
    let bucket = open();
    for counter in 0..counters {
        let key = format!("counter {counter}");
        let of_key = counts.iter().filter(|(of, ..)| *of == key);
        let (known, unknown) = of_key.fold((0, 0), |sum, (_, known, unknown)| (sum.0 + known, sum.1 + unknown));
        let value = runtime().block_on(bucket.increment(&key, 0, i64::MIN)).unwrap();
        assert!(known <= value && value <= known + unknown, "{known} known, {unknown} unknown, and {key} is {value}");
    }
}

/// Swaps and increments lose no update while others write.
pub async fn swaps_and_increments_lose_no_update(bucket: &impl AsyncBucket) {
    bucket.set("swapped", b"0").await.unwrap();
    let calls = (0..24).map(async |number: usize| {
        for turn in 0..5 {
            match number % 3 {
                0 => add_one(bucket).await,
                1 => drop(bucket.increment("counter", 1, 0).await.unwrap()),
                _ => bucket.set(&format!("{number}"), turn.to_string().as_bytes()).await.unwrap(),
            }
        }
    });
    all(calls).await;
    assert_eq!(bucket.get("swapped").await.unwrap().as_deref(), Some(&b"40"[..]));
    assert_eq!(bucket.get("counter").await.unwrap().as_deref(), Some(&b"40"[..]));
    assert_eq!(bucket.get("2").await.unwrap().as_deref(), Some(&b"4"[..]));
}

async fn add_one(bucket: &impl AsyncBucket) {
    let mut seen = bucket.snapshot("swapped").await.unwrap();
    loop {
        let number: usize = String::from_utf8(seen.value.unwrap()).unwrap().parse().unwrap();
        match bucket.swap("swapped", &seen.version, (number + 1).to_string().as_bytes()).await.unwrap() {
            Swap::Done => return,
            Swap::Conflict(now) => seen = now,
        }
    }
}

/// A swap, a listing or an increment that is dropped after any number of polls harms no other call.
pub async fn a_dropped_swap_or_listing_harms_no_other(bucket: &impl AsyncBucket) {
    bucket.set("swapped", b"0").await.unwrap();
    for polls in 0..12 {
        let others = join_all([bucket.increment("counter", 1, 0), bucket.increment("counter", 1, 0)]);
        let dropped = async {
            let _ = Polled::times(polls, add_one(bucket)).await;
            let _ = Polled::times(polls, bucket.list(None)).await;
            let _ = Polled::times(polls, bucket.increment("other", 1, 0)).await;
        };
        let (others, ()) = join(others, dropped).await;
        assert!(others.into_iter().all(|sum| sum.is_ok()));
        assert!(bucket.list(None).await.unwrap().keys.contains(&"swapped".to_string()));
    }
    assert_eq!(bucket.get("counter").await.unwrap().as_deref(), Some(&b"24"[..]));
    add_one(bucket).await;
}

/// Increments of one key do not get in each other's way: each reads once and writes once. `sent` counts requests.
pub async fn increments_of_one_key_take_turns(bucket: &impl AsyncBucket, sent: &Cell<usize>) {
    bucket.set("taken in turns", b"0").await.unwrap();
    let before = sent.get();
    let mut sums = all((0..50).map(async |_| bucket.increment("taken in turns", 1, 0).await.unwrap())).await;
    sums.sort_unstable();
    assert_eq!(sums, (1..=50).collect::<Vec<_>>());
    assert_eq!(sent.get() - before, 100);
}
