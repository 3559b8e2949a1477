//! How far a watch has come, and its text form.
//!
//! | bytes | |
//! |---|---|
//! | 1 | 1, the version of this format |
//! | for each part of the key space, in order | node: depth 1, bits; generation; next version; end of the id of the record before 4. Numbers without a length take 7 bits a byte, the lowest first, with the highest bit set in all but the last |
//! | 8 | the beginning of the bucket's digest of all before |
//!
//! written in hexadecimal. A bucket that was never written to has no digest: its position is `new`.
#![deny(clippy::arithmetic_side_effects)]

use crate::hash::Keys;
use crate::name::Node;
use kvfuse_core::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The position in a bucket that was never written to.
pub const NEW: &str = "new";

/// How far a watch has come in a part of the key space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub node: Node,
    pub generation: u64,
    /// The version of the first change that was not taken. With 0, nothing was taken yet.
    pub version: u64,
    /// The end of the id of the record before; 0 if it is not known.
    pub id: u32,
}

impl Mark {
    /// The mark of a part of which nothing was taken yet.
    pub fn nothing(node: Node) -> Self {
        Self { node, generation: 0, version: 0, id: 0 }
    }
}

/// Marks by the first place of their nodes. The nodes cover all places, each once.
pub type Marks = BTreeMap<u64, Mark>;

pub fn encode(keys: &Keys, marks: &Marks) -> String {
    let mut bytes = vec![1];
    for mark in marks.values() {
        bytes.push(mark.node.depth());
        for number in [mark.node.bits(), mark.generation, mark.version] {
            put(&mut bytes, number);
        }
        bytes.extend_from_slice(&mark.id.to_le_bytes());
    }
    bytes.extend_from_slice(&seal(keys, &bytes));
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub fn decode(keys: &Keys, text: &str) -> Result<Marks> {
    parse(keys, text).ok_or_else(foreign)
}

pub fn foreign() -> Error {
    Error::invalid("this position is not from a watch of this bucket; watch from now on, or from the beginning")
}

fn parse(keys: &Keys, text: &str) -> Option<Marks> {
    let digits = text.as_bytes().chunks(2);
    let bytes: Vec<u8> = digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok().filter(|two| two.len() == 2)?, 16).ok())
        .collect::<Option<_>>()?;
    let (bytes, sealed) = bytes.split_last_chunk::<8>()?;
    if seal(keys, bytes) != *sealed {
        return None;
    }
    let (1, mut rest) = (*bytes.first()?, bytes.get(1..)?) else { return None };
    let mut marks = Marks::new();
    let mut next = 0u64;
    while let Some((depth, after)) = rest.split_first() {
        rest = after;
        let node = Node::new(*depth, take(&mut rest)?)?;
        let (generation, version) = (take(&mut rest)?, take(&mut rest)?);
        let (id, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        if node.first() != next {
            return None;
        }
        next = node.last().checked_add(1)?;
        marks.insert(node.first(), Mark { node, generation, version, id: u32::from_le_bytes(*id) });
    }
    (next == Node::ROOT.last().checked_add(1)?).then_some(marks)
}

fn seal(keys: &Keys, bytes: &[u8]) -> [u8; 8] {
    keys.digest(&[b"watch", bytes].concat()).first_chunk().copied().unwrap_or_default()
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_was_and_is_of_one_bucket_only() {
        let (keys, others) = (Keys::new(&[1; 16]), Keys::new(&[2; 16]));
        let mut marks = Marks::new();
        for (number, node) in (1u64..).zip(Node::ROOT.children()) {
            let mark = Mark { node, generation: number, version: number << 40, id: u32::MAX };
            marks.insert(node.first(), mark);
        }
        let text = encode(&keys, &marks);
        assert_eq!(decode(&keys, &text), Ok(marks.clone()));
        assert!(decode(&others, &text).is_err());
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert!(decode(&keys, std::str::from_utf8(&changed).unwrap()).is_err(), "{at}");
            assert!(decode(&keys, text.get(..at).unwrap()).is_err(), "{at}");
        }
        // A position that leaves out a part of the key space is invalid, even with a correct seal.
        marks.pop_last();
        assert!(decode(&keys, &encode(&keys, &marks)).is_err());
        for text in ["", "new", "ä", "0"] {
            assert!(decode(&keys, text).is_err(), "{text}");
        }
    }
}
