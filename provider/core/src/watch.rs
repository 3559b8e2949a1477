//! Watching: the changes of a bucket, from a position on.
//!
//! Watching is optional: by default [`Bucket::watch`](crate::Bucket::watch) answers
//! [`Unsupported`](crate::Kind::Unsupported), with the reason in the store's words.
//!
//! Every store that supports watching guarantees:
//!
//! - **At least once.** A change that took effect after the position is delivered, unless [`Changes::missed`] says that
//!   some may be missing. It may be delivered again, in particular after a watch was restarted at an earlier position.
//! - **In order for each key.** Of two changes of a key, the later one is delivered later. A redelivery starts over at
//!   an earlier change and continues from there. So once the watch has caught up, the last change delivered of a key is
//!   its state. Changes of different keys come in no particular order.
//! - **The value of a change is the one that was set**, or a later one of the same key. If several changes of a key are
//!   close together, or happened before the watch began, the store may deliver only the last of them.
//! - **Bounded memory.** A watch does nothing until it is asked for the next changes, and buffers at most a part of
//!   what the store holds for it. A slow caller falls behind, with no other consequence.
//!
//! `docs/watch.md` says what each store guarantees beyond that, and when it loses changes.

use crate::{Bucket, Result};
use std::time::Duration;

/// The most changes in one answer.
pub const MOST_CHANGES: usize = 500;
/// The number of bytes of keys and values after which an answer ends. It may exceed this by one change.
pub const MOST_BYTES: usize = 4 << 20;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'a> {
    /// At the first change after this moment.
    Now,
    /// At the current content, delivered as if it had just been set, followed by the changes.
    Beginning,
    /// After a [position](Changes::position) of an earlier watch of the same bucket.
    Position(&'a str),
}

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key was set, incremented or swapped.
    Set {
        /// The key.
        key: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// The key was deleted, or its lifetime ended.
    Delete {
        /// The key.
        key: String,
    },
}

impl Change {
    /// The key that changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Set { key, .. } | Self::Delete { key } => key,
        }
    }

    /// Its size in bytes, as far as [`MOST_BYTES`] counts it.
    pub fn size(&self) -> usize {
        match self {
            Self::Set { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }
}

/// The changes that a watch delivers at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order in which they are to be handled. May be empty.
    pub changes: Vec<Change>,
    /// The position after these changes: a caller that has handled them continues from here, in any process. `None` if
    /// the store has no positions. The position may be before some of these changes; those are then delivered again.
    ///
    /// An opaque string without line breaks. It is valid only for the bucket that it came from.
    pub position: Option<String>,
    /// Why changes before these may be missing, on one line. The store then delivers every key that may have changed as
    /// if it had just been set. So the only changes missing are deletions, and values that have been replaced since.
    pub missed: Option<String>,
}

/// A watch of a bucket: [`Bucket::watch`](crate::Bucket::watch) makes it.
pub trait Watch {
    /// The next changes. Waits for the first of them for about as long as `patience`, and returns none if there was
    /// none by then. A store that cannot wait answers at once, so a caller that gets none should pause before asking
    /// again.
    ///
    /// # Errors
    /// Those of reading. After [`Unavailable`](crate::Kind::Unavailable) or [`Timeout`](crate::Kind::Timeout) the watch
    /// can be asked again: it continues where it was, or reports what it missed.
    fn next(&mut self, patience: Duration) -> Result<Changes>;
}

/// The content of a bucket as changes: what a store delivers when it cannot tell what has changed.
#[derive(Debug, Default)]
pub struct Everything {
    cursor: Option<String>,
    keys: std::collections::VecDeque<String>,
    /// The number of values to fetch at once.
    at_once: usize,
    ended: bool,
}

impl Everything {
    /// The next changes; `None` once all were delivered. Keys written meanwhile may be included or not.
    ///
    /// # Errors
    /// Those of [`Bucket::list`] and [`Bucket::get_many`].
    pub fn next(&mut self, bucket: &dyn Bucket, prefix: &str) -> Result<Option<Vec<Change>>> {
        loop {
            if self.keys.is_empty() {
                if self.ended {
                    return Ok(None);
                }
                let page = bucket.list(self.cursor.as_deref())?;
                self.ended = page.cursor.is_none();
                self.cursor = page.cursor;
                self.keys.extend(page.keys.into_iter().filter(|key| key.starts_with(prefix)));
                continue;
            }
            let count = self.at_once.clamp(1, MOST_CHANGES).min(self.keys.len());
            let keys: Vec<&str> = self.keys.iter().take(count).map(String::as_str).collect();
            let values = bucket.get_many(&keys)?;
            // A key that was deleted meanwhile is left out.
            let changes: Vec<Change> = keys
                .into_iter()
                .zip(values)
                .filter_map(|(key, value)| Some(Change::Set { key: key.to_string(), value: value? }))
                .collect();
            self.keys.drain(..count);
            let size: usize = changes.iter().map(Change::size).sum();
            // Large values make the next answer smaller.
            let fitting = MOST_BYTES / (size / count).max(1);
            self.at_once = fitting.min(count * 2);
            if !changes.is_empty() {
                return Ok(Some(changes));
            }
        }
    }
}
