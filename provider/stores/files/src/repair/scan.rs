//! Everything that can be found in the file of a damaged segment, in order. Pure.

use crate::frame::{self, Read};
use crate::gap::{self, Gap};
use crate::hash::Checks;
use crate::record::{self, Op, Record, Seen, Value};
use std::borrow::Cow;
use std::convert::Infallible;

/// Something in a segment's file.
pub enum Event<'a> {
    /// A record, with the offsets of its frame, of its blobs and of its end.
    Record { record: Record<'a>, at: usize, blobs: usize, end: usize },
    /// A write of which only values are damaged. With each operation comes whether its value is as it was written.
    Write { seen: Seen, ops: Vec<(Op<'a>, bool)>, at: usize, blobs: usize, end: usize },
    /// Pages of a run, whole or not: they have checks of their own.
    Pages { head: &'a [u8], at: usize, blobs: usize },
    /// Bytes from which nothing can be read.
    Gap { gap: Gap, at: usize },
}

impl Event<'_> {
    /// Where it begins.
    pub fn at(&self) -> usize {
        match self {
            Self::Record { at, .. } | Self::Write { at, .. } | Self::Pages { at, .. } | Self::Gap { at, .. } => *at,
        }
    }
}

/// Scans a whole file.
pub fn scan<'a>(checks: &Checks, bytes: &'a [u8]) -> Vec<Event<'a>> {
    let mut scan = Scan { checks, bytes, events: Vec::new(), damaged: false };
    let (mut at, mut gap) = (0, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if let Read::Whole(frame) = frame::read(checks, rest)
            && let Some(record) = record::decode(checks, frame.head, frame.blobs)
        {
            scan.gap(gap, at);
            let blobs = at + frame::HEADER + frame.head.len();
            scan.events.push(match record {
                Record::Pages => Event::Pages { head: frame.head, at, blobs },
                record => Event::Record { record, at, blobs, end: at + frame.size() },
            });
            at += frame.size();
            gap = at;
        } else {
            at += next(checks, rest);
        }
    }
    scan.gap(gap, bytes.len());
    scan.events
}

/// The distance to the next marker, or to the end.
fn next(checks: &Checks, rest: &[u8]) -> usize {
    let marker = checks.marker();
    let found = rest.get(1..).and_then(|rest| rest.windows(marker.len()).position(|four| four == marker));
    found.map_or(rest.len(), |found| found + 1)
}

struct Scan<'a, 'c> {
    checks: &'c Checks,
    bytes: &'a [u8],
    events: Vec<Event<'a>>,
    /// Whether a gap is damaged.
    damaged: bool,
}

impl<'a> Scan<'a, '_> {
    /// What lies between two whole records.
    fn gap(&mut self, from: usize, to: usize) {
        if from == to || self.judge(from, to) != Gap::Damaged {
            self.close(from, to);
            return;
        }
        // A record with all its bytes and an undamaged head can be read in part.
        let (mut open, mut at) = (from, from);
        while at < to {
            let piece = self.bytes.get(at..to).unwrap_or_default();
            let length = next(self.checks, piece);
            let event = piece.get(..length).and_then(|piece| self.partly(piece, at));
            if let Some((event, size)) = event {
                self.close(open, at);
                self.events.push(event);
                // The bytes after it up to the next marker are judged separately.
                open = at + size;
            }
            at += length;
        }
        self.close(open, to);
    }

    fn judge(&self, from: usize, to: usize) -> Gap {
        let gap = self.bytes.get(from..to).unwrap_or_default();
        let before = |begin: u64| Ok(Cow::Borrowed(self.bytes.get(begin as usize..from).unwrap_or_default()));
        gap::judge_back::<Infallible>(self.checks, gap, from as u64, self.damaged, before)
            .unwrap_or_else(|never| match never {})
    }

    fn close(&mut self, from: usize, to: usize) {
        if from < to {
            let gap = self.judge(from, to);
            self.damaged = self.damaged || gap == Gap::Damaged;
            self.events.push(Event::Gap { gap, at: from });
        }
    }

    /// What can be read of a damaged record, and its length.
    fn partly(&self, piece: &'a [u8], at: usize) -> Option<(Event<'a>, usize)> {
        let (head, blobs) = frame::lengths(self.checks, piece)?;
        let size = frame::size(head, blobs);
        if piece.len() < size {
            return None;
        }
        let (head, blobs) = piece.get(frame::HEADER..size - 1)?.split_at_checked(head)?;
        let sum = piece.get(frame::HEADER - 8..frame::HEADER)?.try_into().map(u64::from_le_bytes).ok()?;
        if sum != self.checks.sum(head) {
            return None;
        }
        let (begin, end) = (at + frame::HEADER + head.len(), at + size);
        if record::is_content(head) {
            return Some((Event::Pages { head, at, blobs: begin }, size));
        }
        if let Some(record) = record::decode(self.checks, head, blobs) {
            // Only the byte at its end is damaged.
            return Some((Event::Record { record, at, blobs: begin, end }, size));
        }
        let (seen, ops) = record::operations(head)?;
        let ops = ops.map(|op| op.map(|op| (op, self.is_whole(&op, blobs)))).collect::<Option<_>>()?;
        Some((Event::Write { seen, ops, at, blobs: begin, end }, size))
    }

    fn is_whole(&self, op: &Op<'_>, blobs: &[u8]) -> bool {
        match op {
            Op::Set { value: Value::Blob { at, length, check }, .. }
            | Op::Swap { value: Value::Blob { at, length, check }, .. } => {
                let blob = blobs.get(*at as usize..).and_then(|rest| rest.get(..*length as usize));
                blob.is_some_and(|blob| self.checks.sum(blob) == *check)
            }
            _ => true,
        }
    }
}
