//! Records: what the head of a frame says. Pure.
//!
//! | record | bytes |
//! |---|---|
//! | write | `1`, id 8, seen, then operations to the end |
//! | pages | `2`, run 8, number of the first page 4, length of each page 2; the pages are the blobs |
//! | base | `3`, format 2 (3, or 4 if values in the segment may have lifetimes), run 8, seen, id of the seal it follows 8, next version 8, keys 8, bytes 8, file bytes 8, directory |
//! | index | `4`, run 8, seen, offset of the base 4, bytes of the base 4, dead file bytes 8, dead files: count 2 and names, directory, a last page |
//! | blob | `5`, id 8, check 8; the value, or a piece of one, is the blob |
//! | seal | `6`, id 8, seen, plan 1 (`0` compact, `1` split), or 2 more than that and a time 8 |
//!
//! | part of a write | bytes |
//! |---|---|
//! | operation | `1` set: key, value · `2` delete: key · `3` increment: key, delta 8, floor 8 · `4` swap: key, expected version 8, value · `5` set with a lifetime: key, end 8, value · `6` end: key, version 8 · `7` swap with a lifetime: key, expected version 8, end 8, value |
//!
//! What these are made of is in [`part`](crate::part).
#![deny(clippy::arithmetic_side_effects)]

use crate::hash::Checks;
use crate::name::ValueName;
use crate::run;

pub(crate) use crate::part::{Bytes, FAR_KEY, TAG_SHIFT};
pub use crate::part::{Directory, FileValue, Key, NEVER, Piece, Seen, Value};

/// The format that this code writes. It reads format 2 as well: see [`v2`](crate::v2).
pub const FORMAT: u16 = 3;
/// The format of a segment whose values may have lifetimes, and of an anchor that says that there are such segments.
/// Everything else is as in [`FORMAT`].
pub const LIFETIMES: u16 = 4;
/// Versions are below this; in pairs, it says that an end follows.
pub const ENDS: u64 = 1 << 63;
/// Longest key that is kept in records, in bytes.
pub const MAX_KEY: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    Set {
        key: Key<'a>,
        value: Value<'a>,
        /// When it ends, in milliseconds since 1970, or [`NEVER`].
        end: u64,
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
        /// As of a set.
        end: u64,
    },
    /// Deletes a key if it still has this version: its time was over.
    End {
        key: Key<'a>,
        version: u64,
    },
}

impl<'a> Op<'a> {
    pub fn key(&self) -> &Key<'a> {
        match self {
            Self::Set { key, .. }
            | Self::Delete { key }
            | Self::Increment { key, .. }
            | Self::Swap { key, .. }
            | Self::End { key, .. } => key,
        }
    }
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
    /// In milliseconds since 1970: what had ended by then is not in what follows. Values there may have lifetimes, unless
    /// this is 0.
    pub time: u64,
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
    /// Whether values in the segment may have lifetimes.
    pub lifetimes: bool,
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

/// The size of the pairs of a base.
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
    /// The offset and length of the frame of the base.
    pub base: (u32, u32),
    pub dead_file_bytes: u64,
    dead: &'a [u8],
    pub directory: Directory<'a>,
    /// Entries that arrived while the pages were written.
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
            1 => Some(Op::Set { key: bytes.key()?, value: bytes.value(blob)?, end: NEVER }),
            2 => Some(Op::Delete { key: bytes.key()? }),
            3 => Some(Op::Increment { key: bytes.key()?, delta: bytes.i64()?, floor: bytes.i64()? }),
            4 => {
                let (key, expected) = (bytes.key()?, bytes.u64()?);
                Some(Op::Swap { key, expected, value: bytes.value(blob)?, end: NEVER })
            }
            5 => {
                let (key, end) = (bytes.key()?, bytes.end()?);
                Some(Op::Set { key, value: bytes.value(blob)?, end })
            }
            6 => Some(Op::End { key: bytes.key()?, version: bytes.u64()? }),
            7 => {
                let (key, expected, end) = (bytes.key()?, bytes.u64()?, bytes.end()?);
                Some(Op::Swap { key, expected, value: bytes.value(blob)?, end })
            }
            _ => None,
        }
    }
}

/// Reads the head of a frame and checks its blobs; `None` if anything in it does not conform to this format.
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
            // Checked here: otherwise what was appended after a torn record could complete it.
            (length == blobs.len() && pages.are_whole(checks, blobs)).then_some(Record::Pages)
        }
        3 => {
            let format = bytes.u16()?;
            if format != FORMAT && format != LIFETIMES {
                return Some(Record::Foreign(format));
            }
            let (run, seen, follows, next) = (bytes.u64()?, bytes.seen()?, bytes.u64()?, bytes.u64()?);
            let totals = Totals { keys: bytes.u64()?, bytes: bytes.u64()?, file_bytes: bytes.u64()? };
            let directory = bytes.directory()?;
            let whole = bytes.0.is_empty() && blobs.is_empty() && next > 0 && next < ENDS;
            let lifetimes = format == LIFETIMES;
            whole.then_some(Record::Base(Base { run, seen, follows, next, totals, lifetimes, directory }))
        }
        4 => {
            let (run, seen, next) = (bytes.u64()?, bytes.seen()?, bytes.u64()?);
            let (base, dead_file_bytes) = ((bytes.u32()?, bytes.u32()?), bytes.u64()?);
            let count = usize::from(bytes.u16()?);
            let dead = bytes.take(count.checked_mul(25)?)?;
            let directory = bytes.directory()?;
            let index = Index { run, seen, next, base, dead_file_bytes, dead, directory, last: bytes.0 };
            (blobs.is_empty() && next > 0 && next < ENDS).then_some(Record::Index(index))
        }
        5 => {
            let (_, check) = (bytes.u64()?, bytes.u64()?);
            (bytes.0.is_empty() && checks.sum(blobs) == check).then_some(Record::Blob)
        }
        6 => {
            let (id, seen) = (bytes.u64()?, bytes.seen()?);
            let (plan, time) = match bytes.u8()? {
                0 => (Plan::Compact, 0),
                1 => (Plan::Split, 0),
                2 => (Plan::Compact, bytes.end()?),
                3 => (Plan::Split, bytes.end()?),
                _ => return None,
            };
            (bytes.0.is_empty() && blobs.is_empty()).then_some(Record::Seal { seal: Seal { id, plan, time }, seen })
        }
        _ => None,
    }
}

/// The operations of a write whose head is undamaged, whatever its blobs are, with what its writer had seen.
pub fn operations(head: &[u8]) -> Option<(Seen, Ops<'_>)> {
    let mut bytes = Bytes(head);
    let (1, _, seen) = (bytes.u8()?, bytes.u64()?, bytes.seen()?) else { return None };
    Some((seen, Ops { bytes, blob: 0 }))
}

/// Whether an undamaged head is that of pages or of a blob: damage to those alone changes no key.
pub fn is_content(head: &[u8]) -> bool {
    matches!(head.first(), Some(2 | 5))
}

/// The run of some pages, the number of the first, and the length of each, from an undamaged head.
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
