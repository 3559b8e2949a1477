//! Writing records: the inverse of [`record`](crate::record), which has the layout. Pure.

use crate::hash::Checks;
use crate::name::ValueName;
use crate::record::{FAR_KEY, FORMAT, FileValue, Key, Plan, TAG_SHIFT};

/// Builds a frame's head and blobs.
#[derive(Default)]
pub struct Encoder {
    pub head: Vec<u8>,
    pub blobs: Vec<u8>,
    /// Bytes of the longest value that goes into the head.
    small: usize,
}

impl Encoder {
    /// A write without operations yet.
    pub fn write(id: u64, small: usize) -> Self {
        let mut out = Self { small, ..Self::default() };
        out.head.push(1);
        out.u64(id);
        out
    }

    /// A base, or part of one, without pairs yet.
    pub fn base(writer: u64, part: u16, parts: u16, next: u64, small: usize) -> Self {
        let mut out = Self { small, ..Self::default() };
        out.head.push(2);
        out.head.extend_from_slice(&FORMAT.to_le_bytes());
        out.u64(writer);
        out.head.extend_from_slice(&part.to_le_bytes());
        out.head.extend_from_slice(&parts.to_le_bytes());
        out.u64(next);
        out
    }

    pub fn seal(id: u64, plan: Plan) -> Self {
        let mut out = Self::default();
        out.head.push(3);
        out.u64(id);
        out.head.push(u8::from(plan == Plan::Split));
        out
    }

    pub fn state(generation: u64, split: bool) -> Self {
        let mut out = Self::default();
        out.head.push(4);
        out.u64(generation);
        out.head.push(u8::from(split));
        out
    }

    /// Bytes so far, without the frame's header.
    pub fn size(&self) -> usize {
        self.head.len() + self.blobs.len()
    }

    fn u64(&mut self, n: u64) {
        self.head.extend_from_slice(&n.to_le_bytes());
    }

    fn name(&mut self, name: ValueName) {
        self.head.push(name.node.depth());
        self.u64(name.node.bits());
        self.u64(name.generation);
        self.u64(name.id);
    }

    fn key(&mut self, key: Key<'_>) {
        match key {
            Key::Whole(bytes) => {
                self.head.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
                self.head.extend_from_slice(bytes);
            }
            Key::Far { digest, length, file } => {
                self.head.extend_from_slice(&FAR_KEY.to_le_bytes());
                self.head.extend_from_slice(&digest);
                self.head.extend_from_slice(&length.to_le_bytes());
                self.name(file);
            }
        }
    }

    fn bytes(&mut self, checks: &Checks, bytes: &[u8]) {
        let length = bytes.len() as u32;
        if bytes.len() <= self.small {
            self.head.extend_from_slice(&length.to_le_bytes());
            self.head.extend_from_slice(bytes);
        } else {
            self.head.extend_from_slice(&(length | 1 << TAG_SHIFT).to_le_bytes());
            self.u64(checks.sum(bytes));
            self.blobs.extend_from_slice(bytes);
        }
    }

    fn file(&mut self, value: FileValue) {
        self.head.extend_from_slice(&(2u32 << TAG_SHIFT).to_le_bytes());
        self.u64(value.size);
        self.head.push(u8::from(value.check.is_some()));
        self.u64(value.check.unwrap_or(0));
        self.name(value.name);
    }

    fn content(&mut self, checks: &Checks, content: Content<'_>) {
        match content {
            Content::Bytes(bytes) => self.bytes(checks, bytes),
            Content::File(file) => self.file(file),
        }
    }

    pub fn set(&mut self, checks: &Checks, key: Key<'_>, value: Content<'_>) {
        self.head.push(1);
        self.key(key);
        self.content(checks, value);
    }

    pub fn delete(&mut self, key: Key<'_>) {
        self.head.push(2);
        self.key(key);
    }

    pub fn increment(&mut self, key: Key<'_>, delta: i64, floor: i64) {
        self.head.push(3);
        self.key(key);
        self.head.extend_from_slice(&delta.to_le_bytes());
        self.head.extend_from_slice(&floor.to_le_bytes());
    }

    pub fn swap(&mut self, checks: &Checks, key: Key<'_>, expected: u64, value: Content<'_>) {
        self.head.push(4);
        self.key(key);
        self.u64(expected);
        self.content(checks, value);
    }

    pub fn pair(&mut self, checks: &Checks, version: u64, key: Key<'_>, value: Content<'_>) {
        self.u64(version);
        self.key(key);
        self.content(checks, value);
    }
}

/// A value to be written: bytes that fit a frame, or a file that has it.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Bytes(&'a [u8]),
    File(FileValue),
}
