//! What others see of a state: entries, and what operations did.

use crate::record::{FileValue, Key};
use kvfuse_core::Error;

/// A value of the state.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    Small(&'a [u8]),
    Blob { at: u64, length: u32, check: u64 },
    File(FileValue),
}

/// An entry of the state.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub hash: u64,
    pub version: u64,
    pub key: Key<'a>,
    pub value: Found<'a>,
}

impl Item<'_> {
    /// Bytes that it takes in a base.
    pub fn size(&self) -> usize {
        let key = match self.key {
            Key::Whole(bytes) => 10 + bytes.len(),
            Key::Far { .. } => 55,
        };
        key + match self.value {
            Found::Small(bytes) => 4 + bytes.len(),
            Found::Blob { length, .. } => 12 + length as usize,
            Found::File(_) => 46,
        }
    }
}

/// What an operation did when its turn came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Counter(i64),
    /// A swap that came too late.
    Conflict,
    /// An increment that changed nothing.
    Refused(Error),
}
