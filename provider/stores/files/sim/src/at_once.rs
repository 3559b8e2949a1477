//! Calls of many tasks at once to a store that waits, and their history. The store may be any.

use crate::history::{Ask, History, Tell};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kvfuse_core::{AsyncBucket, Error, Kind, Snapshot, Swap, Version};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;

/// A call on its way.
pub type Call<'a> = Pin<Box<dyn Future<Output = Result<Tell, Error>> + 'a>>;

struct Random(Cell<u64>);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    fn below(&self, limit: u64) -> u64 {
        let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.set(next);
        (next >> 33) % limit
    }
}

/// What twelve tasks asked and were told, each through one of the buckets, which are two handles of the same one. `prefix` begins
/// every key. With `versions`, they also take snapshots, and swap with the versions of these, which have to be numbers. One call
/// of twelve goes to `drop_after` with a number of polls, after which it has to be dropped.
async fn play<B: AsyncBucket>(
    buckets: &[B; 2],
    prefix: &str,
    random: &Random,
    versions: bool,
    drop_after: impl AsyncFn(usize, Call<'_>) -> Option<Result<Tell, Error>>,
) -> History {
    let history = RefCell::new(History::default());
    let worker = async |number: usize| {
        let mut seen: [Option<u64>; 3] = [None; 3];
        for turn in 0..4 {
            let place = random.below(3) as usize;
            let key = format!("{prefix} {place}");
            let ask = match random.below(if versions { 11 } else { 8 }) {
                0..=2 => Ask::Get,
                3 => Ask::Exists,
                4 => Ask::Set(format!("{number}{turn}").into_bytes()),
                5 => Ask::Delete,
                6 => Ask::Swap(None, format!("7{number}{turn}").into_bytes()),
                7 => Ask::Increment(random.below(100) as i64),
                8 => Ask::Snapshot,
                _ => Ask::Swap(seen[place], format!("8{number}{turn}").into_bytes()),
            };
            let event = history.borrow_mut().ask(number % 2, &key, ask.clone());
            let polls = if random.below(12) == 0 { random.below(6) as usize } else { usize::MAX };
            let call = Box::pin(carry_out(&buckets[number % 2], &key, &ask));
            match drop_after(polls, call).await {
                Some(Ok(tell)) => {
                    if let Tell::Seen(Some((_, version))) = &tell {
                        seen[place] = Some(*version);
                    }
                    history.borrow_mut().tell(event, tell);
                }
                Some(Err(error)) => assert_eq!(error.kind(), Kind::OutcomeUnknown, "{ask:?}: {error}"),
                // It may have happened, or may yet.
                None => {}
            }
        }
    };
    (0..12).map(worker).collect::<FuturesUnordered<_>>().collect::<Vec<()>>().await;
    history.into_inner()
}

/// Plays many histories, of which one order has to explain each. In every third one, `cut` cuts a connection after a number of
/// bytes, on the way to the server or, if it is told so, on the way back; `mend` ends that.
pub async fn one_order<B: AsyncBucket>(
    buckets: &[B; 2],
    versions: bool,
    cut: impl Fn(bool, usize),
    mend: impl Fn(),
    drop_after: impl AsyncFn(usize, Call<'_>) -> Option<Result<Tell, Error>>,
) {
    let (mut unknown, mut undecided) = (0, 0);
    for seed in 0..150 {
        let random = Random::new(seed);
        if seed % 3 == 1 {
            let back = random.below(2) != 0;
            cut(back, random.below(600) as usize);
        }
        let history = play(buckets, &format!("{seed}"), &random, versions, &drop_after).await;
        mend();
        unknown += history.events.iter().filter(|event| event.told.is_none()).count();
        undecided += history.check().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    assert!(unknown > 100 && undecided < 10, "{unknown} calls without an answer, {undecided} keys undecided");
}

async fn carry_out<B: AsyncBucket>(bucket: &B, key: &str, ask: &Ask) -> Result<Tell, Error> {
    Ok(match ask {
        Ask::Get => Tell::Value(bucket.get(key).await?),
        Ask::Exists => Tell::There(bucket.exists(key).await?),
        Ask::Set(value) => bucket.set(key, value).await.map(|()| Tell::Done)?,
        Ask::Delete => bucket.delete(key).await.map(|()| Tell::Done)?,
        Ask::Increment(delta) => match bucket.increment(key, *delta, i64::MIN).await {
            Err(error) if error.kind() == Kind::InvalidArgument => Tell::Refused,
            sum => Tell::Number(sum?),
        },
        Ask::Snapshot => match bucket.snapshot(key).await? {
            Snapshot { value: Some(value), version: Version::Number(version) } => Tell::Seen(Some((value, version))),
            Snapshot { value: None, .. } => Tell::Seen(None),
            other => panic!("not a version that is a number: {other:?}"),
        },
        Ask::Swap(None, value) => match bucket.create(key, value, None).await? {
            true => Tell::Done,
            false => Tell::Conflict,
        },
        Ask::Swap(Some(version), value) => match bucket.swap(key, &Version::Number(*version), value).await? {
            Swap::Done => Tell::Done,
            Swap::Conflict(_) => Tell::Conflict,
        },
        Ask::SetFor(..) | Ask::Create(..) => panic!("no task asks for a lifetime: {ask:?}"),
    })
}
