//! One order explains the answers of many calls at once: of two instances, on connections that are cut, with calls that are
//! dropped. The checker is that of the file store's simulation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kvfuse_core::{AsyncBucket, AsyncStore, Error, Kind};
use kvfuse_files_sim::history::{Ask, History, Tell};
use kvfuse_redis::RedisBucket;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::waiting::{Polled, TokioClock, TokioNetwork, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::cell::{Cell, RefCell};

struct Random(Cell<u64>);

impl Random {
    fn below(&self, limit: u64) -> u64 {
        let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.set(next);
        (next >> 33) % limit
    }
}

async fn carry_out(bucket: &RedisBucket<TokioNetwork, TokioClock>, key: &str, ask: &Ask) -> Result<Tell, Error> {
    Ok(match ask {
        Ask::Get => Tell::Value(bucket.get(key).await?),
        Ask::Exists => Tell::There(bucket.exists(key).await?),
        Ask::Set(value) => bucket.set(key, value).await.map(|()| Tell::Done)?,
        Ask::Delete => bucket.delete(key).await.map(|()| Tell::Done)?,
        Ask::Increment(delta) => match bucket.increment(key, *delta, i64::MIN).await {
            Err(error) if error.kind() == Kind::InvalidArgument => Tell::Refused,
            sum => Tell::Number(sum?),
        },
        Ask::Swap(_, value) => match bucket.create(key, value, None).await? {
            true => Tell::Done,
            false => Tell::Conflict,
        },
        Ask::Snapshot => panic!("versions of Redis are those of watches"),
    })
}

#[test]
fn one_order_explains_what_calls_at_once_were_told_even_if_connections_are_cut_and_calls_dropped() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    let urls = [format!("redis://127.0.0.1:{}", proxy.port()), redis.url()];
    let stores = urls.map(|url| connect_waiting(&url, &[], TokioNetwork::default()));
    let buckets = stores.each_ref().map(|store| store.open_async("b").unwrap());
    let (runtime, mut unknown, mut undecided) = (runtime(), 0, 0);
    for seed in 0..150 {
        let (random, history) = (Random(Cell::new(seed)), RefCell::new(History::default()));
        if seed % 3 == 1 {
            let direction = if random.below(2) == 0 { Direction::Request } else { Direction::Reply };
            proxy.plan(direction, Fault::Close, random.below(600) as usize);
        }
        let worker = async |number: usize| {
            for turn in 0..4 {
                let key = format!("{seed} {}", random.below(3));
                let ask = match random.below(8) {
                    0..=2 => Ask::Get,
                    3 => Ask::Exists,
                    4 => Ask::Set(format!("{number}{turn}").into_bytes()),
                    5 => Ask::Delete,
                    6 => Ask::Swap(None, format!("7{number}{turn}").into_bytes()),
                    _ => Ask::Increment(random.below(100) as i64),
                };
                let event = history.borrow_mut().ask(number % 2, &key, ask.clone());
                let polls = if random.below(12) == 0 { random.below(6) as usize } else { usize::MAX };
                match Polled::times(polls, carry_out(&buckets[number % 2], &key, &ask)).await {
                    Some(Ok(tell)) => history.borrow_mut().tell(event, tell),
                    Some(Err(error)) if error.kind() != Kind::OutcomeUnknown => panic!("{ask:?}: {error}"),
                    // It may have happened, or may yet.
                    _ => {}
                }
            }
        };
        runtime.block_on((0..12).map(worker).collect::<FuturesUnordered<_>>().collect::<Vec<()>>());
        proxy.clear();
        let history = history.into_inner();
        unknown += history.events.iter().filter(|event| event.told.is_none()).count();
        undecided += history.check().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    assert!(unknown > 100 && undecided < 10, "{unknown} calls without an answer, {undecided} keys undecided");
}
