//! Many calls of one instance at once, where calls wait beside each other: they share four connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_core::{AsyncBucket, AsyncStore, Kind};
use kvfuse_files_sim::at_once::{Call, one_order};
use kvfuse_memcached::MemcachedBucket;
use kvfuse_servers::at_once;
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::waiting::{Polled, TokioClock, TokioNetwork, all, runtime};
use kvfuse_servers::watchdog::Watchdog;

fn bucket_at(port: u16, time_limit: &str) -> (MemcachedBucket<TokioNetwork, TokioClock>, TokioNetwork) {
    let network = TokioNetwork::default();
    let variables = [("KEYVALUE_TIMEOUT_MS", time_limit)];
    let store = connect_waiting(&format!("127.0.0.1:{port}"), &variables, network.clone());
    (store.open_async("b").unwrap(), network)
}

#[test]
fn sixty_four_calls_share_four_connections_and_each_gets_its_own_answer() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let (bucket, network) = bucket_at(server.port(), "60000");
    runtime().block_on(async {
        let calls = (0..64).map(async |number: usize| bucket.set(&format!("{number}"), &[number as u8; 100]).await);
        all(calls).await.into_iter().for_each(Result::unwrap);
        at_once::each_gets_its_own_answer(&bucket).await;
    });
    assert_eq!(network.connects.get(), 4);
}

#[test]
fn a_call_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let (bucket, network) = bucket_at(server.port(), "60000");
    // Every write waits in between, so that there are requests of which a part was sent.
    network.piece.set(Some(10));
    runtime().block_on(async {
        at_once::a_dropped_call_harms_no_other(&bucket).await;
        at_once::calls_that_are_all_dropped_leave_a_store_that_works(&bucket).await;
    });
}

#[test]
fn a_connection_that_is_cut_at_any_byte_ends_each_call_by_its_own_rule() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let proxy = Proxy::start(server.port());
    let (bucket, _) = bucket_at(proxy.port(), "60000");
    let (direct, _) = bucket_at(server.port(), "60000");
    runtime().block_on(at_once::cut_at_any_byte(&bucket, &proxy, 11, &direct));
}

#[test]
fn swaps_and_increments_of_one_instance_lose_no_update_while_others_write() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let (bucket, _) = bucket_at(server.port(), "60000");
    runtime().block_on(at_once::swaps_and_increments_lose_no_update(&bucket));
}

#[test]
fn increments_of_one_key_take_turns() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let (bucket, network) = bucket_at(server.port(), "60000");
    runtime().block_on(at_once::increments_of_one_key_take_turns(&bucket, &network.writes));
}

#[test]
fn a_frozen_server_times_out_each_call_and_the_instance_goes_on_when_it_thaws() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let (bucket, _) = bucket_at(server.port(), "300");
    runtime().block_on(async {
        bucket.set("a", b"1").await.unwrap();
        server.freeze();
        for outcome in all((0..16).map(async |_| bucket.get("a").await)).await {
            // Those that wait for a turn end in time as well.
            assert_eq!(outcome.unwrap_err().kind(), Kind::Timeout);
        }
        server.thaw();
        while bucket.get("a").await.is_err() {}
        assert_eq!(bucket.get("a").await.unwrap().as_deref(), Some(&b"1"[..]));
    });
}

#[test]
fn one_order_explains_what_calls_at_once_were_told_even_if_connections_are_cut_and_calls_dropped() {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let proxy = Proxy::start(server.port());
    let buckets = [proxy.port(), server.port()].map(|port| bucket_at(port, "60000").0);
    let cut = |back, bytes| proxy.plan(if back { Direction::Reply } else { Direction::Request }, Fault::Close, bytes);
    let mend = || {
        proxy.clear();
    };
    let drop_after = async |polls, call: Call<'_>| Polled(call, polls).await;
    // The versions of Memcached are no plain numbers.
    runtime().block_on(one_order(&buckets, false, cut, mend, drop_after));
}
