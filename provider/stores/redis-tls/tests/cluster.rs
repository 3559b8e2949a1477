//! A cluster over TLS: every node is verified, also one that another one names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{connect, connect_over};
use kvfuse_core::{Kind, Store};
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::net::StdNetwork;
use kvfuse_servers::redis_cluster::RedisCluster;
use kvfuse_servers::watchdog::Watchdog;

#[test]
fn a_cluster_is_spoken_to_over_tls_at_every_node() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let cluster = RedisCluster::of_three_tls(&authority);
    let network = StdNetwork::default();
    let bucket = connect_over(network.clone(), &cluster.tls_url(), authority.pem(), &[]).open("b").unwrap();
    let keys: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), key.as_bytes())).collect();
    bucket.set_many(&pairs).unwrap();
    assert_eq!(bucket.increment("7", 1, 0), Ok(8));
    assert_eq!(bucket.list(None).unwrap().keys.len(), 100);
    assert_eq!(network.connects.get(), 3);
    // A node whose certificate is not trusted gets nothing, whoever names it.
    let other = Authority::new();
    let error = connect(&cluster.tls_url(), other.pem(), &[]).open("b").unwrap().set("a", b"1").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.message().contains("certificate"), "{error}");
}
