//! The content of a segment as other modules see it: values, entries, and the outcomes of operations.

use crate::encode::Content;
use crate::name::ValueName;
use crate::record::{FileValue, Key, NEVER, Piece, Value};
use kvfuse_core::Error;

/// A value, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    Bytes(Vec<u8>),
    /// Elsewhere in its segment, in pieces.
    Pieces(Vec<Piece>),
    File(FileValue),
}

impl Stored {
    /// `blobs` is the offset in the segment of the blobs of the record that has the value.
    pub fn new(value: Value<'_>, blobs: u64) -> Self {
        match value {
            Value::Small(bytes) => Self::Bytes(bytes.to_vec()),
            Value::Blob { at, length, check } => {
                let at = u32::try_from(blobs.saturating_add(u64::from(at))).unwrap_or(u32::MAX);
                Self::Pieces(vec![Piece { at, length, check }])
            }
            Value::File(file) => Self::File(file),
            Value::Pieces(pieces) => Self::Pieces(pieces.iter().collect()),
        }
    }

    pub fn content(&self) -> Content<'_> {
        match self {
            Self::Bytes(bytes) => Content::Bytes(bytes),
            Self::Pieces(pieces) => Content::Pieces(pieces),
            Self::File(file) => Content::File(*file),
        }
    }

    /// Bytes of a value that is in the segment.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pieces(pieces) => pieces.iter().map(|piece| u64::from(piece.length)).sum(),
            Self::File(_) => 0,
        }
    }
}

/// A key's value and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub version: u64,
    pub value: Stored,
    /// When it ends, in milliseconds since 1970, or [`NEVER`](crate::record::NEVER).
    pub end: u64,
}

/// Whether what ends then has ended at a time.
pub fn is_over(end: u64, time: u64) -> bool {
    end != NEVER && end <= time
}

/// A key, as entries have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedKey {
    Whole(Vec<u8>),
    Far { digest: [u8; 16], length: u32, file: ValueName },
}

impl OwnedKey {
    pub fn borrow(&self) -> Key<'_> {
        match self {
            Self::Whole(bytes) => Key::Whole(bytes),
            Self::Far { digest, length, file } => Key::Far { digest: *digest, length: *length, file: *file },
        }
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Whole(bytes) => Self::Whole(bytes.to_vec()),
            Key::Far { digest, length, file } => Self::Far { digest, length, file },
        }
    }
}

/// A pair of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub place: u64,
    pub key: OwnedKey,
    pub found: Found,
}

impl Item {
    /// The files that it names: that of its key, and that of its value.
    pub fn files(&self) -> impl Iterator<Item = ValueName> + use<> {
        let key = match self.key {
            OwnedKey::Far { file, .. } => Some(file),
            OwnedKey::Whole(_) => None,
        };
        let value = match self.found.value {
            Stored::File(file) => Some(file.name),
            Stored::Bytes(_) | Stored::Pieces(_) => None,
        };
        key.into_iter().chain(value)
    }

    /// Whether this is the pair of a key with that place.
    pub fn is(&self, key: &Key<'_>) -> bool {
        let own = self.key.borrow();
        own.is_far() == key.is_far() && own.id() == key.id()
    }
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Counter(i64),
    /// A swap that came too late.
    Conflict,
    /// An increment that changed nothing.
    Refused(Error),
    /// It met a value whose time was over, which its writer had not read before: it had no effect that anyone sees, and
    /// is made again.
    Late,
    /// It depends on the index or the base, which were not read. The operation has this version.
    Open(u64),
}
