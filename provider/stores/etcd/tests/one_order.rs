//! One order explains the answers of many calls at once: of one or two instances, on connections that are cut, with calls that are
//! dropped. The checker is that of the file store's simulation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_core::AsyncStore;
use kvfuse_files_sim::at_once::{Call, one_order};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::waiting::{Polled, runtime};
use kvfuse_servers::watchdog::Watchdog;

#[test]
fn one_order_explains_what_calls_at_once_were_told_even_if_connections_are_cut_and_calls_dropped() {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let proxy = Proxy::start(etcd.ports()[0]);
    let endpoints = [format!("http://127.0.0.1:{}", proxy.port()), etcd.endpoints()];
    let patient = [("KEYVALUE_TIMEOUT_MS", "60000")];
    let stores = endpoints.map(|endpoints| connect_waiting(&endpoints, &patient, Default::default()));
    let two = stores.each_ref().map(|store| store.open_async("b").unwrap());
    // Of one instance, so that reads wait for each other.
    let one = ["c", "c"].map(|name| stores[0].open_async(name).unwrap());
    let cut = |back, bytes| proxy.plan(if back { Direction::Reply } else { Direction::Request }, Fault::Close, bytes);
    let mend = || {
        proxy.clear();
    };
    let drop_after = async |polls, call: Call<'_>| Polled(call, polls).await;
    for buckets in [&two, &one] {
        runtime().block_on(one_order(buckets, true, cut, mend, drop_after));
    }
}
