//! The contract, on one server, on several, and where calls wait beside each other. A listing is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

/// All cases but those of listings.
macro_rules! contract {
    ($make:expr) => {
        kvfuse_suite::cases_without_listing!($make);
        kvfuse_suite::cases! { $make;
            single: a_large_value_comes_back, buckets_are_separate;
            swaps: a_value_that_went_away_and_came_back_is_another_version;
        }
    };
}

mod one_server {
    use crate::common::Own;

    contract!(|| Own::start(&[]));
    kvfuse_suite::lifetimes!(|| Own::start(&[]));
}

mod three_servers {
    contract!(|| crate::common::Own::start_several(3));
}

mod waiting {
    contract!(crate::common::Own::start_waiting);
}
