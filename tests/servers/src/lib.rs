//! What tests of the networked stores run against.
//!
//! | file | what it gives |
//! |---|---|
//! | [`clock`], [`net`], [`http`] | the transports' ports on `std`, counting round trips |
//! | [`process`] | server programs: found, started on free loopback ports in folders of their own, killed at the end |
//! | [`redis`], [`etcd`] | those two servers |
//! | [`proxy`] | a server in front of a real one that plays faults at a chosen byte |
//! | [`faults`] | every such fault, at every byte of every operation |

// Test support: a failure here is the test's failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod clock;
pub mod etcd;
pub mod faults;
pub mod http;
pub mod net;
pub mod process;
pub mod proxy;
pub mod redis;

use kvfuse_core::Settings;

pub fn settings(variables: &[(&str, &str)]) -> Settings {
    Settings::new(variables.iter().map(|(name, value)| (name.to_string(), value.to_string())))
}
