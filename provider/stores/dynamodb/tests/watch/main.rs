//! Watching: on an emulator with one shard, and on a model of a stream whose shards come, split and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "../common/mod.rs"]
mod common;

mod double;
mod emulated;
mod hostile;
mod random;
mod shards;

use kvfuse_core::{Change, Kind, Watch};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(300);

fn set(key: &str, value: &[u8]) -> Change {
    Change::Set { key: key.into(), value: value.into() }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.into() }
}

/// What is reported, and so many changes that follow.
#[track_caller]
fn missed(watch: &mut dyn Watch, says: &str, count: usize) -> Vec<Change> {
    let first = loop {
        match watch.next(PATIENCE) {
            Ok(first) => break first,
            Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Timeout), "{error}"),
        }
    };
    let (missed, mut changes) = (first.missed.unwrap(), first.changes);
    assert!(missed.contains(says) && missed.contains("deletions") && !missed.contains('\n'), "{missed}");
    assert!(first.position.is_some());
    if changes.len() < count {
        changes.extend(wait_for(watch, count - changes.len()).0);
    }
    changes
}

/// Waits until `count` changes have come. Gives them with the last position.
#[track_caller]
fn wait_for(watch: &mut dyn Watch, count: usize) -> (Vec<Change>, String) {
    let (mut changes, mut position) = (Vec::new(), String::new());
    for answers in 0.. {
        if changes.len() >= count {
            break;
        }
        assert!(answers < 1000, "{} of {count} changes have come", changes.len());
        let more = watch.next(PATIENCE).unwrap();
        assert_eq!(more.missed, None);
        changes.extend(more.changes);
        position = more.position.unwrap();
    }
    (changes, position)
}
