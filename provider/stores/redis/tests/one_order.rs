//! One order explains the answers of many calls at once: of two instances, on connections that are cut, with calls that are
//! dropped. The checker is that of the file store's simulation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_core::AsyncStore;
use kvfuse_files_sim::at_once::{Call, Random, play};
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::waiting::{Polled, TokioNetwork, runtime};
use kvfuse_servers::watchdog::Watchdog;

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
        let random = Random::new(seed);
        if seed % 3 == 1 {
            let direction = if random.below(2) == 0 { Direction::Request } else { Direction::Reply };
            proxy.plan(direction, Fault::Close, random.below(600) as usize);
        }
        // The versions of Redis are those of watches.
        let drop_after = async |polls, call: Call<'_>| Polled(call, polls).await;
        let history = runtime.block_on(play(&buckets, &format!("{seed}"), &random, false, drop_after));
        proxy.clear();
        unknown += history.events.iter().filter(|event| event.told.is_none()).count();
        undecided += history.check().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    assert!(unknown > 100 && undecided < 10, "{unknown} calls without an answer, {undecided} keys undecided");
}
