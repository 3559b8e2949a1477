//! Many calls of one instance at once: answers, dropped calls, connections that break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_azure::AzureBucket;
use kvfuse_core::{AsyncBucket, AsyncStore};
use kvfuse_servers::at_once;
use kvfuse_servers::azure::{ACCOUNT, AzureTables};
use kvfuse_servers::gateway::Gateway;
use kvfuse_servers::http::TokioHttp;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::waiting::{TokioClock, all, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::thread;

/// A bucket of an instance of its own.
fn bucket_at(endpoint: &str) -> AzureBucket<TokioHttp, TokioClock> {
    connect_waiting(endpoint, "60000", TokioHttp::default()).open_async("b").unwrap()
}

#[test]
fn sixty_four_calls_are_in_flight_together() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let bucket = bucket_at(&format!("{}/{ACCOUNT}", gateway.endpoint()));
    let server = thread::spawn(move || {
        for asked in gateway.take_together(64).into_iter().rev() {
            asked.answer(404, r#"{"odata.error":{"code":"ResourceNotFound","message":{"value":"none"}}}"#);
        }
    });
    runtime().block_on(async {
        let values = all((0..64).map(async |number| bucket.get(&format!("{number}")).await)).await;
        values.into_iter().for_each(|value| assert_eq!(value, Ok(None)));
    });
    server.join().unwrap();
}

#[test]
fn calls_at_once_get_their_own_answers_and_one_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let server = AzureTables::start();
    let http = TokioHttp::default();
    let store = connect_waiting(&server.endpoint(), "60000", http.clone());
    // Every write waits in between, so that there are requests of which a part was sent.
    http.network.piece.set(Some(100));
    runtime().block_on(at_once::answers_dropped_calls_and_updates(|bucket| store.open_async(bucket).unwrap()));
}

#[test]
fn increments_of_one_key_take_turns() {
    let _watchdog = Watchdog::of_the_test();
    let (server, http) = (AzureTables::start(), TokioHttp::default());
    let bucket = connect_waiting(&server.endpoint(), "60000", http.clone()).open_async("b").unwrap();
    runtime().block_on(at_once::increments_of_one_key_take_turns(&bucket, &http.network.connects));
}

#[test]
#[ignore = "takes long"]
fn connections_that_are_cut_at_any_byte_end_each_call_by_its_own_rule() {
    let _watchdog = Watchdog::of_the_test();
    let server = AzureTables::start();
    let proxy = Proxy::start(server.port());
    let bucket = bucket_at(&format!("http://127.0.0.1:{}/{ACCOUNT}", proxy.port()));
    let direct = bucket_at(&server.endpoint());
    runtime().block_on(at_once::cut_at_any_byte(&bucket, &proxy, 601, &direct));
}
