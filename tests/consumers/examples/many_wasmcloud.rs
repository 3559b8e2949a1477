//! Many calls of one instance at once, in `wasmcloud:keyvalue@0.2.0`. The first argument says what for:
//!
//! - `get TIMES AT-ONCE [BYTES]`: gets of values of 100 bytes or so many, over up to 1,000 keys; prints the nanoseconds of one.
//! - `count KEY TIMES AT-ONCE`: adds one so many times; prints how many were added, and of how many it is not known.
//! - `drop ROUNDS`: drops a call after each number of polls while others go on; prints what was not as it should be.
//! - `beside`: a call that is answered once another one was sent, after a timer; prints what it gave.

mod common;

wit_bindgen::generate!({ path: "../../wit/wasmcloud_0_2", world: "wasmcloud:keyvalue/imports@0.2.0" });

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream::FuturesUnordered;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use wasip3::clocks::monotonic_clock;
use wasmcloud::keyvalue::types::{Bucket, Error};
use wasmcloud::keyvalue::{atomics, batch, store};

struct Many;
wasip3::cli::command::export!(Many);

async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    futures.into_iter().collect::<FuturesUnordered<_>>().collect().await
}

/// `None` if it was not over after so many polls, and was dropped.
async fn polled<F: Future>(mut polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if polls == 0 => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await
}

async fn get(bucket: &Bucket, times: usize, at_once: usize, bytes: usize) -> Result<String, Error> {
    // Up to 64 MB in all.
    let keys = 64_000_000_usize.checked_div(bytes).unwrap_or(1).clamp(1, 1000);
    let key = |n: usize| format!("key {:04}", n % keys);
    batch::set_many(bucket, (0..keys).map(|n| (key(n), vec![b'v'; bytes])).collect()).await?;
    let (left, wrong) = (Cell::new(times), Cell::new(0));
    let began = monotonic_clock::now();
    let workers = all((0..at_once).map(async |_| {
        while let Some(rest) = left.get().checked_sub(1) {
            left.set(rest);
            let found = bucket.get(key(rest * 7919)).await?;
            wrong.set(wrong.get() + usize::from(found.is_none_or(|found| found.len() != bytes)));
        }
        Ok::<(), Error>(())
    }));
    for worker in workers.await {
        worker?;
    }
    match wrong.get() {
        0 => Ok(format!("{}\n", (monotonic_clock::now() - began) / times.max(1) as u64)),
        wrong => Ok(format!("{wrong} of {times} are wrong\n")),
    }
}

async fn count(bucket: &Bucket, key: &str, times: usize, at_once: usize) -> Result<String, Error> {
    let (left, known, unknown) = (Cell::new(times), Cell::new(0), Cell::new(0));
    let workers = all((0..at_once).map(async |_| {
        while let Some(rest) = left.get().checked_sub(1) {
            left.set(rest);
            match atomics::increment(bucket, key.into(), 1).await {
                Ok(_) => known.set(known.get() + 1),
                Err(Error::Other(text)) if text.contains("may or may not") => unknown.set(unknown.get() + 1),
                Err(Error::StoreUnavailable) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }));
    for worker in workers.await {
        worker?;
    }
    Ok(format!("{} {}\n", known.get(), unknown.get()))
}

async fn dropping(bucket: &Bucket, rounds: usize) -> Result<String, Error> {
    let mut wrong = String::new();
    for polls in 0..rounds {
        for victim in 0..4 {
            let calls = all((0..4).map(async |number: usize| {
                let key = format!("{polls} {victim} {number}");
                if number == victim {
                    let large = vec![b'x'; if polls % 2 == 0 { 100 } else { 300_000 }];
                    let _ = polled(polls, bucket.set(key, large, None)).await;
                    return Ok(true);
                }
                let sum = atomics::increment(bucket, key.clone(), 7).await?;
                Ok(sum == 7 && bucket.get(key).await?.as_deref() == Some(b"7"))
            }));
            for outcome in calls.await {
                match outcome {
                    Ok(true) => {}
                    Ok(false) => wrong += &format!("{polls} {victim}: another answer\n"),
                    Err::<_, Error>(error) => wrong += &format!("{polls} {victim}: {error:?}\n"),
                }
            }
        }
    }
    Ok(wrong)
}

async fn beside(bucket: &Bucket) -> Result<String, Error> {
    // The server answers the first one once it has seen the second.
    let first = pin!(bucket.get("slow".into()));
    let second = pin!(async {
        monotonic_clock::wait_for(1_000_000).await;
        bucket.set("go".into(), vec![], None).await
    });
    let (first, second) = join(first, second).await;
    second?;
    Ok(format!("{:?}\n", first?))
}

async fn answer() -> Result<String, Error> {
    let arguments = wasip3::cli::environment::get_arguments();
    let text = |n: usize| arguments.get(n).map(String::as_str).unwrap_or_default();
    let number = |n: usize| text(n).parse().unwrap_or(0);
    let bucket = store::open("many".into()).await?;
    match text(1) {
        "get" => get(&bucket, number(2), number(3), if text(4).is_empty() { 100 } else { number(4) }).await,
        "count" => count(&bucket, text(2), number(3), number(4)).await,
        "drop" => dropping(&bucket, number(2)).await,
        "beside" => beside(&bucket).await,
        other => Ok(format!("what is {other}?\n")),
    }
}

impl wasip3::exports::cli::run::Guest for Many {
    async fn run() -> Result<(), ()> {
        let answer = answer().await;
        let text = match &answer {
            Ok(text) => text.clone(),
            Err(error) => format!("{error:?}\n"),
        };
        common::say(text).await?;
        answer.map(drop).map_err(drop)
    }
}
