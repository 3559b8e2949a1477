//! Every layout keeps the contract, with and without scripts, in both versions of the protocol, and on Valkey.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::OwnRedis;
use kvfuse_core::Store;

/// A server on which scripts are not allowed.
const NO_SCRIPTS: [&str; 3] = ["--rename-command", "EVAL", ""];
/// A server that does not know RESP3, like those older than Redis 6.
const OLD: [&str; 3] = ["--rename-command", "HELLO", ""];

mod prefix_layout {
    use super::OwnRedis;

    kvfuse_suite::contract!(|| OwnRedis::start(&[], &[]));
    kvfuse_suite::lifetimes!(|| OwnRedis::start(&[], &[]));
}

mod prefix_layout_without_scripts_over_resp2 {
    use super::{NO_SCRIPTS, OLD, OwnRedis};

    kvfuse_suite::contract!(|| OwnRedis::start(&[NO_SCRIPTS, OLD].concat(), &[]));
}

mod raw_layout {
    use super::OwnRedis;

    fn raw() -> OwnRedis {
        OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", "raw")])
    }

    // All but one case: this layout has only one bucket.
    kvfuse_suite::all_cases_but_two!(raw);
    kvfuse_suite::cases! { raw; swaps: a_value_that_went_away_and_came_back_is_another_version; }
}

mod hash_layout {
    use super::OwnRedis;

    fn hash() -> OwnRedis {
        OwnRedis::start(&[], &[("KEYVALUE_REDIS_LAYOUT", "hash")])
    }

    // All but one case: versions are values in this layout.
    kvfuse_suite::all_cases_but_two!(hash);
    kvfuse_suite::cases! { hash; single: buckets_are_separate; }
}

mod hash_layout_without_scripts {
    use super::{NO_SCRIPTS, OwnRedis};

    kvfuse_suite::all_cases_but_two!(|| OwnRedis::start(&NO_SCRIPTS, &[("KEYVALUE_REDIS_LAYOUT", "hash")]));
}

mod valkey {
    use super::OwnRedis;

    kvfuse_suite::contract!(|| OwnRedis::start_valkey(&[]));

    #[test]
    fn it_is_valkey_that_answers() {
        assert!(OwnRedis::start_valkey(&[]).server.command(&["INFO", "server"]).contains("server_name:valkey"));
    }
}

mod valkey_with_hash_layout {
    use super::OwnRedis;

    kvfuse_suite::all_cases_but_two!(|| OwnRedis::start_valkey(&[("KEYVALUE_REDIS_LAYOUT", "hash")]));
}

#[test]
fn the_text_of_a_version_means_nothing_in_another_instance_or_for_another_key() {
    let redis = OwnRedis::start(&[], &[]);
    let (here, there) = (redis.open("b").unwrap(), common::connect(&redis.server.url(), &[]).open("b").unwrap());
    here.set("key", b"one").unwrap();
    here.set("other", b"one").unwrap();
    // Both instances have a first watch, of the same key.
    let (seen, theirs) = (here.snapshot("key").unwrap(), there.snapshot("key").unwrap());
    assert_eq!(seen.version, theirs.version);
    let text = here.version_text("key", &seen.version);
    assert_eq!(there.version_of_text("key", &text), None);
    assert_eq!(here.version_of_text("other", &text), None);
    assert_eq!(here.version_of_text("key", &text), Some(seen.version));
}
