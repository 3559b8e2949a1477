//! Writing records: the inverse of [`record`](crate::record), which has the layout. Pure.

use crate::frame::{self, HEADER, OVERHEAD};
use crate::hash::Checks;
use crate::name::ValueName;
use crate::record::{
    ENDS, FAR_KEY, FORMAT, FileValue, Key, LIFETIMES, NEVER, Op, Piece, Plan, Seal, Seen, TAG_SHIFT, Totals, Value,
};

/// Builds a frame: the head in place after its header, the blobs by reference until the end.
pub struct Encoder<'a> {
    checks: &'a Checks,
    /// The frame so far: room for the header, and the head.
    frame: Vec<u8>,
    blobs: Vec<&'a [u8]>,
    blob_bytes: u32,
    /// Bytes of the longest value that goes into the head.
    small: usize,
}

impl<'a> Encoder<'a> {
    /// `room` is approximately how many bytes the head will take.
    fn new(checks: &'a Checks, kind: u8, small: usize, room: usize) -> Self {
        let mut frame = Vec::with_capacity(OVERHEAD + room);
        frame.extend_from_slice(&[0; HEADER]);
        frame.push(kind);
        Self { checks, frame, blobs: Vec::new(), blob_bytes: 0, small }
    }

    /// A write that has no operations yet. `room` is approximately how many bytes they will take.
    pub fn write(checks: &'a Checks, id: u64, seen: Seen, small: usize, room: usize) -> Self {
        let mut out = Self::new(checks, 1, small, 17 + room);
        out.u64(id);
        out.seen(seen);
        out
    }

    /// The frame of some pages of a run, and where in it they begin.
    pub fn pages(checks: &'a Checks, run: u64, first: u32, lengths: &[u16], pages: &'a [u8]) -> (Vec<u8>, usize) {
        let mut out = Self::new(checks, 2, 0, 13 + lengths.len() * 2);
        out.u64(run);
        out.frame.extend_from_slice(&first.to_le_bytes());
        lengths.iter().for_each(|length| out.frame.extend_from_slice(&length.to_le_bytes()));
        out.blob(pages);
        out.finish()
    }

    /// The frame of a base whose pages were appended. `about` says how large it is, and whether values in the
    /// segment may have lifetimes.
    pub fn base(checks: &Checks, run: &RunAt<'_>, follows: u64, next: u64, about: (Totals, bool)) -> Vec<u8> {
        let mut out = Encoder::new(checks, 3, 0, 64 + run.room());
        let (totals, lifetimes) = about;
        let format = if lifetimes { LIFETIMES } else { FORMAT };
        out.frame.extend_from_slice(&format.to_le_bytes());
        out.u64(run.id);
        out.seen(run.seen);
        [follows, next, totals.keys, totals.bytes, totals.file_bytes].iter().for_each(|n| out.u64(*n));
        out.directory(run);
        out.finish().0
    }

    /// The frame of an index whose pages were appended.
    pub fn index(
        checks: &Checks,
        run: &RunAt<'_>,
        next: u64,
        base: (u32, u32),
        dead: (&[ValueName], u64),
        last: &[u8],
    ) -> Vec<u8> {
        let mut out = Encoder::new(checks, 4, 0, 64 + run.room() + last.len());
        out.u64(run.id);
        out.seen(run.seen);
        out.u64(next);
        out.frame.extend_from_slice(&base.0.to_le_bytes());
        out.frame.extend_from_slice(&base.1.to_le_bytes());
        out.u64(dead.1);
        out.frame.extend_from_slice(&(dead.0.len() as u16).to_le_bytes());
        dead.0.iter().for_each(|name| out.name(*name));
        out.directory(run);
        out.frame.extend_from_slice(last);
        out.finish().0
    }

    /// The frame of a value, or of a piece of one, and where in it the bytes begin.
    pub fn piece(checks: &'a Checks, id: u64, bytes: &'a [u8]) -> (Vec<u8>, usize) {
        let mut out = Self::new(checks, 5, 0, 17);
        out.u64(id);
        out.u64(checks.sum(bytes));
        out.blob(bytes);
        out.finish()
    }

    /// The frame of a seal.
    pub fn seal(checks: &Checks, seen: Seen, seal: Seal) -> Vec<u8> {
        let mut out = Encoder::new(checks, 6, 0, 26);
        out.u64(seal.id);
        out.seen(seen);
        let plan = u8::from(seal.plan == Plan::Split);
        if seal.time == 0 {
            out.frame.push(plan);
        } else {
            out.frame.push(plan + 2);
            out.u64(seal.time);
        }
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

    fn blob(&mut self, bytes: &'a [u8]) -> u32 {
        let at = self.blob_bytes;
        self.blobs.push(bytes);
        self.blob_bytes += bytes.len() as u32;
        at
    }

    fn seen(&mut self, seen: Seen) {
        self.frame.extend_from_slice(&seen.position.to_le_bytes());
        self.frame.extend_from_slice(&seen.version.to_le_bytes());
    }

    fn directory(&mut self, run: &RunAt<'_>) {
        self.frame.extend_from_slice(&(run.parts.len() as u16).to_le_bytes());
        for (at, pages) in run.parts {
            self.frame.extend_from_slice(&at.to_le_bytes());
            self.frame.extend_from_slice(&pages.to_le_bytes());
        }
        run.lengths.iter().for_each(|length| self.frame.extend_from_slice(&length.to_le_bytes()));
    }

    fn u64(&mut self, n: u64) {
        put_u64(&mut self.frame, n);
    }

    fn name(&mut self, name: ValueName) {
        put_name(&mut self.frame, name);
    }

    fn content(&mut self, content: Content<'a>) -> Value<'a> {
        if let Content::Bytes(bytes) = content
            && bytes.len() > self.small
        {
            let (length, check) = (bytes.len() as u32, self.checks.sum(bytes));
            self.frame.extend_from_slice(&(length | 1 << TAG_SHIFT).to_le_bytes());
            self.u64(check);
            let at = self.blob(bytes);
            return Value::Blob { at, length, check };
        }
        put_content(&mut self.frame, content)
    }

    // Each gives the operation as a reader of the frame decodes it, except that pieces are left out: a value in pieces
    // is never compared with what was sent.

    pub fn set(&mut self, key: Key<'a>, value: Content<'a>, end: u64) -> Op<'a> {
        self.frame.push(if end == NEVER { 1 } else { 5 });
        put_key(&mut self.frame, key);
        self.end(end);
        Op::Set { key, value: self.content(value), end }
    }

    fn end(&mut self, end: u64) {
        if end != NEVER {
            self.u64(end);
        }
    }

    pub fn delete(&mut self, key: Key<'a>) -> Op<'a> {
        self.frame.push(2);
        put_key(&mut self.frame, key);
        Op::Delete { key }
    }

    pub fn increment(&mut self, key: Key<'a>, delta: i64, floor: i64) -> Op<'a> {
        self.frame.push(3);
        put_key(&mut self.frame, key);
        self.frame.extend_from_slice(&delta.to_le_bytes());
        self.frame.extend_from_slice(&floor.to_le_bytes());
        Op::Increment { key, delta, floor }
    }

    pub fn swap(&mut self, key: Key<'a>, expected: u64, value: Content<'a>, end: u64) -> Op<'a> {
        self.frame.push(if end == NEVER { 4 } else { 7 });
        put_key(&mut self.frame, key);
        self.u64(expected);
        self.end(end);
        Op::Swap { key, expected, value: self.content(value), end }
    }

    pub fn ended(&mut self, key: Key<'a>, version: u64) -> Op<'a> {
        self.frame.push(6);
        put_key(&mut self.frame, key);
        self.u64(version);
        Op::End { key, version }
    }
}

/// Where the pages of a run are, for the record that completes it.
pub struct RunAt<'a> {
    pub id: u64,
    /// What its writer had seen once all pages were written.
    pub seen: Seen,
    pub parts: &'a [(u32, u16)],
    pub lengths: &'a [u16],
}

impl RunAt<'_> {
    fn room(&self) -> usize {
        2 + self.parts.len() * 6 + self.lengths.len() * 2
    }
}

/// A value to be written.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Bytes(&'a [u8]),
    File(FileValue),
    Pieces(&'a [Piece]),
}

fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

fn put_name(out: &mut Vec<u8>, name: ValueName) {
    out.push(name.node.depth());
    put_u64(out, name.node.bits());
    put_u64(out, name.generation);
    put_u64(out, name.id);
}

fn put_key(out: &mut Vec<u8>, key: Key<'_>) {
    match key {
        Key::Whole(bytes) => {
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        Key::Far { digest, length, file } => {
            out.extend_from_slice(&FAR_KEY.to_le_bytes());
            out.extend_from_slice(&digest);
            out.extend_from_slice(&length.to_le_bytes());
            put_name(out, file);
        }
    }
}

fn put_content<'a>(out: &mut Vec<u8>, content: Content<'a>) -> Value<'a> {
    match content {
        Content::Bytes(bytes) => {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
            Value::Small(bytes)
        }
        Content::File(value) => {
            out.extend_from_slice(&(2u32 << TAG_SHIFT).to_le_bytes());
            put_u64(out, value.size);
            out.push(u8::from(value.check.is_some()));
            put_u64(out, value.check.unwrap_or(0));
            put_name(out, value.name);
            Value::File(value)
        }
        Content::Pieces(pieces) => {
            let length: u32 = pieces.iter().map(|piece| piece.length).sum();
            out.extend_from_slice(&(length | 3 << TAG_SHIFT).to_le_bytes());
            out.push(pieces.len() as u8);
            for piece in pieces {
                out.extend_from_slice(&piece.at.to_le_bytes());
                out.extend_from_slice(&piece.length.to_le_bytes());
                put_u64(out, piece.check);
            }
            Value::Small(&[])
        }
    }
}

/// Appends a pair of a base to a page.
pub fn pair(out: &mut Vec<u8>, (version, end): (u64, u64), key: Key<'_>, content: Content<'_>) {
    if end == NEVER {
        put_u64(out, version);
    } else {
        put_u64(out, version | ENDS);
        put_u64(out, end);
    }
    put_key(out, key);
    put_content(out, content);
}
