//! Servers and faults for the tests of the networked stores.
//!
//! | module | what it contains |
//! |---|---|
//! | [`clock`], [`net`], [`http`] | the transport's ports on `std`, counting round trips |
//! | [`process`] | server programs: finding them, starting them on free loopback ports in their own folders, killing them |
//! | [`waiting`] | the ports where calls wait beside each other, on tokio |
//! | [`at_once`] | what holds of many calls at once, whichever store they are of |
//! | [`gateway`] | a stand-in for etcd that answers when a test says so |
//! | [`redis`], [`memcached`], [`etcd`], [`dynamodb`], [`azure`], [`s3`] | these servers; of the last three, emulators |
//! | [`moto`] | what the emulators of AWS share |
//! | [`redis_cluster`], [`sentinels`] | Redis Cluster, and Redis with sentinels |
//! | [`shared`] | a server that several tests share |
//! | [`certificates`] | certificates for them, and their authority |
//! | [`all`] | all of them, and the variables that name them |
//! | [`proxy`] | a proxy that injects a fault at a chosen byte |
//! | [`failover`] | counters under load while primaries are killed |
//! | [`faults`] | every such fault, at every byte of every operation |
//! | [`allocated`] | an allocator that counts |
//! | [`watchdog`] | a bound for tests that a bug would make hang |

// Test support: a failure here is a failure of the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod all;
pub mod allocated;
pub mod at_once;
pub mod azure;
pub mod certificates;
pub mod clock;
pub mod dynamodb;
pub mod etcd;
pub mod failover;
pub mod faults;
pub mod gateway;
pub mod http;
pub mod memcached;
pub mod moto;
pub mod net;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod redis_cluster;
pub mod s3;
pub mod sentinels;
pub mod shared;
pub mod waiting;
pub mod watchdog;

use kvfuse_core::Settings;

pub fn settings(variables: &[(&str, &str)]) -> Settings {
    Settings::new(variables.iter().map(|(name, value)| (name.to_string(), value.to_string())))
}
