//! Writing records: the inverse of [`record`](crate::record), which has the layout. Pure.

use crate::frame::{self, HEADER, OVERHEAD};
use crate::hash::Checks;
use crate::name::ValueName;
use crate::nodelog::NodeState;
use crate::record::{FAR_KEY, FORMAT, FileValue, Key, Op, Plan, TAG_SHIFT, Value};

/// Builds a frame: the head in place behind its header, the blobs by reference until the end.
pub struct Encoder<'a> {
    checks: &'a Checks,
    /// The frame as far as it is there: the room of the header, and the head.
    frame: Vec<u8>,
    blobs: Vec<&'a [u8]>,
    blob_bytes: u32,
    /// Bytes of the longest value that goes into the head.
    small: usize,
}

impl<'a> Encoder<'a> {
    /// `room` is the bytes that the record will take, about.
    fn new(checks: &'a Checks, small: usize, room: usize) -> Self {
        let mut frame = Vec::with_capacity(OVERHEAD + room);
        frame.extend_from_slice(&[0; HEADER]);
        Self { checks, frame, blobs: Vec::new(), blob_bytes: 0, small }
    }

    /// A write without operations yet.
    pub fn write(checks: &'a Checks, id: u64, small: usize, room: usize) -> Self {
        let mut out = Self::new(checks, small, 9 + room);
        out.frame.push(1);
        out.u64(id);
        out
    }

    /// A base, or part of one, without pairs yet.
    pub fn base(checks: &'a Checks, base: &Part, small: usize, room: usize) -> Self {
        let mut out = Self::new(checks, small, 31 + room);
        out.frame.push(2);
        out.frame.extend_from_slice(&FORMAT.to_le_bytes());
        out.u64(base.writer);
        out.frame.extend_from_slice(&base.part.to_le_bytes());
        out.frame.extend_from_slice(&base.parts.to_le_bytes());
        out.u64(base.next);
        out.u64(base.follows);
        out
    }

    /// The frame of a seal.
    pub fn seal(checks: &Checks, id: u64, plan: Plan) -> Vec<u8> {
        let mut out = Encoder::new(checks, 0, 10);
        out.frame.push(3);
        out.u64(id);
        out.frame.push(u8::from(plan == Plan::Split));
        out.finish().0
    }

    /// The frame of a node's state.
    pub fn state(checks: &Checks, state: NodeState) -> Vec<u8> {
        let mut out = Encoder::new(checks, 0, 18);
        out.frame.push(4);
        out.u64(state.generation);
        out.frame.push(u8::from(state.split));
        out.u64(state.seal);
        out.finish().0
    }

    /// The frame, and where in it the blobs begin.
    pub fn finish(self) -> (Vec<u8>, usize) {
        let Self { checks, mut frame, blobs, blob_bytes, .. } = self;
        frame::close(checks, &mut frame, blob_bytes);
        let head = frame.len();
        frame.reserve_exact(blob_bytes as usize + 1);
        blobs.iter().for_each(|blob| frame.extend_from_slice(blob));
        frame.push(checks.end());
        (frame, head)
    }

    fn u64(&mut self, n: u64) {
        self.frame.extend_from_slice(&n.to_le_bytes());
    }

    fn name(&mut self, name: ValueName) {
        self.frame.push(name.node.depth());
        self.u64(name.node.bits());
        self.u64(name.generation);
        self.u64(name.id);
    }

    fn key(&mut self, key: Key<'_>) {
        match key {
            Key::Whole(bytes) => {
                self.frame.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
                self.frame.extend_from_slice(bytes);
            }
            Key::Far { digest, length, file } => {
                self.frame.extend_from_slice(&FAR_KEY.to_le_bytes());
                self.frame.extend_from_slice(&digest);
                self.frame.extend_from_slice(&length.to_le_bytes());
                self.name(file);
            }
        }
    }

    fn bytes(&mut self, bytes: &'a [u8]) -> Value<'a> {
        let length = bytes.len() as u32;
        if bytes.len() <= self.small {
            self.frame.extend_from_slice(&length.to_le_bytes());
            self.frame.extend_from_slice(bytes);
            return Value::Small(bytes);
        }
        let check = self.checks.sum(bytes);
        self.frame.extend_from_slice(&(length | 1 << TAG_SHIFT).to_le_bytes());
        self.u64(check);
        self.blobs.push(bytes);
        let at = self.blob_bytes;
        self.blob_bytes += length;
        Value::Blob { at, length, check }
    }

    fn file(&mut self, value: FileValue) -> Value<'a> {
        self.frame.extend_from_slice(&(2u32 << TAG_SHIFT).to_le_bytes());
        self.u64(value.size);
        self.frame.push(u8::from(value.check.is_some()));
        self.u64(value.check.unwrap_or(0));
        self.name(value.name);
        Value::File(value)
    }

    fn content(&mut self, content: Content<'a>) -> Value<'a> {
        match content {
            Content::Bytes(bytes) => self.bytes(bytes),
            Content::File(file) => self.file(file),
        }
    }

    // Each gives the operation as a reader of the frame decodes it.

    pub fn set(&mut self, key: Key<'a>, value: Content<'a>) -> Op<'a> {
        self.frame.push(1);
        self.key(key);
        Op::Set { key, value: self.content(value) }
    }

    pub fn delete(&mut self, key: Key<'a>) -> Op<'a> {
        self.frame.push(2);
        self.key(key);
        Op::Delete { key }
    }

    pub fn increment(&mut self, key: Key<'a>, delta: i64, floor: i64) -> Op<'a> {
        self.frame.push(3);
        self.key(key);
        self.frame.extend_from_slice(&delta.to_le_bytes());
        self.frame.extend_from_slice(&floor.to_le_bytes());
        Op::Increment { key, delta, floor }
    }

    pub fn swap(&mut self, key: Key<'a>, expected: u64, value: Content<'a>) -> Op<'a> {
        self.frame.push(4);
        self.key(key);
        self.u64(expected);
        Op::Swap { key, expected, value: self.content(value) }
    }

    pub fn pair(&mut self, version: u64, key: Key<'_>, content: Content<'a>) {
        self.u64(version);
        self.key(key);
        self.content(content);
    }
}

/// What a part of a base says before its pairs.
pub struct Part {
    pub writer: u64,
    pub part: u16,
    pub parts: u16,
    pub next: u64,
    pub follows: u64,
}

/// A value to be written: bytes that fit a frame, or a file that has it.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Bytes(&'a [u8]),
    File(FileValue),
}
