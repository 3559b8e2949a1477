//! The parts that records are made of, and reading them. Pure.
//!
//! | part | bytes |
//! |---|---|
//! | seen | position 4, version 4: the writer had read the file up to the position; the low 32 bits of the next version there |
//! | directory | parts 2; of each: offset of its first page 4, pages 2; then the length of each page 2 |
//! | key | length 2, bytes; or `65535`, digest 16, length 4, file name 25 |
//! | value | tag and length 4 (the two highest bits are the tag): `0` bytes; `1` check 8, the bytes are the next blob; `2` size 8, checked 1, check 8, file name 25; `3` pieces 1, of each: offset 4, length 4, check 8 |
//! | file name | depth of the node 1, its bits 8, generation 8, id 8 |
#![deny(clippy::arithmetic_side_effects)]

use crate::name::{Node, ValueName};

/// The length that says that a key is in a file.
pub(crate) const FAR_KEY: u16 = u16::MAX;
/// The lowest of the bits of a value's length that hold its tag.
pub(crate) const TAG_SHIFT: u32 = 30;
const LENGTH_MASK: u32 = (1 << TAG_SHIFT) - 1;
/// Bytes of a piece in a record.
const PIECE: usize = 16;

/// A key as a record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    Whole(&'a [u8]),
    /// The key is in a file.
    Far {
        digest: [u8; 16],
        length: u32,
        file: ValueName,
    },
}

impl Key<'_> {
    /// The bytes that keys are compared by and their place is computed from: the key, or the digest of a far key.
    pub fn id(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Far { digest, .. } => digest,
        }
    }

    pub fn is_far(&self) -> bool {
        matches!(self, Self::Far { .. })
    }
}

/// A value that has a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileValue {
    pub name: ValueName,
    /// In bytes.
    pub size: u64,
    /// `None` for a value that came as a stream and never passed through the instance.
    pub check: Option<u64>,
}

/// Bytes of a value somewhere in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the segment.
    pub at: u32,
    /// In bytes.
    pub length: u32,
    pub check: u64,
}

/// The pieces of a value, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces<'a>(&'a [u8]);

impl Pieces<'_> {
    pub fn iter(&self) -> impl Iterator<Item = Piece> {
        self.0.chunks_exact(PIECE).filter_map(|piece| {
            let mut bytes = Bytes(piece);
            Some(Piece { at: bytes.u32()?, length: bytes.u32()?, check: bytes.u64()? })
        })
    }
}

/// A value as a record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Small(&'a [u8]),
    /// `at` is the offset in the record's own blobs.
    Blob {
        at: u32,
        length: u32,
        check: u64,
    },
    File(FileValue),
    /// Elsewhere in the segment.
    Pieces(Pieces<'a>),
}

/// When values without a lifetime end: never.
pub const NEVER: u64 = 0;

/// A key with its value in a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    pub version: u64,
    pub key: Key<'a>,
    pub value: Value<'a>,
    /// When it ends, in milliseconds since 1970, or [`NEVER`].
    pub end: u64,
}

/// How far the writer of a record had read the file when it wrote, so that a record that vanishes later is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub position: u32,
    /// The lowest bits of the version that an operation at that position gets.
    pub version: u32,
}

/// Where the pages of a run are.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    parts: &'a [u8],
    lengths: &'a [u8],
}

impl<'a> Directory<'a> {
    /// Of each part: the offset of its first page, and how many pages it has.
    pub fn parts(&self) -> impl Iterator<Item = (u32, u16)> {
        self.parts.chunks_exact(6).filter_map(|part| {
            let mut bytes = Bytes(part);
            Some((bytes.u32()?, bytes.u16()?))
        })
    }

    /// The length of each page, in bytes.
    pub fn lengths(&self) -> impl Iterator<Item = u16> {
        self.lengths.as_chunks().0.iter().map(|length| u16::from_le_bytes(*length))
    }
}

/// Reads bytes from the front; `None` when there are not enough left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.chunk().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.chunk().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.chunk().map(i64::from_le_bytes)
    }

    pub fn seen(&mut self) -> Option<Seen> {
        Some(Seen { position: self.u32()?, version: self.u32()? })
    }

    pub fn name(&mut self) -> Option<ValueName> {
        let (depth, bits) = (self.u8()?, self.u64()?);
        Some(ValueName { node: Node::new(depth, bits)?, generation: self.u64()?, id: self.u64()? })
    }

    pub fn key(&mut self) -> Option<Key<'a>> {
        match self.u16()? {
            FAR_KEY => Some(Key::Far { digest: self.chunk()?, length: self.u32()?, file: self.name()? }),
            length => Some(Key::Whole(self.take(usize::from(length))?)),
        }
    }

    /// `blob` is the offset of the next blob, and is advanced.
    pub fn value(&mut self, blob: &mut u32) -> Option<Value<'a>> {
        let word = self.u32()?;
        let length = word & LENGTH_MASK;
        match word >> TAG_SHIFT {
            0 => Some(Value::Small(self.take(length as usize)?)),
            1 => {
                let at = *blob;
                *blob = at.checked_add(length)?;
                Some(Value::Blob { at, length, check: self.u64()? })
            }
            2 if length == 0 => {
                let size = self.u64()?;
                let check = match (self.u8()?, self.u64()?) {
                    (0, 0) => None,
                    (1, check) => Some(check),
                    _ => return None,
                };
                Some(Value::File(FileValue { name: self.name()?, size, check }))
            }
            3 => {
                let count = usize::from(self.u8()?);
                let pieces = Pieces(self.take(count.checked_mul(PIECE)?)?);
                let total = pieces.iter().try_fold(0u32, |sum, piece| sum.checked_add(piece.length))?;
                (total == length).then_some(Value::Pieces(pieces))
            }
            _ => None,
        }
    }

    /// When a value ends, where a record says so only of values that do.
    pub fn end(&mut self) -> Option<u64> {
        self.u64().filter(|end| *end != NEVER)
    }

    pub fn directory(&mut self) -> Option<Directory<'a>> {
        let count = usize::from(self.u16()?);
        let parts = self.take(count.checked_mul(6)?)?;
        let counted = Directory { parts, lengths: &[] };
        let pages = counted.parts().map(|(_, pages)| usize::from(pages)).try_fold(0, usize::checked_add)?;
        Some(Directory { parts, lengths: self.take(pages.checked_mul(2)?)? })
    }
}
