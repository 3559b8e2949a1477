//! etcd keeps the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::OwnEtcd;

mod one_member {
    use super::OwnEtcd;

    kvfuse_suite::contract!(|| OwnEtcd::start(1, &[], &[]));
    // An increment ends the lifetime of its key: it is a write, and every write takes the lease that is then due.
    kvfuse_suite::cases! { || OwnEtcd::start(1, &[], &[]);
        lifetimes: a_key_with_a_lifetime_is_there_until_its_end_and_then_absent,
            the_remaining_lifetime_is_told_of_those_that_have_one, what_is_set_after_an_end_begins_anew,
            a_version_from_before_an_end_conflicts_after_it, a_set_a_batch_and_a_swap_end_a_lifetime,
            what_is_created_may_have_a_lifetime;
    }
}
