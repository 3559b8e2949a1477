//! Names of files. Keys and bucket names are never used unencoded.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The deepest node: its segments are only compacted, never split.
pub const MAX_DEPTH: u8 = 15;
/// Bits of a key's hash: see `Keys::place`.
const HASH_BITS: u32 = 63;
/// Bits of it that one level takes.
const LEVEL_BITS: u32 = 4;
/// Children of a node.
pub const CHILDREN: u64 = 1 << LEVEL_BITS;
/// The longest encoded bucket name that is used in full, in bytes; file systems allow 255.
const MAX_PLAIN: usize = 200;

/// The file that holds a bucket's random number.
pub const ANCHOR: &str = "anchor";

/// A part of the hash space: the hashes that begin with `4 × depth` given bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    depth: u8,
    bits: u64,
}

impl Node {
    pub const ROOT: Self = Self { depth: 0, bits: 0 };

    /// `None` unless `depth` and `bits` name a node.
    pub fn new(depth: u8, bits: u64) -> Option<Self> {
        (depth <= MAX_DEPTH && bits >> (LEVEL_BITS * u32::from(depth)) == 0).then_some(Self { depth, bits })
    }

    pub fn depth(self) -> u8 {
        self.depth
    }

    pub fn bits(self) -> u64 {
        self.bits
    }

    fn shift(self) -> u32 {
        HASH_BITS - LEVEL_BITS * u32::from(self.depth)
    }

    pub fn covers(self, hash: u64) -> bool {
        hash >> self.shift() == self.bits
    }

    /// Bits of a hash below those that name it.
    pub fn bits_below(self) -> u32 {
        self.shift()
    }

    /// The first hash it covers.
    pub fn first(self) -> u64 {
        self.bits << self.shift()
    }

    /// The last hash it covers.
    pub fn last(self) -> u64 {
        (self.bits << self.shift()) | ((1 << self.shift()) - 1)
    }

    /// The child that covers a hash; itself at [`MAX_DEPTH`].
    pub fn child(self, hash: u64) -> Self {
        if self.depth >= MAX_DEPTH {
            return self;
        }
        let child = Self { depth: self.depth + 1, bits: 0 };
        Self { bits: hash >> child.shift(), ..child }
    }

    /// The node that split into it and others; `None` for the root.
    pub fn parent(self) -> Option<Self> {
        Some(Self { depth: self.depth.checked_sub(1)?, bits: self.bits >> LEVEL_BITS })
    }

    /// All children, in order of the hashes they cover; none at [`MAX_DEPTH`].
    pub fn children(self) -> impl Iterator<Item = Self> {
        let count = if self.depth < MAX_DEPTH { CHILDREN } else { 0 };
        (0..count).map(move |n| Self { depth: self.depth + 1, bits: (self.bits << LEVEL_BITS) | n })
    }

    fn text(self) -> String {
        let mut out = String::new();
        for level in (0..u32::from(self.depth)).rev() {
            let digit = (self.bits >> (LEVEL_BITS * level)) & (CHILDREN - 1);
            let _ = write!(out, "{digit:x}");
        }
        out
    }

    #[cfg(test)]
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::ROOT);
        }
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() > usize::from(MAX_DEPTH) || !text.bytes().all(hex) {
            return None;
        }
        Self::new(text.len() as u8, u64::from_str_radix(text, 16).ok()?)
    }

    /// The file of one generation: `s`, the node's hexadecimal digits, `.`, the generation.
    pub fn segment(self, generation: u64) -> String {
        format!("s{}.{generation}", self.text())
    }

    /// The file that says which generation is live: `n` and the node's digits.
    pub fn log(self) -> String {
        format!("n{}", self.text())
    }

    /// The directory of the files that records of this node name: `v` and the node's digits.
    pub fn values(self) -> String {
        format!("v{}", self.text())
    }

    /// The node and generation that a file's name is the segment of.
    #[cfg(test)]
    pub fn parse_segment(name: &str) -> Option<(Self, u64)> {
        let (node, generation) = name.strip_prefix('s')?.split_once('.')?;
        Some((Self::parse(node)?, parse_number(generation)?))
    }
}

fn parse_number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

/// A file that holds one value or one key: which node's segment names it, in which generation, and a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueName {
    pub node: Node,
    pub generation: u64,
    pub id: u64,
}

impl ValueName {
    /// Its path inside the bucket's directory.
    pub fn path(self) -> String {
        format!("{}/{}", self.node.values(), self.file())
    }

    fn file(self) -> String {
        format!("{}.{:016x}", self.generation, self.id)
    }

    /// The inverse of the last part of [`path`](Self::path), in a given node's directory.
    pub fn parse(node: Node, file: &str) -> Option<Self> {
        let (generation, id) = file.split_once('.')?;
        let name = Self { node, generation: parse_number(generation)?, id: u64::from_str_radix(id, 16).ok()? };
        (name.file() == file).then_some(name)
    }
}

/// The directory of a bucket.
///
/// Lower-case letters, digits, `-` and `_` stay, every other byte becomes `%` and two hexadecimal digits: so no two
/// names meet on a file system that ignores case, and none has a meaning of its own to any system. A name that becomes
/// longer than 200 bytes is shortened to its first 100 and its SHA-256.
pub fn bucket_directory(name: &str) -> String {
    let mut out = String::from("b-");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02x}");
            }
        }
    }
    if out.len() <= MAX_PLAIN {
        return out;
    }
    let mut short: String = out.chars().skip(2).take(100).collect();
    short.insert_str(0, "h-");
    short.push('-');
    for byte in Sha256::digest(name.as_bytes()) {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_hash_has_one_child_and_its_name_reads_back() {
        for hash in [0, 1, (1 << 63) - 1, 0x7edc_ba98_7654_3210, 0x0123_4567_89ab_cdef] {
            let mut node = Node::ROOT;
            for depth in 0..=MAX_DEPTH {
                assert_eq!((node.depth(), node.covers(hash)), (depth, true));
                assert_eq!(Node::parse_segment(&node.segment(7)), Some((node, 7)));
                assert_eq!(node.children().filter(|child| child.covers(hash)).count(), usize::from(depth < MAX_DEPTH));
                assert_eq!(Node::new(node.depth(), node.bits()), Some(node));
                let value = ValueName { node, generation: 3, id: hash };
                let path = value.path();
                let (directory, file) = path.split_once('/').unwrap();
                assert_eq!((directory, ValueName::parse(node, file)), (node.values().as_str(), Some(value)));
                node = node.child(hash);
            }
            assert_eq!(node.child(hash), node);
        }
    }

    #[test]
    fn children_follow_each_other_without_a_gap() {
        let mut next = 0;
        for child in Node::ROOT.children() {
            assert!(child.covers(next) && child.covers(child.last()) && !child.covers(child.last() + 1));
            next = child.last() + 1;
        }
        assert_eq!(next, 1 << 63);
    }

    #[test]
    fn names_that_this_store_does_not_give_are_not_read_as_its_own() {
        for name in ["s.", "s.01", "s.+1", "sg.0", "sA.0", "s0123456789abcdef.0", "n.0", "", "s", "s.0.0", "anchor"] {
            assert_eq!(Node::parse_segment(name), None, "{name}");
        }
        for name in ["0.1", "0.000000000000000G", "00.0000000000000001", ".0000000000000001", "0.000000000000000A"] {
            assert_eq!(ValueName::parse(Node::ROOT, name), None, "{name}");
        }
    }

    #[test]
    fn hostile_bucket_names_become_safe_and_distinct_file_names() {
        let long = "x".repeat(10_000);
        let longer = "x".repeat(10_001);
        let names = [
            "default",
            "Default",
            "DEFAULT",
            "../../x",
            "..",
            ".",
            "/",
            "a/b",
            "a\\b",
            "a\0b",
            "con",
            "nul.txt",
            " ",
            "%2e",
            "b-default",
            "ÿ",
            "🦀",
            "a:b",
            "tail.",
            long.as_str(),
            longer.as_str(),
        ];
        let mut seen = HashSet::new();
        for name in names {
            let file = bucket_directory(name);
            assert!(file.len() <= 200 && (file.starts_with("b-") || file.starts_with("h-")), "{file}");
            assert!(file.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'%')), "{file}");
            assert!(seen.insert(file.to_lowercase()), "{name:?} meets another name");
        }
        assert_eq!(bucket_directory("Ab/c"), "b-%41b%2fc");
    }
}
