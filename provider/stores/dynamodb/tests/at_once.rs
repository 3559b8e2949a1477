//! Many calls of one instance at once: answers, dropped calls, connections that break, access keys that expire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{KEYS, WaitingStore, connect_waiting};
use kvfuse_core::{AsyncBucket, AsyncStore};
use kvfuse_dynamodb::TableBucket;
use kvfuse_servers::at_once;
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::gateway::{Asked, Gateway};
use kvfuse_servers::http::TokioHttp;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::waiting::{TokioClock, all, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::thread;

type Bucket = TableBucket<TokioHttp, TokioClock>;

/// An instance of its own.
fn store_at(endpoint: &str, variables: &[(&str, &str)]) -> (WaitingStore, TokioHttp) {
    let http = TokioHttp::default();
    let variables = [&[("KEYVALUE_TIMEOUT_MS", "60000")], variables].concat();
    (connect_waiting(endpoint, &variables, http.clone()), http)
}

fn bucket_at(endpoint: &str, variables: &[(&str, &str)]) -> Bucket {
    store_at(endpoint, variables).0.open_async("b").unwrap()
}

#[test]
fn calls_at_once_get_their_own_answers_and_one_that_is_dropped_at_any_await_harms_no_other() {
    let _watchdog = Watchdog::of_the_test();
    let server = DynamoDb::start();
    let (store, http) = store_at(&server.endpoint(), &KEYS[..2]);
    // Every write waits in between, so that there are requests of which a part was sent.
    http.network.piece.set(Some(100));
    runtime().block_on(at_once::answers_dropped_calls_and_updates(|bucket| store.open_async(bucket).unwrap()));
}

#[test]
#[ignore = "takes long"]
fn connections_that_are_cut_at_any_byte_end_each_call_by_its_own_rule() {
    let _watchdog = Watchdog::of_the_test();
    let server = DynamoDb::start();
    let proxy = Proxy::start(server.port());
    let bucket = bucket_at(&format!("http://127.0.0.1:{}", proxy.port()), &KEYS[..2]);
    let direct = bucket_at(&server.endpoint(), &KEYS[..2]);
    runtime().block_on(at_once::cut_at_any_byte(&bucket, &proxy, 601, &direct));
}

const AGENT: &str = "/credentials";

/// A bucket of an instance that asks an agent for its access key. What it asks DynamoDB goes to the same place.
fn bucket_with_agent(gateway: &Gateway) -> Bucket {
    let agent = format!("{}{AGENT}", gateway.endpoint());
    bucket_at(&gateway.endpoint(), &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent)])
}

/// Gives out the next access key.
fn give(gateway: &Gateway, key: &str) {
    let asked = gateway.take();
    assert!(asked.is_for(AGENT), "{}", asked.text);
    asked.answer(
        200,
        &format!(
            r#"{{"AccessKeyId":"{key}","SecretAccessKey":"secret","Token":"token","Expiration":"2999-01-01T00:00:00Z"}}"#
        ),
    );
}

/// Answers that the key does not exist.
fn nothing(asked: Asked) {
    asked.answer(200, "{}");
}

#[test]
fn sixty_four_calls_that_come_first_ask_for_one_access_key_and_for_one_more_when_it_has_expired() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let bucket = bucket_with_agent(&gateway);
    let server = thread::spawn(move || {
        give(&gateway, "FIRST");
        let mut asked = gateway.take_together(64);
        assert!(asked.iter().all(|asked| asked.text.contains("Credential=FIRST/")));
        // The last ones learn that their key has expired when there is a new one, which they take.
        let late = asked.split_off(40);
        let reject = |asked: Asked| {
            asked.answer(400, r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"expired"}"#);
        };
        asked.into_iter().for_each(reject);
        give(&gateway, "SECOND");
        let again = gateway.take_together(40);
        late.into_iter().for_each(reject);
        for asked in again.into_iter().chain(gateway.take_together(24)) {
            assert!(asked.text.contains("Credential=SECOND/"), "{}", asked.text);
            nothing(asked);
        }
    });
    runtime().block_on(async {
        let values = all((0..64).map(async |number| bucket.get(&format!("{number}")).await)).await;
        values.into_iter().for_each(|value| assert_eq!(value, Ok(None)));
    });
    server.join().unwrap();
}

#[test]
fn an_access_key_whose_call_is_dropped_is_asked_for_by_another_one() {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let bucket = bucket_with_agent(&gateway);
    let (taken, is_taken) = tokio::sync::oneshot::channel();
    let server = thread::spawn(move || {
        let dropped = gateway.take();
        assert!(dropped.is_for(AGENT), "{}", dropped.text);
        taken.send(()).unwrap();
        give(&gateway, "FIRST");
        gateway.take_together(3).into_iter().for_each(nothing);
    });
    runtime().block_on(async {
        let dropped = async {
            tokio::select! {
                _ = bucket.get("a") => panic!("the agent has not answered"),
                taken = is_taken => taken.unwrap(),
            }
        };
        let others = all((0..3).map(|_| bucket.get("a")));
        let ((), others) = tokio::join!(dropped, others);
        others.into_iter().for_each(|value| assert_eq!(value, Ok(None)));
    });
    server.join().unwrap();
}
