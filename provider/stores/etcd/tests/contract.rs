//! etcd keeps the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::OwnEtcd;

mod one_member {
    use super::OwnEtcd;

    kvfuse_suite::contract!(|| OwnEtcd::start(1, &[], &[]));
}
