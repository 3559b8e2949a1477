//! The store keeps the contract, but for keys above 1000 bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NativeStore, connect};
use kvfuse_core::{Bucket, Result, Store};
use kvfuse_servers::s3::S3;
use kvfuse_servers::shared::Shared;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A store with a prefix of its own. Cases that run at the same time share a server, which takes longer to start than most of
/// them; the last one stops it.
struct Own(NativeStore, #[allow(dead_code, reason = "it keeps the server running")] Arc<S3>);

impl Store for Own {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.0.open(bucket)
    }
}

fn own(server: Arc<S3>) -> Own {
    static CASES: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("case{}/", CASES.fetch_add(1, Ordering::Relaxed));
    Own(connect(&server, &[("KEYVALUE_PREFIX", &prefix), ("KEYVALUE_TIMEOUT_MS", "120000")]), server)
}

macro_rules! cases {
    ($make:expr) => {
        kvfuse_suite::cases_beside_listing!($make);
        kvfuse_suite::cases! { $make;
            listing: an_empty_bucket_lists_nothing, a_listing_gives_every_key_once_and_ends,
                keys_that_stay_are_given_once_while_others_write, a_cursor_works_from_another_handle,
                a_cursor_made_up_is_refused_or_harmless, a_prefix_lists_every_key_that_begins_with_it_once_and_no_other;
            single: a_large_value_comes_back, buckets_are_separate;
            swaps: a_value_that_went_away_and_came_back_is_another_version;
        }
    };
}

mod moto {
    static SERVER: super::Shared<super::S3> = super::Shared::new();

    cases!(|| super::own(SERVER.get(super::S3::moto)));
}

mod seaweedfs {
    static SERVER: super::Shared<super::S3> = super::Shared::new();

    cases!(|| super::own(SERVER.get(super::S3::seaweedfs)));
}
