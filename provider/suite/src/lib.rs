//! The contract of [`kvfuse_core`] as tests that every store passes.
//!
//! ```
//! use kvfuse_memory::MemoryStore;
//!
//! // In the tests of a store: one `#[test]` for each case.
//! kvfuse_suite::contract!(|| MemoryStore::default());
//!
//! // Or one case at a time.
//! kvfuse_suite::single::what_was_set_is_read(&MemoryStore::default());
//! ```
//!
//! Each test gets a store of its own: one without data, or with a key prefix of its own. Expected values come from the
//! text of the contract, never from the behaviour of a store.
//!
//! A case is a function that is named after what it tests, takes the store, and panics if the store fails the test.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]
#![forbid(unsafe_code)]

#[allow(missing_docs, reason = "the names of the cases are sentences")]
pub mod batches;
#[allow(missing_docs, reason = "the names of the cases are sentences")]
pub mod counters;
#[allow(missing_docs, reason = "the names of the cases are sentences")]
pub mod keys;
#[allow(missing_docs, reason = "the names of the cases are sentences")]
pub mod lifetimes;
#[allow(missing_docs, reason = "the names of the cases are sentences")]
pub mod listing;
#[allow(missing_docs, reason = "the names of the cases are sentences")]
pub mod single;
#[allow(missing_docs, reason = "the names of the cases are sentences")]
pub mod swaps;

use kvfuse_core::{Bucket, Kind, Page, Result, Store};
use std::rc::Rc;

/// Makes a `#[test]` of every case.
///
/// The argument is a closure without arguments that returns a [`Store`]; each test calls it once.
#[macro_export]
macro_rules! contract {
    ($make:expr) => {
        $crate::all_cases_but_two!($make);
        $crate::cases! { $make;
            single: buckets_are_separate;
            swaps: a_value_that_went_away_and_came_back_is_another_version;
        }
    };
}

/// Like [`contract!`], without the two cases that a store may document as not holding:
/// [`single::buckets_are_separate`] and [`swaps::a_value_that_went_away_and_came_back_is_another_version`].
#[macro_export]
macro_rules! all_cases_but_two {
    ($make:expr) => {
        $crate::cases_of_small_values!($make);
        $crate::cases! { $make; single: a_large_value_comes_back; }
    };
}

/// Like [`all_cases_but_two!`], without the case of a value of 1 MB, [`single::a_large_value_comes_back`]: for a store over
/// an engine that does not take one.
#[macro_export]
macro_rules! cases_of_small_values {
    ($make:expr) => {
        $crate::cases_beside_listing!($make);
        $crate::cases! { $make;
            listing: an_empty_bucket_lists_nothing, a_listing_gives_every_key_once_and_ends,
                keys_that_stay_are_given_once_while_others_write, a_cursor_works_from_another_handle,
                large_keys_end_a_page_early, a_cursor_made_up_is_refused_or_harmless,
                a_prefix_lists_every_key_that_begins_with_it_once_and_no_other;
        }
    };
}

/// Like [`cases_of_small_values!`], without the cases of [`listing`]: for a store over an engine that cannot list its keys. It adds
/// [`listing::a_listing_is_refused_with_the_reason`]. The other cases look at listings where there are any.
#[macro_export]
macro_rules! cases_without_listing {
    ($make:expr) => {
        $crate::cases_beside_listing!($make);
        $crate::cases! { $make; listing: a_listing_is_refused_with_the_reason; }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! cases_beside_listing {
    ($make:expr) => {
        $crate::cases! { $make;
            single: a_key_never_written_has_no_value, what_was_set_is_read, setting_again_replaces,
                deleting_removes_and_deleting_again_succeeds, the_empty_value_is_a_value,
                every_byte_comes_back,
                two_handles_see_one_bucket, opening_creates_nothing;
            keys: hostile_keys_are_all_different, the_longest_key_is_kept;
            counters: a_missing_counter_starts_at_the_delta, a_counter_is_decimal_text,
                what_is_not_a_counter_is_left_unchanged, a_counter_stops_at_both_ends,
                a_counter_stays_above_its_floor, adding_zero_returns_the_counter;
            swaps: a_swap_on_what_was_seen_succeeds, a_swap_on_what_changed_returns_what_is_there,
                a_swap_on_an_absent_key_creates_it_once,
                a_swap_after_a_delete_conflicts, a_snapshot_of_nothing_is_absent,
                what_is_created_was_not_there, a_version_works_from_its_text_until_the_key_is_written,
                a_text_that_is_no_version_is_none_or_harmless;
            batches: a_batch_reads_in_the_order_asked, a_batch_sets_and_deletes,
                the_last_of_equal_keys_wins, an_empty_batch_succeeds, a_batch_of_thousands_is_complete;
        }
    };
}

/// Makes a `#[test]` of every case about lifetimes of keys, for a store that has them. The cases take real time.
#[macro_export]
macro_rules! lifetimes {
    ($make:expr) => {
        $crate::cases! { $make;
            lifetimes: a_key_with_a_lifetime_is_there_until_its_end_and_then_absent,
                the_remaining_lifetime_is_told_of_those_that_have_one, what_is_set_after_an_end_begins_anew,
                a_version_from_before_an_end_conflicts_after_it, a_set_a_batch_and_a_swap_end_a_lifetime,
                an_increment_keeps_the_lifetime, what_is_created_may_have_a_lifetime;
        }
    };
}

/// Makes a `#[test]` of each case named, grouped by its module:
/// `cases! { make; single: buckets_are_separate; }`.
#[macro_export]
macro_rules! cases {
    ($make:expr; $($module:ident: $($case:ident),+;)+) => { $($(
        #[test]
        fn $case() {
            $crate::$module::$case(&($make)());
        }
    )+)+ };
}

pub(crate) fn open(store: &dyn Store) -> Rc<dyn Bucket> {
    store.open("suite").expect("the bucket opens")
}

/// Checks the keys of a bucket, in any order. A store that cannot list says so, and the cases of [`listing`] fail for it.
pub(crate) fn assert_lists<K: AsRef<str>>(bucket: &dyn Bucket, expected: &[K]) {
    if bucket.list(None).is_err_and(|error| error.kind() == Kind::Unsupported) {
        return;
    }
    let mut listed = list_by(|cursor| bucket.list(cursor));
    let mut expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
    listed.sort();
    expected.sort_unstable();
    assert!(listed == expected, "{} keys instead of {}", listed.len(), expected.len());
}

/// All keys, page by page. Fails after more pages than any bucket of these tests can need.
pub(crate) fn list_by(page: impl Fn(Option<&str>) -> Result<Page>) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..100_000 {
        let page = page(cursor.as_deref()).expect("a page");
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return keys;
        }
    }
    panic!("the listing does not end");
}

/// Its examples are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod memory {
    use kvfuse_memory::MemoryStore;
    use std::time::Instant;

    crate::contract!(MemoryStore::default);
    crate::lifetimes!(|| {
        let begin = Instant::now();
        MemoryStore::with_clock(move || begin.elapsed())
    });
}
