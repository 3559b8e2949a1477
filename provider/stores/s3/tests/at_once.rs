//! Many calls of one instance at once: answers, dropped calls, connections that break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect_waiting;
use kvfuse_core::{AsyncBucket, AsyncStore};
use kvfuse_servers::at_once;
use kvfuse_servers::gateway::Gateway;
use kvfuse_servers::http::TokioHttp;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::s3::S3;
use kvfuse_servers::waiting::{all, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::thread;

#[test]
fn sixty_four_calls_are_in_flight_together() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let store = connect_waiting(&format!("{}/keyvalue", gateway.endpoint()), TokioHttp::default());
    let bucket = store.open_async("b").unwrap();
    let server = thread::spawn(move || {
        for asked in gateway.take_together(64).into_iter().rev() {
            asked.answer(404, "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>");
        }
    });
    runtime().block_on(async {
        let values = all((0..64).map(async |number| bucket.get(&format!("{number}")).await)).await;
        values.into_iter().for_each(|value| assert_eq!(value, Ok(None)));
    });
    server.join().unwrap();
}

#[test]
fn the_requests_of_a_batch_are_in_flight_sixteen_at_a_time() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let store = connect_waiting(&format!("{}/keyvalue", gateway.endpoint()), TokioHttp::default());
    let bucket = store.open_async("b").unwrap();
    let server = thread::spawn(move || {
        let none = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>";
        for count in [16, 4] {
            gateway.take_together(count).into_iter().rev().for_each(|asked| asked.answer(404, none));
        }
        gateway.take_together(16).into_iter().rev().for_each(|asked| asked.answer(200, ""));
    });
    let keys: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    runtime().block_on(async {
        assert_eq!(bucket.get_many(&keys).await, Ok(vec![None; 20]));
        let pairs: Vec<(&str, &[u8])> = keys.iter().take(16).map(|key| (*key, &b"value"[..])).collect();
        assert_eq!(bucket.set_many(&pairs).await, Ok(()));
    });
    server.join().unwrap();
}

#[test]
fn calls_at_once_get_their_own_answers_and_one_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let server = S3::seaweedfs();
    let http = TokioHttp::default();
    let store = connect_waiting(&server.endpoint(), http.clone());
    // Every write waits in between, so that there are requests of which a part was sent.
    http.network.piece.set(Some(100));
    runtime().block_on(at_once::answers_dropped_calls_and_updates(|bucket| store.open_async(bucket).unwrap()));
}

#[test]
fn increments_of_one_key_take_turns() {
    let _watchdog = Watchdog::of_the_test();
    let (server, http) = (S3::seaweedfs(), TokioHttp::default());
    let bucket = connect_waiting(&server.endpoint(), http.clone()).open_async("b").unwrap();
    runtime().block_on(at_once::increments_of_one_key_take_turns(&bucket, &http.network.connects));
}

#[test]
#[ignore = "takes long"]
fn connections_that_are_cut_at_any_byte_end_each_call_by_its_own_rule() {
    let _watchdog = Watchdog::of_the_test();
    let server = S3::seaweedfs();
    let proxy = Proxy::start(server.port());
    let bucket = connect_waiting(&format!("http://127.0.0.1:{}/keyvalue", proxy.port()), TokioHttp::default());
    let direct = connect_waiting(&server.endpoint(), TokioHttp::default());
    let (bucket, direct) = (bucket.open_async("b").unwrap(), direct.open_async("b").unwrap());
    runtime().block_on(at_once::cut_at_any_byte(&bucket, &proxy, 601, &direct));
}
