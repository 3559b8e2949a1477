//! Watching: the changes of a bucket, from a position on.
//!
//! Watching is optional: by default [`Bucket::watch`](crate::Bucket::watch) answers
//! [`Unsupported`](crate::Kind::Unsupported), with the reason in the store's words.
//!
//! What every store that has it promises:
//!
//! - **At least once.** A change that took effect after the position is delivered, unless [`Changes::missed`] says that
//!   some may not be. It may be delivered again, above all after a watch was begun anew at an earlier position.
//! - **In order for each key.** Of two changes of a key, the later one is delivered later; what is delivered again is a
//!   stretch that begins at an earlier change. So the last change delivered of a key is its state, once the watch has
//!   caught up. Changes of different keys come in no particular order.
//! - **The value of a change is the one that was set**, or a later one of the same key. Where several changes of a key lie
//!   close together, or before the watch began, the store may deliver only the last of them.
//! - **Bounded memory.** A watch does nothing unless it is asked for the next changes, and keeps at most a part of what the
//!   store holds for it. Who is slow is behind, and no more.
//!
//! What a store does beyond that, and what it loses when, is in `docs/watch.md`.

use crate::{Bucket, Result};
use std::time::Duration;

/// The most changes in one answer.
pub const MOST_CHANGES: usize = 500;
/// Bytes of keys and values after which an answer ends. It may exceed this by one change.
pub const MOST_BYTES: usize = 4 << 20;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'a> {
    /// With the first change after this moment.
    Now,
    /// With everything that is there, as if it had just been set, and then what changes.
    Beginning,
    /// Behind a [position](Changes::position) of an earlier watch of the same bucket.
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

/// What a watch delivers at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order in which they are to be handled. May be empty.
    pub changes: Vec<Change>,
    /// Behind these changes: who has handled them goes on from here, in whatever process. `None` where the store has no
    /// positions. It may lie before some of these changes; then those are delivered again.
    ///
    /// An opaque string without line breaks. It is only meant for the bucket that it is of.
    pub position: Option<String>,
    /// Why changes before these may be missing: one line. Then what is there follows as if it had just been set, as far as it
    /// may have changed. So what may be missing are deletions, and values that others have replaced since.
    pub missed: Option<String>,
}

/// A watch of a bucket: [`Bucket::watch`](crate::Bucket::watch) makes it.
pub trait Watch {
    /// The next changes. Waits for the first of them, for about as long as `patience`; what comes after is none if there was
    /// none. A store that cannot wait answers at once, so who gets none should pause before asking again.
    ///
    /// # Errors
    /// Those of reading. After [`Unavailable`](crate::Kind::Unavailable) or [`Timeout`](crate::Kind::Timeout) the watch can
    /// be asked again: it goes on where it was, or says what it missed.
    fn next(&mut self, patience: Duration) -> Result<Changes>;
}

/// Everything that is in a bucket, as changes: what stores deliver to whom they cannot tell what has changed.
#[derive(Debug, Default)]
pub struct Everything {
    cursor: Option<String>,
    keys: std::collections::VecDeque<String>,
    /// How many values are asked for at once.
    at_once: usize,
    ended: bool,
}

impl Everything {
    /// The next changes; `None` once all were given. What is written meanwhile may be among them or not.
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
            // One that was deleted meanwhile is left out.
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
