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

/// It keeps objects in directories, and a part of a name has at most 255 bytes there: hostile keys are for the other one.
mod seaweedfs {
    static SERVER: super::Shared<super::S3> = super::Shared::new();

    kvfuse_suite::cases! { || super::own(SERVER.get(super::S3::seaweedfs));
        single: a_key_never_written_has_no_value, what_was_set_is_read, setting_again_replaces,
            deleting_removes_and_deleting_again_succeeds, the_empty_value_is_a_value, every_byte_comes_back,
            two_handles_see_one_bucket, opening_creates_nothing, a_large_value_comes_back, buckets_are_separate;
        keys: the_longest_key_is_kept;
        counters: a_missing_counter_starts_at_the_delta, a_counter_is_decimal_text, what_is_not_a_counter_is_left_unchanged,
            a_counter_stops_at_both_ends, a_counter_stays_above_its_floor, adding_zero_returns_the_counter;
        swaps: a_swap_on_what_was_seen_succeeds, a_swap_on_what_changed_returns_what_is_there,
            a_swap_on_an_absent_key_creates_it_once, a_swap_after_a_delete_conflicts, a_snapshot_of_nothing_is_absent,
            what_is_created_was_not_there, a_version_works_from_its_text_until_the_key_is_written,
            a_text_that_is_no_version_is_none_or_harmless, a_value_that_went_away_and_came_back_is_another_version;
        batches: a_batch_reads_in_the_order_asked, a_batch_sets_and_deletes, the_last_of_equal_keys_wins,
            an_empty_batch_succeeds;
        listing: an_empty_bucket_lists_nothing, a_listing_gives_every_key_once_and_ends,
            keys_that_stay_are_given_once_while_others_write, a_cursor_works_from_another_handle,
            a_cursor_made_up_is_refused_or_harmless, a_prefix_lists_every_key_that_begins_with_it_once_and_no_other;
    }

    /// A request for each key: thousands take a quarter of a minute.
    #[test]
    #[ignore = "takes a quarter of a minute: each of thousands of keys is a request"]
    fn a_batch_of_thousands_is_complete() {
        kvfuse_suite::batches::a_batch_of_thousands_is_complete(&super::own(SERVER.get(super::S3::seaweedfs)));
    }
}

/// What the other server does not check as strictly, and hostile keys. Each request takes ten times as long.
mod moto {
    static SERVER: super::Shared<super::S3> = super::Shared::new();

    kvfuse_suite::cases! { || super::own(SERVER.get(super::S3::moto));
        single: deleting_removes_and_deleting_again_succeeds, the_empty_value_is_a_value, every_byte_comes_back,
            a_large_value_comes_back, buckets_are_separate;
        keys: hostile_keys_are_all_different;
        counters: a_missing_counter_starts_at_the_delta, a_counter_stays_above_its_floor;
        swaps: a_swap_on_what_changed_returns_what_is_there, a_swap_on_an_absent_key_creates_it_once,
            a_swap_after_a_delete_conflicts, what_is_created_was_not_there,
            a_value_that_went_away_and_came_back_is_another_version;
        batches: a_batch_sets_and_deletes, the_last_of_equal_keys_wins;
        listing: an_empty_bucket_lists_nothing, a_cursor_made_up_is_refused_or_harmless;
    }
}
