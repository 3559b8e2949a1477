//! Frames: how a whole record is distinguished from a torn one. Pure.
//!
//! ```text
//!  0  4  marker of this file
//!  4  8  checksum of everything from offset 12 to the end of the head
//! 12  4  length of the head
//! 16  4  length of the blobs
//! 20  …  the head: a record
//!     …  the blobs: larger values of the record, each with a checksum in the head
//!     1  end of this file's frames
//! ```
//! Numbers are little-endian. The checksum of the blobs is in the head, so that a value can be read alone and checked.
//!
//! The end is a byte that is neither zero nor in the marker. So neither the zeros of a power cut nor the beginning of
//! another frame can complete a torn frame. Otherwise a write that was lost could come back.

use crate::hash::Checks;

/// Bytes before the head.
pub const HEADER: usize = 20;
/// Bytes around the head and the blobs.
pub const OVERHEAD: usize = HEADER + 1;
/// Largest frame, header included.
pub const MAX_FRAME: usize = 1 << 20;
/// Where the checksummed bytes begin.
const CHECKED: usize = 12;

/// Fills in the header of a frame: `frame` is [`HEADER`] bytes of room, and the head.
pub fn close(checks: &Checks, frame: &mut [u8], blobs: u32) {
    let head = frame.len().saturating_sub(HEADER) as u32;
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = frame.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, &checks.marker());
    put(CHECKED, &head.to_le_bytes());
    put(CHECKED + 4, &blobs.to_le_bytes());
    let sum = checks.sum(frame.get(CHECKED..).unwrap_or_default()).to_le_bytes();
    if let Some(place) = frame.get_mut(4..CHECKED) {
        place.copy_from_slice(&sum);
    }
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
        OVERHEAD + self.head.len() + self.blobs.len()
    }
}

/// What is at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    Whole(Frame<'a>),
    /// It may become a frame when there are this many bytes.
    Short(usize),
    /// Not a frame, whatever follows.
    Not,
}

/// Reads the frame that `bytes` begin with.
pub fn read<'a>(checks: &Checks, bytes: &'a [u8]) -> Read<'a> {
    let marker = checks.marker();
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else {
        let known = bytes.len().min(marker.len());
        return if bytes.get(..known) == marker.get(..known) { Read::Short(HEADER) } else { Read::Not };
    };
    let (Some(found), Some(sum), Some(head), Some(blobs)) =
        (header.first_chunk::<4>(), number::<8>(header, 4), number::<4>(header, 12), number::<4>(header, 16))
    else {
        return Read::Not;
    };
    if *found != marker {
        return Read::Not;
    }
    let (head, blobs) = (head as usize, blobs as usize);
    let size = OVERHEAD.checked_add(head).and_then(|n| n.checked_add(blobs)).filter(|n| *n <= MAX_FRAME);
    let Some(size) = size else { return Read::Not };
    if bytes.get(CHECKED..HEADER + head).is_some_and(|checked| checks.sum(checked) != sum) {
        return Read::Not;
    }
    let parts = rest.split_at_checked(head).and_then(|(head, rest)| Some((head, rest.split_at_checked(blobs)?)));
    match parts {
        Some((head, (blobs, [end, ..]))) if *end == checks.end() => Read::Whole(Frame { head, blobs }),
        Some((_, (_, [_, ..]))) => Read::Not,
        _ => Read::Short(size),
    }
}

/// The most bytes that [`read`] hashes to judge the front of `bytes`.
pub fn cost(bytes: &[u8]) -> usize {
    number::<4>(bytes, 12).map_or(0, |head| (head as usize).min(bytes.len()).saturating_add(HEADER))
}

/// A little-endian number of `N` bytes at an offset.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut out = [0; 8];
    let (low, _) = out.split_at_mut_checked(N)?;
    low.copy_from_slice(bytes.get(at..at.checked_add(N)?)?);
    Some(u64::from_le_bytes(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Keys;
    use crate::name::Node;

    fn checks(number: u64) -> Checks {
        Keys::new(&[7; 16]).checks(b's', Node::ROOT, number)
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
            assert!(!matches!(read(&checks(0), &out), Read::Whole(_)), "bit {bit}");
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
