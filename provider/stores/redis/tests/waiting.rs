//! The contract and the faults where calls wait: one call after the other, on the connection that calls share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{WaitingStore, connect_waiting, faults};
use kvfuse_core::{Bucket, Result, Store};
use kvfuse_servers::proxy::Fault;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::waiting::Blocking;
use kvfuse_servers::watchdog::Watchdog;
use std::rc::Rc;

struct Own {
    store: Blocking<WaitingStore>,
    server: Redis,
    _watchdog: Watchdog,
}

impl Own {
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let server = Redis::start(arguments);
        Self { store: at(server.port(), variables), server, _watchdog: Watchdog::of_the_test() }
    }
}

impl Store for Own {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(bucket)
    }
}

fn at(port: u16, variables: &[(&str, &str)]) -> Blocking<WaitingStore> {
    Blocking::new(connect_waiting(&format!("redis://127.0.0.1:{port}"), variables, Default::default()))
}

fn prefix(port: u16, time_limit: &str) -> Blocking<WaitingStore> {
    at(port, &[("KEYVALUE_TIMEOUT_MS", time_limit)])
}

fn hash(port: u16, time_limit: &str) -> Blocking<WaitingStore> {
    at(port, &[("KEYVALUE_REDIS_LAYOUT", "hash"), ("KEYVALUE_TIMEOUT_MS", time_limit)])
}

mod prefix_layout {
    kvfuse_suite::contract!(|| super::Own::start(&[], &[]));
}

mod prefix_layout_without_scripts_over_resp2 {
    kvfuse_suite::contract!(|| super::Own::start(
        &["--rename-command", "EVAL", "", "--rename-command", "HELLO", ""],
        &[]
    ));
}

mod hash_layout {
    kvfuse_suite::all_cases_but_two!(|| super::Own::start(&[], &[("KEYVALUE_REDIS_LAYOUT", "hash")]));
}

faults!(prefix, hash);

#[test]
fn the_store_reconnects_to_a_restarted_server_without_an_error() {
    let mut own = Own::start(&[], &[]);
    let bucket = own.open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    own.server.restart();
    // A write: if it were sent on the old connection, its outcome would be unknown.
    bucket.set("b", b"2").unwrap();
    assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"1"[..]));
}
