//! etcd keeps the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::OwnEtcd;

mod one_member {
    kvfuse_suite::contract!(|| crate::OwnEtcd::start(1, &[], &[]));
}
