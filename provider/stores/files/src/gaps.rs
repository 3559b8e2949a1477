//! What lies between a segment's whole records: torn by a writer's death, or damaged. Pure.

use crate::frame::{self, Read};
use crate::hash::Checks;
use crate::record;

/// Bytes of a segment that are no whole record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Whole records around them.
    pub records: u64,
    /// Records cut off before their end: their writers died, or are about to go on.
    pub torn: u64,
    /// The others: something else than this store changed them, or a power cut did.
    pub damaged: u64,
}

/// Hashed bytes after which the rest is called damaged: a directory made to keep its reader busy.
const BUDGET: usize = 64 << 20;

impl Gaps {
    pub fn of(checks: &Checks, bytes: &[u8]) -> Self {
        let mut gaps = Self::default();
        let mut budget = BUDGET;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(size) = whole(checks, rest) {
                gaps.records += 1;
                at += size;
                continue;
            }
            // Pieces begin where a marker is.
            let piece = piece(checks, rest);
            let Some(left) = budget.checked_sub(frame::cost(piece)) else {
                gaps.damaged += rest.len() as u64;
                break;
            };
            budget = left;
            match frame::read(checks, piece) {
                Read::Short(_) => gaps.torn += piece.len() as u64,
                Read::Whole(_) | Read::Not => gaps.damaged += piece.len() as u64,
            }
            at += piece.len();
        }
        gaps
    }
}

fn whole(checks: &Checks, bytes: &[u8]) -> Option<usize> {
    let Read::Whole(frame) = frame::read(checks, bytes) else { return None };
    record::decode(checks, frame.head, frame.blobs)?;
    Some(frame.size())
}

/// The front of `bytes` up to the next marker.
fn piece<'a>(checks: &Checks, bytes: &'a [u8]) -> &'a [u8] {
    let marker = checks.marker();
    let next = bytes.get(1..).and_then(|rest| rest.windows(marker.len()).position(|found| found == marker));
    next.and_then(|next| bytes.get(..next + 1)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Content, Encoder};
    use crate::hash::Keys;
    use crate::name::Node;
    use crate::record::Key;

    fn checks() -> Checks {
        Keys::new(&[7; 16]).checks(b's', Node::ROOT, 0)
    }

    fn record(id: u64, value: &[u8]) -> Vec<u8> {
        let checks = checks();
        let mut record = Encoder::write(&checks, id, 4096, 64);
        record.set(Key::Whole(b"key"), Content::Bytes(value));
        record.finish().0
    }

    #[test]
    fn whole_records_leave_no_gap() {
        let bytes = [record(1, b"one"), record(2, b"two")].concat();
        assert_eq!(Gaps::of(&checks(), &bytes), Gaps { records: 2, ..Gaps::default() });
    }

    #[test]
    fn a_record_cut_anywhere_is_torn_and_two_of_them_in_a_row_are() {
        let one = record(1, b"one");
        for length in 4..one.len() {
            let torn = &one[..length];
            let bytes = [torn, torn, &record(2, b"two"), torn].concat();
            let expected = Gaps { records: 1, torn: 3 * length as u64, damaged: 0 };
            assert_eq!(Gaps::of(&checks(), &bytes), expected, "{length}");
        }
    }

    #[test]
    fn a_record_with_a_flipped_bit_anywhere_behind_its_header_is_damaged() {
        let one = record(1, b"one");
        for bit in frame::HEADER * 8..one.len() * 8 {
            let mut bytes = [one.clone(), record(2, b"two")].concat();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = Gaps { records: 1, torn: 0, damaged: one.len() as u64 };
            assert_eq!(Gaps::of(&checks(), &bytes), expected, "bit {bit}");
        }
    }
}
