//! Frames: how a whole record is distinguished from a torn one. Pure.
//!
//! ```text
//!  0  4  marker of this file
//!  4  4  length of the head
//!  8  4  length of the blobs
//! 12  4  check of the two lengths
//! 16  8  check of the head
//! 24  …  the head: a record
//!     …  the blobs: pages, or larger values, each with a check of its own
//!     1  end of this file's frames
//! ```
//! Numbers are little-endian; checks are keyed hashes under the file's own key. The lengths have a check of their own,
//! so that a damaged header can be distinguished from a record that was cut off: see [`gap`](crate::gap).
//!
//! The end is a byte that is neither zero nor in the marker, and has at least two bits set. So neither the zeros of a
//! power cut nor the beginning of another frame can complete a torn frame. Otherwise a write that was lost could come
//! back.
#![deny(clippy::arithmetic_side_effects)]

use crate::hash::Checks;
use kvfuse_transport::files::MAX_APPEND;

/// Bytes before the head.
pub const HEADER: usize = 24;
/// Bytes around the head and the blobs.
pub const OVERHEAD: usize = HEADER + 1;
/// The largest frame, in bytes: it has to be one append.
pub const MAX_FRAME: usize = MAX_APPEND;
const LENGTHS: std::ops::Range<usize> = 4..12;

/// Fills in the header of a frame: `frame` is [`HEADER`] bytes of room, and the head.
pub fn close(checks: &Checks, frame: &mut [u8], blobs: u32) {
    let head = frame.len().saturating_sub(HEADER) as u32;
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = frame.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, &checks.marker());
    put(4, &head.to_le_bytes());
    put(8, &blobs.to_le_bytes());
    let lengths = checks.sum(frame.get(LENGTHS).unwrap_or_default()) as u32;
    let sum = checks.sum(frame.get(HEADER..).unwrap_or_default());
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = frame.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    };
    put(12, &lengths.to_le_bytes());
    put(16, &sum.to_le_bytes());
}

/// Appends a frame of any head and blobs to `out`, for tests.
#[cfg(any(test, feature = "flaws"))]
pub fn write(checks: &Checks, head: &[u8], blobs: &[u8], out: &mut Vec<u8>) {
    let mut frame = [&[0; HEADER][..], head].concat();
    close(checks, &mut frame, blobs.len() as u32);
    out.extend_from_slice(&frame);
    out.extend_from_slice(blobs);
    out.push(checks.end());
}

/// A frame whose head is as it was written. Its blobs still have to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub head: &'a [u8],
    pub blobs: &'a [u8],
}

impl Frame<'_> {
    /// In bytes, header included.
    pub fn size(&self) -> usize {
        size(self.head.len(), self.blobs.len())
    }
}

/// The size of a frame with this many bytes of head and of blobs.
pub fn size(head: usize, blobs: usize) -> usize {
    OVERHEAD.saturating_add(head).saturating_add(blobs)
}

/// What is at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    Whole(Frame<'a>),
    /// It may become a frame once there are this many bytes.
    Short(usize),
    /// Not a frame, whatever follows.
    Not,
}

/// The lengths of head and blobs that a header claims, if the header is as it was written.
pub fn lengths(checks: &Checks, bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.first_chunk::<4>()? != &checks.marker() || bytes.len() < HEADER {
        return None;
    }
    if number::<4>(bytes, 12)? != u64::from(checks.sum(bytes.get(LENGTHS)?) as u32) {
        return None;
    }
    let (head, blobs) = (number::<4>(bytes, 4)? as usize, number::<4>(bytes, 8)? as usize);
    (size(head, blobs) <= MAX_FRAME).then_some((head, blobs))
}

/// Reads the frame that `bytes` begin with.
pub fn read<'a>(checks: &Checks, bytes: &'a [u8]) -> Read<'a> {
    if bytes.len() < HEADER {
        let marker = checks.marker();
        let known = bytes.len().min(marker.len());
        return if bytes.get(..known) == marker.get(..known) { Read::Short(HEADER) } else { Read::Not };
    }
    let Some((head, blobs)) = lengths(checks, bytes) else { return Read::Not };
    let rest = bytes.get(HEADER..).unwrap_or_default();
    let Some((head, rest)) = rest.split_at_checked(head) else { return Read::Short(size(head, blobs)) };
    if number::<8>(bytes, 16) != Some(checks.sum(head)) {
        return Read::Not;
    }
    match rest.split_at_checked(blobs) {
        Some((blobs, [end, ..])) if *end == checks.end() => Read::Whole(Frame { head, blobs }),
        Some((_, [_, ..])) => Read::Not,
        _ => Read::Short(size(head.len(), blobs)),
    }
}

/// The most bytes that [`read`] hashes to judge the front of `bytes`.
pub fn cost(bytes: &[u8]) -> usize {
    number::<4>(bytes, 4).map_or(0, |head| (head as usize).min(bytes.len()).saturating_add(HEADER))
}

/// A little-endian number of `N` bytes at an offset.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut out = [0; 8];
    let (low, _) = out.split_at_mut_checked(N)?;
    low.copy_from_slice(bytes.get(at..at.checked_add(N)?)?);
    Some(u64::from_le_bytes(out))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests {
    use super::*;
    use crate::hash::Keys;
    use crate::name::Node;

    fn checks(number: u64) -> Checks {
        Keys::new(&[7; 16]).checks(b'S', Node::ROOT, number)
    }

    #[test]
    fn a_frame_reads_back_and_every_prefix_of_it_is_short() {
        let mut out = Vec::new();
        write(&checks(0), b"head", b"blobs", &mut out);
        assert_eq!(read(&checks(0), &out), Read::Whole(Frame { head: b"head", blobs: b"blobs" }));
        for length in 0..out.len() {
            assert!(matches!(read(&checks(0), &out[..length]), Read::Short(n) if n > length), "{length}");
        }
        assert_eq!(read(&checks(1), &out), Read::Not, "a record of another generation");
    }

    #[test]
    fn nothing_that_follows_a_torn_frame_completes_it() {
        for number in 0..300 {
            let checks = checks(number);
            let mut frame = Vec::new();
            // Heads that end like the marker, or with zeros.
            write(&checks, &[&checks.marker()[..], &[0; 4]].concat(), &checks.marker()[..2], &mut frame);
            for length in 1..frame.len() {
                for rest in [&frame[..], &[0; 64], &[&frame[..2], &frame[..]].concat()] {
                    let bytes = [&frame[..length], rest].concat();
                    assert!(!matches!(read(&checks, &bytes), Read::Whole(_)), "{number} {length}");
                }
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_header_and_head_is_noticed() {
        let mut out = Vec::new();
        write(&checks(0), b"head", b"", &mut out);
        for bit in 0..out.len() * 8 {
            out[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&checks(0), &out), Read::Not, "bit {bit}");
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
