//! One order explains the answers of many calls at once: of two instances, on connections that are cut, with calls that are
//! dropped. The checker is that of the file store's simulation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_core::AsyncStore;
use kvfuse_files_sim::at_once::{Call, one_order};
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
    let cut = |back, bytes| proxy.plan(if back { Direction::Reply } else { Direction::Request }, Fault::Close, bytes);
    let mend = || {
        proxy.clear();
    };
    let drop_after = async |polls, call: Call<'_>| Polled(call, polls).await;
    // The versions of Redis are those of watches.
    runtime().block_on(one_order(&buckets, false, cut, mend, drop_after));
}
