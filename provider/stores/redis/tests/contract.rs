//! Every way to use Redis keeps the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::OwnRedis;

/// A user who may do everything but run scripts.
const NO_SCRIPTS: [&str; 3] = ["--rename-command", "EVAL", ""];
/// A server that does not know RESP3, as before Redis 6.
const OLD: [&str; 3] = ["--rename-command", "HELLO", ""];

/// The cases that do not hold for every layout: left out here where documented.
macro_rules! all_cases_but_two {
    ($make:expr) => {
        all_cases_but_two! { $make;
            single: a_key_never_written_has_no_value, what_was_set_is_read, setting_again_replaces,
                deleting_removes_and_deleting_again_succeeds, the_empty_value_is_a_value,
                every_byte_comes_back, a_large_value_comes_back,
                two_handles_see_one_bucket, opening_creates_nothing;
            keys: hostile_keys_are_all_different, the_longest_key_is_kept;
            listing: an_empty_bucket_lists_nothing, a_listing_gives_every_key_once_and_ends,
                keys_that_stay_are_given_once_while_others_write, a_cursor_works_from_another_handle,
                large_keys_end_a_page_early, a_cursor_made_up_is_refused_or_harmless;
            counters: a_missing_counter_starts_at_the_delta, a_counter_is_decimal_text,
                what_is_no_counter_is_left_alone, a_counter_stops_at_both_ends,
                a_counter_stays_above_its_floor, adding_nothing_tells_the_counter;
            swaps: a_swap_on_what_was_seen_succeeds, a_swap_on_what_changed_tells_what_is_there,
                a_swap_on_an_absent_key_creates_it_once,
                a_swap_after_a_delete_conflicts, a_snapshot_of_nothing_is_absent;
            batches: a_batch_reads_in_the_order_asked, a_batch_sets_and_deletes,
                the_last_of_equal_keys_wins, an_empty_batch_succeeds, a_batch_of_thousands_is_complete;
        }
    };
    ($make:expr; $($module:ident: $($case:ident),+;)+) => { $($(
        #[test]
        fn $case() {
            kvfuse_suite::$module::$case(&$make);
        }
    )+)+ };
}

mod prefix_layout {
    kvfuse_suite::contract!(|| crate::OwnRedis::start(&[], &[]));
}

mod prefix_layout_without_scripts_over_resp2 {
    kvfuse_suite::contract!(|| crate::OwnRedis::start(&[crate::NO_SCRIPTS, crate::OLD].concat(), &[]));
}

mod raw_layout {
    use super::OwnRedis;

    // Left out: buckets are one in this layout.
    all_cases_but_two!(OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", "raw")]));

    #[test]
    fn a_value_that_went_away_and_came_back_is_another_version() {
        let store = OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", "raw")]);
        kvfuse_suite::swaps::a_value_that_went_away_and_came_back_is_another_version(&store);
    }
}

mod hash_layout {
    use super::OwnRedis;

    // Left out: versions are values in this layout.
    all_cases_but_two!(OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", "hash")]));

    #[test]
    fn buckets_are_separate() {
        kvfuse_suite::single::buckets_are_separate(&OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", "hash")]));
    }
}

mod hash_layout_without_scripts {
    use super::{NO_SCRIPTS, OwnRedis};

    all_cases_but_two!(OwnRedis::start(&NO_SCRIPTS, &[("KEYVALUE_REDIS_LAYOUT", "hash")]));
}

mod valkey {
    use super::OwnRedis;

    kvfuse_suite::contract!(|| crate::OwnRedis::start_valkey(&[]));

    #[test]
    fn it_is_valkey_that_answers() {
        assert!(OwnRedis::start_valkey(&[]).server.command(&["INFO", "server"]).contains("server_name:valkey"));
    }
}

mod valkey_with_hash_layout {
    use super::OwnRedis;

    all_cases_but_two!(OwnRedis::start_valkey(&[("KEYVALUE_REDIS_LAYOUT", "hash")]));
}
