//! Redis with sentinels: which server is the primary, and failovers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::fake::{Answer, Fake};
use common::{NativeStore, WaitingStore, connect, connect_waiting};
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Kind, Result, Store, Swap};
use kvfuse_servers::at_once;
use kvfuse_servers::failover::{Window, counted};
use kvfuse_servers::process::{free_port, wait_until};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::sentinels::Sentinels;
use kvfuse_servers::shared::Shared;
use kvfuse_servers::waiting::{Blocking, all, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static SENTINELS: Shared<Sentinels> = Shared::new();

/// A store over servers that others use as well, with a prefix of its own.
struct Own<S> {
    store: S,
    _sentinels: Arc<Sentinels>,
    _watchdog: Watchdog,
}

impl<S: Store> Store for Own<S> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}

fn own<S>(make: impl FnOnce(&str, &[(&str, &str)]) -> S) -> Own<S> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let _watchdog = Watchdog::of_the_test();
    let _sentinels = SENTINELS.get(Sentinels::start);
    let prefix = format!("{}/", NEXT.fetch_add(1, Ordering::Relaxed));
    Own { store: make(&_sentinels.url(), &[("KEYVALUE_PREFIX", &prefix)]), _sentinels, _watchdog }
}

fn plain() -> Own<NativeStore> {
    own(connect)
}

fn waiting() -> Own<Blocking<WaitingStore>> {
    own(|url, variables| Blocking::new(connect_waiting(url, variables, Default::default())))
}

mod where_calls_wait_inside {
    kvfuse_suite::contract!(super::plain);
}

mod where_calls_wait_beside_each_other {
    kvfuse_suite::contract!(super::waiting);
}

fn by(sentinels: &[u16], variables: &[(&str, &str)]) -> NativeStore {
    let hosts: Vec<String> = sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    connect(&format!("redis+sentinel://{}/mymaster", hosts.join(",")), variables)
}

#[test]
fn what_was_acknowledged_and_replicated_is_there_after_the_primary_was_killed_under_load() {
    let _watchdog = Watchdog::of_the_test();
    let mut sentinels = Sentinels::start();
    let url = sentinels.url();
    let open = || connect(&url, &[("KEYVALUE_TIMEOUT_MS", "40000")]).open("b").unwrap();
    let told = counted(4, 3, open, |window: &Window| {
        for _ in 0..2 {
            window.goes_on(200);
            let primary = sentinels.primary();
            window.loses(|| {
                sentinels.wait_until_replicated();
                sentinels.servers[primary].kill();
            });
            window.goes_on(200);
            sentinels.servers[primary].resume();
            sentinels.wait_for_replica();
        }
    });
    eprintln!("{told}");
}

#[test]
fn sixty_four_calls_at_once_follow_a_failover() {
    let _watchdog = Watchdog::of_the_test();
    let mut sentinels = Sentinels::start();
    let store = connect_waiting(&sentinels.url(), &[("KEYVALUE_TIMEOUT_MS", "40000")], Default::default());
    runtime().block_on(follows(&store.open_async("b").unwrap(), || {
        sentinels.wait_until_replicated();
        let primary = sentinels.primary();
        sentinels.servers[primary].kill();
    }));
}

async fn follows(bucket: &impl AsyncBucket, fail_over: impl FnOnce()) {
    bucket.set("a", b"1").await.unwrap();
    fail_over();
    // The connection is found closed, so nothing was sent.
    bucket.set("b", b"1").await.unwrap();
    for outcome in all((0..64).map(|_| bucket.increment("n", 1, i64::MIN))).await {
        outcome.unwrap();
    }
    assert_eq!(bucket.get("n").await.unwrap().as_deref(), Some(&b"64"[..]));
    assert_eq!(bucket.get("a").await.unwrap().as_deref(), Some(&b"1"[..]));
    at_once::each_gets_its_own_answer(bucket).await;
}

#[test]
fn a_sentinel_that_hangs_or_is_gone_costs_its_share_of_the_time_and_no_more() {
    let _watchdog = Watchdog::of_the_test();
    let mut sentinels = Sentinels::start();
    sentinels.freeze_sentinel(0);
    sentinels.kill_sentinel(1);
    let bucket = connect(&sentinels.url(), &[("KEYVALUE_TIMEOUT_MS", "2000")]).open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

/// Two servers, the second of which is the replica of the first one.
fn two() -> [Redis; 2] {
    let primary = Redis::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    wait_until("the replica is complete", || {
        replica.command(&["INFO", "replication"]).contains("master_link_status:up")
    });
    [primary, replica]
}

#[test]
fn a_server_that_is_no_primary_is_not_taken_whatever_a_sentinel_says() {
    let _watchdog = Watchdog::of_the_test();
    // Servers before Redis 6 do not say it in the handshake.
    for old in [&[][..], &["--rename-command", "HELLO", ""]] {
        let primary = Redis::start(old);
        let replica = Redis::start(&[old, &["--replicaof", "127.0.0.1", &primary.port().to_string()]].concat());
        let (late, right) = (Fake::start(), Fake::start());
        late.names(replica.port());
        right.names(primary.port());
        let bucket = by(&[late.port(), right.port()], &[]).open("b").unwrap();
        bucket.set("a", b"1").unwrap();
        assert_eq!(primary.command(&["GET", "b:a"]), "1");
        let bucket = by(&[late.port()], &[("KEYVALUE_TIMEOUT_MS", "300")]).open("b").unwrap();
        let error = bucket.get("a").unwrap_err();
        assert!(error.kind() == Kind::Unavailable && error.message().contains("READONLY"), "{error}");
    }
}

#[test]
fn a_server_that_became_read_only_makes_the_store_ask_again_and_repeat_what_did_not_happen() {
    let _watchdog = Watchdog::of_the_test();
    for arguments in [&[][..], &["--rename-command", "EVAL", ""]] {
        let [first, second] = two();
        let sentinel = Fake::start();
        sentinel.names(first.port());
        let store = by(&[sentinel.port()], &[]);
        let hash = by(&[sentinel.port()], &[("KEYVALUE_REDIS_LAYOUT", "hash")]).open("h").unwrap();
        let bucket = store.open("b").unwrap();
        bucket.set("a", b"1").unwrap();
        hash.set("a", b"1").unwrap();
        assert_eq!(bucket.increment("n", 1, 0), Ok(1));
        let seen = bucket.snapshot("a").unwrap();
        let seen_in_hash = hash.snapshot("a").unwrap();
        first.commands(&[&["SET", "marker", ""], &["WAIT", "1", "5000"]]);
        // They change places, and connections stay open.
        assert_eq!(second.command(&["REPLICAOF", "NO", "ONE"]), "+OK");
        assert_eq!(first.command(&["REPLICAOF", "127.0.0.1", &second.port().to_string()]), "+OK");
        sentinel.names(second.port());
        let Swap::Conflict(now) = bucket.swap("a", &seen.version, b"2").unwrap() else {
            panic!("nobody watches the key at the new primary");
        };
        assert_eq!(bucket.swap("a", &now.version, b"2"), Ok(Swap::Done), "{arguments:?}");
        assert_eq!(hash.swap("a", &seen_in_hash.version, b"2"), Ok(Swap::Done));
        assert_eq!(bucket.increment("n", 1, 0), Ok(2));
        assert_eq!(second.command(&["GET", "b:a"]), "2");
        bucket.set_many(&[("x", b"3"), ("y", b"4")]).unwrap();
        assert_eq!(second.command(&["GET", "b:y"]), "4");
    }
}

#[test]
fn what_sentinels_say_wrong_is_an_error_that_says_what_to_do() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let fails =
        |ports: &[u16]| by(ports, &[("KEYVALUE_TIMEOUT_MS", "300")]).open("b").unwrap().set("a", b"1").unwrap_err();
    let error = fails(&[redis.port()]);
    assert!(error.message().contains("is no sentinel"), "{error}");
    let sentinel = Fake::start();
    let says = |text: &'static str| {
        sentinel.answer(move |_| Answer::Send(text.into()));
        fails(&[sentinel.port()])
    };
    let unknown = says("*-1\r\n");
    assert_eq!(unknown.kind(), Kind::InvalidArgument);
    assert!(unknown.message().contains("knows no primary called \"mymaster\""), "{unknown}");
    assert_eq!(says("-IDONTKNOW I have not enough information to reply.\r\n").kind(), Kind::Unavailable);
    let denied = says("-NOAUTH Authentication required.\r\n");
    assert_eq!(denied.kind(), Kind::AccessDenied);
    assert!(denied.message().contains("KEYVALUE_REDIS_SENTINEL_PASSWORD"), "{denied}");
    for nonsense in [
        "*0\r\n",
        "*1\r\n$1\r\na\r\n",
        "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\na\r\n$5\r\n65536\r\n",
        "*2\r\n$3\r\na\r\n\r\n$1\r\n1\r\n",
        "*2\r\n$0\r\n\r\n$1\r\n1\r\n",
        "+OK\r\n",
        ":1\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
    ] {
        let error = says(nonsense);
        assert!(matches!(error.kind(), Kind::Other | Kind::Unavailable), "{nonsense:?}: {error:?}");
    }
    let nobody = fails(&[free_port(), free_port()]);
    assert_eq!(nobody.kind(), Kind::Unavailable);
    assert!(nobody.message().contains("mymaster") && nobody.message().contains("connection refused"), "{nobody}");
}

#[test]
fn sentinels_have_a_login_of_their_own() {
    let _watchdog = Watchdog::of_the_test();
    let sentinels = Sentinels::start_with(&[], &["requirepass hunter2"]);
    let open = |password: &str| {
        let variables = [("KEYVALUE_REDIS_SENTINEL_PASSWORD", password), ("KEYVALUE_TIMEOUT_MS", "5000")];
        connect(&sentinels.url(), &variables).open("b").unwrap()
    };
    open("hunter2").set("a", b"1").unwrap();
    for password in ["", "hunter3"] {
        let error = open(password).get("a").unwrap_err();
        assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
        assert!(error.message().contains("KEYVALUE_REDIS_SENTINEL_PASSWORD"), "{error}");
        assert!(!error.message().contains("hunter"), "{error}");
    }
}
