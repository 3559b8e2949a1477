//! Records: what the head of a frame says. Pure.
//!
//! | record | bytes |
//! |---|---|
//! | write | `1`, id 8, then operations to the end |
//! | base | `2`, format 2, writer 8, part 2, parts 2, next version 8, id of the seal it follows 8, then pairs to the end |
//! | seal | `3`, id 8, plan 1 (`0` compact, `1` split) |
//! | state of a node | `4`, generation 8, split 1, id of the seal that led there 8 (only in the node's log) |
//!
//! | part | bytes |
//! |---|---|
//! | operation | `1` set: key, value · `2` delete: key · `3` increment: key, delta 8, floor 8 · `4` swap: key, expected version 8, value |
//! | pair | version 8, key, value |
//! | key | length 2, bytes; or `65535`, digest 16, length 4, file name 25 |
//! | value | tag and length 4 (the two highest bits are the tag): `0` bytes; `1` checksum 8, the bytes are in the blobs; `2` size 8, checked 1, checksum 8, file name 25 |
//! | file name | depth of the node 1, its bits 8, generation 8, id 8 |

use crate::hash::Checks;
use crate::part;
use crate::record::{Bytes, FileValue, Key, Plan, Seal};

/// The format that this module reads.
pub const FORMAT: u16 = 2;

/// A value as a record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Small(&'a [u8]),
    /// `at` is the offset in the blobs.
    Blob {
        at: u32,
        length: u32,
        check: u64,
    },
    File(FileValue),
}

impl<'a> Op<'a> {
    pub fn key(&self) -> &Key<'a> {
        match self {
            Self::Set { key, .. } | Self::Delete { key } | Self::Increment { key, .. } | Self::Swap { key, .. } => key,
        }
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    pub version: u64,
    pub key: Key<'a>,
    pub value: Value<'a>,
}

/// The state of a node. Ordered: it only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeState {
    pub split: bool,
    pub generation: u64,
    /// The seal that led there: of the generation before, or of this one if the node has split. 0 in a node's first
    /// generation, whose seal is its parent's.
    pub seal: u64,
}

impl NodeState {
    /// Whether a generation of the node is over and what follows it complete.
    pub fn is_past(&self, generation: u64) -> bool {
        self.split || self.generation > generation
    }
}

#[derive(Clone, Debug)]
pub enum Record<'a> {
    Write(Ops<'a>),
    Base(Base<'a>),
    Seal(Seal),
    State(NodeState),
}

/// The state that a segment begins with, or a part of it.
#[derive(Clone, Debug)]
pub struct Base<'a> {
    pub format: u16,
    pub writer: u64,
    pub part: u16,
    pub parts: u16,
    /// The version that the first operation after it gets.
    pub next: u64,
    /// The seal that it follows: a reader that comes from another seal ignores it. 0 in a bucket's first segment.
    pub follows: u64,
    pub pairs: Pairs<'a>,
}

/// A value as format 3 has it, but never in pieces. `blob` is the offset of the next blob, and is moved on.
fn value<'a>(bytes: &mut Bytes<'a>, blob: &mut u32) -> Option<Value<'a>> {
    match bytes.value(blob)? {
        part::Value::Small(bytes) => Some(Value::Small(bytes)),
        part::Value::Blob { at, length, check } => Some(Value::Blob { at, length, check }),
        part::Value::File(file) => Some(Value::File(file)),
        part::Value::Pieces(_) => None,
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
            1 => Some(Op::Set { key: bytes.key()?, value: value(bytes, blob)? }),
            2 => Some(Op::Delete { key: bytes.key()? }),
            3 => Some(Op::Increment { key: bytes.key()?, delta: bytes.i64()?, floor: bytes.i64()? }),
            4 => Some(Op::Swap { key: bytes.key()?, expected: bytes.u64()?, value: value(bytes, blob)? }),
            _ => None,
        }
    }
}

/// The pairs of a base, each `None` from the first that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    bytes: Bytes<'a>,
    blob: u32,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Option<Pair<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.bytes.0.is_empty()).then(|| {
            let pair = self.pair();
            if pair.is_none() {
                self.bytes.0 = &[];
            }
            pair
        })
    }
}

impl<'a> Pairs<'a> {
    fn pair(&mut self) -> Option<Pair<'a>> {
        let Self { bytes, blob } = self;
        Some(Pair { version: bytes.u64()?, key: bytes.key()?, value: value(bytes, blob)? })
    }
}

/// Reads the head of a frame and checks its blobs; `None` if anything in it does not conform to this format. A base of
/// another format is returned without reading its pairs.
pub fn decode<'a>(checks: &Checks, head: &'a [u8], blobs: &[u8]) -> Option<Record<'a>> {
    let mut bytes = Bytes(head);
    match bytes.u8()? {
        1 => {
            bytes.u64()?;
            let ops = Ops { bytes, blob: 0 };
            let mut end = 0;
            for op in ops {
                if let Op::Set { value, .. } | Op::Swap { value, .. } = op? {
                    check(checks, value, blobs, &mut end)?;
                }
            }
            (end as usize == blobs.len()).then_some(Record::Write(ops))
        }
        2 => {
            let format = bytes.u16()?;
            let (writer, part, parts, next) = (bytes.u64()?, bytes.u16()?, bytes.u16()?, bytes.u64()?);
            // Another format may have nothing at this place.
            let follows = if format == FORMAT { bytes.u64()? } else { 0 };
            let pairs = Pairs { bytes, blob: 0 };
            if format == FORMAT {
                let mut end = 0;
                for pair in pairs {
                    check(checks, pair?.value, blobs, &mut end)?;
                }
                if end as usize != blobs.len() || part >= parts || next == 0 {
                    return None;
                }
            }
            Some(Record::Base(Base { format, writer, part, parts, next, follows, pairs }))
        }
        3 => {
            let id = bytes.u64()?;
            let plan = match bytes.u8()? {
                0 => Plan::Compact,
                1 => Plan::Split,
                _ => return None,
            };
            (bytes.0.is_empty() && blobs.is_empty()).then_some(Record::Seal(Seal { id, plan, time: 0 }))
        }
        4 => {
            let (generation, split, seal) = (bytes.u64()?, bytes.u8()?, bytes.u64()?);
            let whole = bytes.0.is_empty() && blobs.is_empty() && split <= 1;
            whole.then_some(Record::State(NodeState { split: split == 1, generation, seal }))
        }
        _ => None,
    }
}

fn check(checks: &Checks, value: Value<'_>, blobs: &[u8], end: &mut u32) -> Option<()> {
    if let Value::Blob { at, length, check } = value {
        let blob = blobs.get(at as usize..)?.get(..length as usize)?;
        *end = at.checked_add(length)?;
        return (checks.sum(blob) == check).then_some(());
    }
    Some(())
}
