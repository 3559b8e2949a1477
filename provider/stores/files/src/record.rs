//! Records: what the head of a frame says. Pure.
//!
//! | record | bytes |
//! |---|---|
//! | write | `1`, id 8, seen, then operations to the end |
//! | pages | `2`, run 8, number of the first page 4, length of each page 2; the pages are the blobs |
//! | base | `3`, format 2, run 8, seen, id of the seal it follows 8, next version 8, keys 8, bytes 8, file bytes 8, directory |
//! | index | `4`, run 8, seen, offset of the base 4, bytes of the base 4, dead file bytes 8, dead files: count 2 and names, directory, a last page |
//! | blob | `5`, id 8, check 8; the value, or a piece of one, is the blob |
//! | seal | `6`, id 8, seen, plan 1 (`0` compact, `1` split) |
//!
//! | part | bytes |
//! |---|---|
//! | seen | position 4, version 4: the writer had read the file up to the position, and the next version there ends in these bits |
//! | directory | parts 2; of each: offset of its first page 4, pages 2; then the length of each page 2 |
//! | operation | `1` set: key, value · `2` delete: key · `3` increment: key, delta 8, floor 8 · `4` swap: key, expected version 8, value |
//! | key | length 2, bytes; or `65535`, digest 16, length 4, file name 25 |
//! | value | tag and length 4 (the two highest bits are the tag): `0` bytes; `1` check 8, the bytes are the next blob; `2` size 8, checked 1, check 8, file name 25; `3` pieces 1, of each: offset 4, length 4, check 8 |
//! | file name | depth of the node 1, its bits 8, generation 8, id 8 |
#![deny(clippy::arithmetic_side_effects)]

use crate::hash::Checks;
use crate::name::{Node, ValueName};
use crate::run;

/// The format that this code writes. It reads format 2 as well: see [`v2`](crate::v2).
pub const FORMAT: u16 = 3;
/// Longest key that is kept in records, in bytes.
pub const MAX_KEY: usize = 4096;
pub(crate) const FAR_KEY: u16 = u16::MAX;
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
    /// What keys are compared by, and what gives their place: the bytes, or the digest of a far key.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    Set {
        key: Key<'a>,
        value: Value<'a>,
    },
    Delete {
        key: Key<'a>,
    },
    Increment {
        key: Key<'a>,
        delta: i64,
        floor: i64,
    },
    /// `expected` is a version, 0 for absent.
    Swap {
        key: Key<'a>,
        expected: u64,
        value: Value<'a>,
    },
}

impl<'a> Op<'a> {
    pub fn key(&self) -> &Key<'a> {
        match self {
            Self::Set { key, .. } | Self::Delete { key } | Self::Increment { key, .. } | Self::Swap { key, .. } => key,
        }
    }
}

/// A key with its value in a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    pub version: u64,
    pub key: Key<'a>,
    pub value: Value<'a>,
}

/// What follows a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The next generation of the same node.
    Compact,
    /// The first generation of each child.
    Split,
}

/// The end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    pub id: u64,
    pub plan: Plan,
}

/// What the writer of a record had seen of the file when it wrote, so that a record that vanishes later is noticed.
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

/// The state that a segment begins with: its pages were appended before.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    pub run: u64,
    pub seen: Seen,
    /// The seal that it follows: a reader that comes from another seal ignores it. 0 in a bucket's first segment.
    pub follows: u64,
    /// The version that the first operation after it gets.
    pub next: u64,
    pub totals: Totals,
    pub directory: Directory<'a>,
}

/// Pages of a run.
struct Pages<'a> {
    run: u64,
    /// The number of the first page in the run.
    first: u32,
    lengths: &'a [u8],
}

impl Pages<'_> {
    /// The length of each page, in bytes.
    fn lengths(&self) -> impl Iterator<Item = u16> {
        self.lengths.as_chunks().0.iter().map(|length| u16::from_le_bytes(*length))
    }

    /// Whether all pages are as they were written.
    fn are_whole(&self, checks: &Checks, mut pages: &[u8]) -> bool {
        (self.first..).zip(self.lengths()).all(|(number, length)| {
            let Some((page, rest)) = pages.split_at_checked(usize::from(length)) else { return false };
            pages = rest;
            run::open(checks, self.run, number, page).is_some()
        })
    }
}

/// How much the pairs of a base take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub keys: u64,
    /// Of pairs and values in the segment.
    pub bytes: u64,
    /// Of values in files.
    pub file_bytes: u64,
}

/// What changed since the base, up to the position that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Index<'a> {
    pub run: u64,
    pub seen: Seen,
    /// The version that an operation at that position gets.
    pub next: u64,
    /// Where the frame of the base is, and how long it is.
    pub base: (u32, u32),
    pub dead_file_bytes: u64,
    dead: &'a [u8],
    pub directory: Directory<'a>,
    /// Entries that came while the pages were written.
    pub last: &'a [u8],
}

impl Index<'_> {
    /// The files of values and keys that were replaced since the base.
    pub fn dead(&self) -> impl Iterator<Item = ValueName> {
        self.dead.chunks_exact(25).filter_map(|name| Bytes(name).name())
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    Write {
        id: u64,
        seen: Seen,
        ops: Ops<'a>,
    },
    /// Pages of a run.
    Pages,
    Base(Base<'a>),
    /// A base of another format.
    Foreign(u16),
    Index(Index<'a>),
    /// A value, or a piece of one, that a later record names.
    Blob,
    Seal {
        seal: Seal,
        seen: Seen,
    },
}

/// Whether a head may be that of a base or an index.
pub fn is_root(head: Option<u8>) -> bool {
    matches!(head, Some(3 | 4))
}

/// Reads bytes from the front; `None` when they are used up.
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

    fn seen(&mut self) -> Option<Seen> {
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

    /// `blob` is the offset of the next blob, and is moved on.
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

    fn directory(&mut self) -> Option<Directory<'a>> {
        let count = usize::from(self.u16()?);
        let parts = self.take(count.checked_mul(6)?)?;
        let counted = Directory { parts, lengths: &[] };
        let pages = counted.parts().map(|(_, pages)| usize::from(pages)).try_fold(0, usize::checked_add)?;
        Some(Directory { parts, lengths: self.take(pages.checked_mul(2)?)? })
    }
}

/// The operations of a write, each `None` from the first that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Ops<'a> {
    bytes: Bytes<'a>,
    blob: u32,
}

impl<'a> Iterator for Ops<'a> {
    type Item = Option<Op<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.bytes.0.is_empty()).then(|| {
            let op = self.op();
            if op.is_none() {
                self.bytes.0 = &[];
            }
            op
        })
    }
}

impl<'a> Ops<'a> {
    fn op(&mut self) -> Option<Op<'a>> {
        let Self { bytes, blob } = self;
        match bytes.u8()? {
            1 => Some(Op::Set { key: bytes.key()?, value: bytes.value(blob)? }),
            2 => Some(Op::Delete { key: bytes.key()? }),
            3 => Some(Op::Increment { key: bytes.key()?, delta: bytes.i64()?, floor: bytes.i64()? }),
            4 => Some(Op::Swap { key: bytes.key()?, expected: bytes.u64()?, value: bytes.value(blob)? }),
            _ => None,
        }
    }
}

/// Reads the head of a frame and checks its blobs; `None` if anything in it is not as this format writes
/// it.
pub fn decode<'a>(checks: &Checks, head: &'a [u8], blobs: &[u8]) -> Option<Record<'a>> {
    let mut bytes = Bytes(head);
    match bytes.u8()? {
        1 => {
            let (id, seen) = (bytes.u64()?, bytes.seen()?);
            let ops = Ops { bytes, blob: 0 };
            let mut end = 0;
            for op in ops {
                if let Op::Set { value, .. } | Op::Swap { value, .. } = op? {
                    check(checks, value, blobs, &mut end)?;
                }
            }
            (end as usize == blobs.len()).then_some(Record::Write { id, seen, ops })
        }
        2 => {
            let pages = Pages { run: bytes.u64()?, first: bytes.u32()?, lengths: bytes.0 };
            let length = pages.lengths().map(usize::from).try_fold(0, usize::checked_add)?;
            // Checked here: otherwise what was appended behind a torn record could complete it.
            (length == blobs.len() && pages.are_whole(checks, blobs)).then_some(Record::Pages)
        }
        3 => {
            let format = bytes.u16()?;
            if format != FORMAT {
                return Some(Record::Foreign(format));
            }
            let (run, seen, follows, next) = (bytes.u64()?, bytes.seen()?, bytes.u64()?, bytes.u64()?);
            let totals = Totals { keys: bytes.u64()?, bytes: bytes.u64()?, file_bytes: bytes.u64()? };
            let directory = bytes.directory()?;
            let whole = bytes.0.is_empty() && blobs.is_empty() && next > 0;
            whole.then_some(Record::Base(Base { run, seen, follows, next, totals, directory }))
        }
        4 => {
            let (run, seen, next) = (bytes.u64()?, bytes.seen()?, bytes.u64()?);
            let (base, dead_file_bytes) = ((bytes.u32()?, bytes.u32()?), bytes.u64()?);
            let count = usize::from(bytes.u16()?);
            let dead = bytes.take(count.checked_mul(25)?)?;
            let directory = bytes.directory()?;
            let index = Index { run, seen, next, base, dead_file_bytes, dead, directory, last: bytes.0 };
            (blobs.is_empty() && next > 0).then_some(Record::Index(index))
        }
        5 => {
            let (_, check) = (bytes.u64()?, bytes.u64()?);
            (bytes.0.is_empty() && checks.sum(blobs) == check).then_some(Record::Blob)
        }
        6 => {
            let (id, seen) = (bytes.u64()?, bytes.seen()?);
            let plan = match bytes.u8()? {
                0 => Plan::Compact,
                1 => Plan::Split,
                _ => return None,
            };
            (bytes.0.is_empty() && blobs.is_empty()).then_some(Record::Seal { seal: Seal { id, plan }, seen })
        }
        _ => None,
    }
}

/// The operations of a write whose head is as it was written, whatever its blobs are, with what its writer had seen.
pub fn operations(head: &[u8]) -> Option<(Seen, Ops<'_>)> {
    let mut bytes = Bytes(head);
    let (1, _, seen) = (bytes.u8()?, bytes.u64()?, bytes.seen()?) else { return None };
    Some((seen, Ops { bytes, blob: 0 }))
}

/// Whether a head that is as it was written is that of pages or of a blob: damage to those changes no key by itself.
pub fn is_content(head: &[u8]) -> bool {
    matches!(head.first(), Some(2 | 5))
}

/// The run of some pages, the number of the first, and the length of each, from a head that is as it was written.
pub fn pages(head: &[u8]) -> Option<(u64, u32, impl Iterator<Item = u16> + use<'_>)> {
    let mut bytes = Bytes(head);
    let (2, run, first) = (bytes.u8()?, bytes.u64()?, bytes.u32()?) else { return None };
    Some((run, first, bytes.0.as_chunks().0.iter().map(|length| u16::from_le_bytes(*length))))
}

fn check(checks: &Checks, value: Value<'_>, blobs: &[u8], end: &mut u32) -> Option<()> {
    if let Value::Blob { at, length, check } = value {
        let blob = blobs.get(at as usize..)?.get(..length as usize)?;
        *end = at.checked_add(length)?;
        return (checks.sum(blob) == check).then_some(());
    }
    Some(())
}
