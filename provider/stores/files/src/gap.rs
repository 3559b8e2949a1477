//! The bytes between a segment's whole records: torn by a writer's death, lost to a power cut, or damaged. Pure.
//!
//! An append leaves a prefix of its record, or all of it; a host that cuts one leaves the rest further on. A power cut
//! leaves zeros, to a record's end or to the end of a page. Everything else was changed by something else. In
//! particular, a record is damaged if it has all its bytes, so that the next one begins where this one ends, but its
//! check is wrong.

use crate::frame::{self, HEADER, Read};
use crate::hash::Checks;
use crate::record;
use std::borrow::Cow;

/// The nature of bytes that are not a whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// Records that were cut off. They never counted.
    Torn,
    /// A power cut took what was here. It may have counted.
    Lost,
    /// Several hosts cut records here at once, or it is damage: what later writers had seen decides.
    Unclear,
    /// Something other than the store changed it.
    Damaged,
}

/// Torn records whose rest may still come.
const MOST_TORN: usize = 16;
/// The number of places at which the rest of a record is looked for within another one.
const MOST_PLACES: usize = 4096;
/// The number of bytes that a disk writes at once.
const SECTOR: u64 = 512;
/// Zeros that are taken for the end of a lost page.
const ZEROS: usize = 16;

/// Judges the bytes at an offset of a file.
pub fn judge(checks: &Checks, bytes: &[u8], offset: u64) -> Gap {
    judge_behind(checks, &[], bytes, offset)
}

/// Bytes before the rest of a cut record in which its beginning is looked for, nearest first. A host may sleep between
/// the two parts of an append for as long as it takes others to fill a segment.
const REACHES: [u64; 3] = [256 << 10, 2 << 20, 16 << 20];

/// Judges the bytes at an offset of a file, with those before them at hand: `read(from)` gives all from there to the
/// offset. `near` looks no further back than the first reach, where it has become unimportant.
pub fn judge_back<'a, E>(
    checks: &Checks,
    bytes: &[u8],
    offset: u64,
    near: bool,
    mut read: impl FnMut(u64) -> Result<Cow<'a, [u8]>, E>,
) -> Result<Gap, E> {
    let alone = judge(checks, bytes, offset);
    if alone != Gap::Damaged {
        return Ok(alone);
    }
    for (place, reach) in REACHES.into_iter().enumerate() {
        let from = offset.saturating_sub(reach);
        let gap = judge_behind(checks, &read(from)?, bytes, offset);
        // Far back only the record itself is an explanation: a torn one that has nothing to do with it is always found.
        if gap == Gap::Torn || place == 0 && gap != Gap::Damaged {
            return Ok(gap);
        }
        if from == 0 || near {
            break;
        }
    }
    Ok(Gap::Damaged)
}

/// Judges the bytes at an offset of a file, given the bytes before them: a record whose rest is among them may begin
/// there.
pub fn judge_behind(checks: &Checks, before: &[u8], bytes: &[u8], offset: u64) -> Gap {
    let mut gap = Gap::Torn;
    let marker = checks.marker();
    let mut torn = begun(checks, &marker, before);
    torn.extend(cut_markers(&marker));
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let piece = piece(checks, rest);
        gap = gap.max(of_piece(checks, piece, offset + at as u64, &mut torn));
        at += piece.len();
        if torn.len() > MOST_TORN + 3 {
            torn.remove(0);
        }
    }
    gap
}

fn of_piece<'a>(checks: &Checks, mut piece: &'a [u8], offset: u64, torn: &mut Vec<&'a [u8]>) -> Gap {
    // Two hosts may have cut two records at the same time.
    // Where one was cut within its marker is not known; the front of the other is then the shortest possible one.
    let held =
        torn.iter().enumerate().rev().filter_map(|(place, begun)| Some((place, holds_rest(checks, begun, piece)?)));
    if let Some((place, left)) = held.min_by_key(|(_, left)| left.map_or(0, <[u8]>::len)) {
        torn.remove(place);
        torn.extend(left);
        return Gap::Torn;
    }
    // The rest of a record that the host cut is at the front or at the end. The record that began last is tried first.
    while let Some((place, left)) = torn.iter().enumerate().rev().find_map(|(place, begun)| {
        let missing = missing(checks, begun, piece).filter(|missing| *missing <= piece.len() && *missing > 0)?;
        let (front, rest) = piece.split_at(missing);
        let (before, end) = piece.split_at(piece.len() - missing);
        if completes(checks, begun, front) {
            return Some((place, rest));
        }
        completes(checks, begun, end).then_some((place, before))
    }) {
        torn.remove(place);
        piece = left;
    }
    if piece.is_empty() {
        return Gap::Torn;
    }
    if !piece.starts_with(&checks.marker()) {
        // Torn markers, alone or among zeros: power was cut more than once, or the bytes before one are lost as well.
        if only_torn_markers(piece, &checks.marker()) {
            return if piece.contains(&0) { Gap::Lost } else { Gap::Torn };
        }
        let after = piece.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let begun = piece.get(..after).unwrap_or_default();
        // The rest of a cut record can be cut off as well. That is not certain, but there is a torn record.
        let lacks = |torn: &[u8]| missing(checks, torn, &[]).or_else(|| missing(checks, torn, begun));
        let may_be_rest = |torn: &&[u8]| lacks(torn).is_some_and(|missing| missing > begun.len());
        if torn.iter().any(may_be_rest) {
            return if begun.len() < piece.len() { Gap::Lost } else { Gap::Torn };
        }
        let lost = lost_page(piece, offset) || lost_front(checks, piece);
        return if lost { Gap::Lost } else { unexplained(checks, torn) };
    }
    let known = frame::lengths(checks, piece).map(|(head, blobs)| frame::size(head, blobs));
    if known.is_none() && piece.len() < HEADER {
        torn.push(piece);
        return Gap::Torn;
    }
    let whole = known.unwrap_or(HEADER);
    // The next record may have begun after it. A single byte of that may be a changed end, unless the two differ in
    // several bits.
    let marker = checks.marker();
    let several = marker.first().is_some_and(|first| (first ^ checks.end()).count_ones() > 1);
    let next = cut_markers(&marker).filter(|cut| cut.len() > 1 || several);
    let next = next.filter(|cut| piece.ends_with(cut)).map(<[u8]>::len).max().unwrap_or(0);
    let begun = piece.get(..piece.len() - next).unwrap_or_default();
    if begun.len() < whole {
        torn.push(begun);
        // If a page after a torn record was lost, the records on it were lost as well.
        return if lost_page(piece, offset) { Gap::Lost } else { Gap::Torn };
    }
    if let Some(after) = behind_cut_marker(checks, piece) {
        let offset = offset + (piece.len() - after.len()) as u64;
        return if after.is_empty() { Gap::Torn } else { of_piece(checks, after, offset, torn) };
    }
    // No single flipped bit turns an end into zero.
    let end = known.map_or(begun.last(), |whole| piece.get(whole - 1));
    if end == Some(&0) || piece.last() == Some(&0) || lost_page(piece, offset) {
        Gap::Lost
    } else {
        unexplained(checks, torn)
    }
}

/// Bytes without an explanation. The rests of records that were cut at the same time can be in any order.
fn unexplained(checks: &Checks, torn: &[&[u8]]) -> Gap {
    let cut = |begun: &&[u8]| {
        begun.starts_with(&checks.marker())
            && (begun.len() < HEADER || missing(checks, begun, &[]).is_some_and(|missing| missing > 0))
    };
    if torn.iter().any(cut) { Gap::Unclear } else { Gap::Damaged }
}

/// Whether bytes are nothing but zeros and cut markers.
pub fn only_torn_markers(mut bytes: &[u8], marker: &[u8]) -> bool {
    loop {
        let rest = cut_markers(marker).filter_map(|cut| bytes.strip_suffix(cut)).last();
        match rest.or_else(|| bytes.strip_suffix(&[0])) {
            Some(rest) => bytes = rest,
            None => return bytes.is_empty(),
        }
    }
}

/// Records that were cut within their marker: these cannot be found, but their beginnings are known.
fn cut_markers(marker: &[u8]) -> impl Iterator<Item = &[u8]> {
    (1..marker.len()).filter_map(|length| marker.get(..length))
}

/// The records in some bytes that lack their end. The part of one that is there may be followed by the rest of another.
fn begun<'a>(checks: &Checks, marker: &'a [u8], bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut begun: Vec<_> = cut_markers(marker).collect();
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = piece(checks, rest);
        if !matches!(frame::read(checks, piece), Read::Whole(_)) {
            of_piece(checks, piece, 0, &mut begun);
            let more = begun.len().saturating_sub(MOST_TORN);
            begun.drain(..more);
        }
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    begun
}

/// Bytes that a torn record lacks, if `rest` begins with them.
fn missing(checks: &Checks, begun: &[u8], rest: &[u8]) -> Option<usize> {
    let header = [begun, rest.get(..HEADER).unwrap_or(rest)].concat();
    let (head, blobs) = frame::lengths(checks, &header)?;
    frame::size(head, blobs).checked_sub(begun.len())
}

fn completes(checks: &Checks, begun: &[u8], rest: &[u8]) -> bool {
    let bytes = [begun, rest].concat();
    let Read::Whole(frame) = frame::read(checks, &bytes) else { return false };
    record::decode(checks, frame.head, frame.blobs).is_some()
}

/// Whether the rest of a torn record is within another record, which is otherwise undamaged; or after the front of one
/// that lacks its own rest, which this returns.
fn holds_rest<'a>(checks: &Checks, begun: &[u8], piece: &'a [u8]) -> Option<Option<&'a [u8]>> {
    let marker = checks.marker();
    // There may be less than the marker of the one that was cut first.
    if !(begun.starts_with(&marker) || marker.starts_with(begun)) || !piece.starts_with(&marker) {
        return None;
    }
    let known = missing(checks, begun, &[]);
    let holds = |at: usize| {
        let (front, rest) = piece.split_at(at);
        let missing =
            known.or_else(|| missing(checks, begun, rest)).filter(|missing| (1..=rest.len()).contains(missing))?;
        let (rest, back) = rest.split_at(missing);
        let cut = back.is_empty() && (front.len() < HEADER || self::missing(checks, front, &[]) > Some(0));
        let whole = rest.last() == Some(&checks.end()) && (cut || completes(checks, front, back));
        (whole && completes(checks, begun, rest)).then_some(cut.then_some(front))
    };
    (1..piece.len()).take(MOST_PLACES).find_map(holds)
}

/// What follows a record that was cut, if between its parts there is only another one that was cut within its marker.
fn behind_cut_marker<'a>(checks: &Checks, piece: &'a [u8]) -> Option<&'a [u8]> {
    let (marker, end) = (checks.marker(), checks.end());
    let known = frame::lengths(checks, piece).map(|(head, blobs)| frame::size(head, blobs));
    cut_markers(&marker).find_map(|cut| {
        // Wherever it was cut, it ends there.
        if known.is_some_and(|whole| piece.get(whole + cut.len() - 1) != Some(&end)) {
            return None;
        }
        (marker.len()..known.unwrap_or(HEADER)).take(MOST_PLACES).find_map(|at| {
            let (front, rest) = piece.split_at_checked(at)?;
            let rest = rest.strip_prefix(cut)?;
            let (rest, after) = rest.split_at_checked(missing(checks, front, rest)?)?;
            completes(checks, front, rest).then_some(after)
        })
    })
}

/// Whether zeros reach to the end of a sector.
fn lost_page(piece: &[u8], offset: u64) -> bool {
    let first = (offset.next_multiple_of(SECTOR) - offset) as usize;
    (first..=piece.len()).step_by(SECTOR as usize).any(|end| {
        let from = end.saturating_sub(ZEROS);
        end > from && piece.get(from..end).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    })
}

/// Whether zeros are followed by what may be the rest of a cut record, whose front they replaced. What a failed sync drops need
/// not end where a sector does.
fn lost_front(checks: &Checks, piece: &[u8]) -> bool {
    piece.iter().take(ZEROS).filter(|byte| **byte == 0).count() == ZEROS && piece.last() == Some(&checks.end())
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
    use crate::record::{Key, NEVER, Seen};

    fn checks() -> Checks {
        Keys::new(&[7; 16]).checks(b'S', Node::ROOT, 0)
    }

    fn record(id: u64, value: &[u8]) -> Vec<u8> {
        let checks = checks();
        let mut record = Encoder::write(&checks, id, Seen::default(), 4096, 64);
        record.set(Key::Whole(b"key"), Content::Bytes(value), NEVER);
        record.finish().0
    }

    #[test]
    fn records_cut_off_anywhere_are_torn_alone_and_in_a_row() {
        let one = record(1, b"one");
        for length in 1..one.len() {
            let torn = &one[..length];
            assert_eq!(judge(&checks(), torn, 0), Gap::Torn, "{length}");
            if length >= 4 {
                assert_eq!(judge(&checks(), &[torn, torn].concat(), 0), Gap::Torn, "{length} twice");
            }
        }
    }

    #[test]
    fn the_rest_of_a_record_that_the_host_cut_is_not_damage() {
        let (one, two) = (record(1, b"one"), record(2, b"another one"));
        for length in 1..one.len() {
            let (begun, rest) = one.split_at(length);
            // Of one whose header was cut, the rest is only known at the front.
            let between = if length < HEADER { &[&two[..0]][..] } else { &[&two[..4], &two[..10], &two[..30]] };
            for torn in between {
                assert_eq!(judge_behind(&checks(), begun, &[torn, rest].concat(), 0), Gap::Torn, "{length}");
            }
        }
    }

    #[test]
    fn the_rests_of_two_records_that_hosts_cut_in_turn_are_not_damage() {
        let (one, two) = (record(1, b"one"), record(2, b"another one"));
        for length in HEADER..one.len() {
            let ((begun, rest), (front, back)) = (one.split_at(length), two.split_at(30));
            let before = [begun, front, rest, &record(3, b"whole")].concat();
            assert_eq!(judge_behind(&checks(), &before, back, 0), Gap::Torn, "{length}");
        }
    }

    #[test]
    fn two_records_that_hosts_cut_at_the_same_time_are_not_damage() {
        let (one, two) = (record(1, b"one"), record(2, b"another one"));
        for first in 1..one.len() {
            for second in 4..two.len() {
                let ((begun, rest), (front, back)) = (one.split_at(first), two.split_at(second));
                let gap = [front, rest, back].concat();
                assert_eq!(judge_behind(&checks(), begun, &gap, 0), Gap::Torn, "{first} {second}");
            }
        }
    }

    #[test]
    fn of_two_records_cut_at_the_same_time_the_rest_of_the_second_may_come_later() {
        let (one, two) = (record(1, b"one"), record(2, b"another one"));
        for first in 1..one.len() {
            for second in 4..two.len() {
                let ((begun, rest), (front, back)) = (one.split_at(first), two.split_at(second));
                let gap = [begun, front, rest].concat();
                assert_eq!(judge(&checks(), &gap, 0), Gap::Torn, "{first} {second}");
                let before = [&gap[..], &record(3, b"whole")].concat();
                assert_eq!(judge_behind(&checks(), &before, back, 0), Gap::Torn, "{first} {second}, the rest");
            }
        }
    }

    #[test]
    fn the_rest_of_a_record_that_was_cut_can_be_cut_off_as_well() {
        let one = record(1, b"one");
        for length in 1..one.len() {
            let (begun, rest) = one.split_at(length);
            let before = [begun, &record(2, b"whole")].concat();
            // At first there may be so little that it tells nothing.
            let least = HEADER.saturating_sub(length).max(1);
            for end in least..rest.len() {
                assert!(judge_behind(&checks(), &before, &rest[..end], 0) <= Gap::Lost, "{length} {end}");
            }
        }
    }

    #[test]
    fn behind_a_torn_record_the_next_one_may_be_torn_within_its_marker() {
        let (one, marker) = (record(1, b"one"), checks().marker());
        for length in HEADER..one.len() {
            for cut in 1..marker.len() {
                assert_eq!(
                    judge(&checks(), &[&one[..length], &marker[..cut]].concat(), 0),
                    Gap::Torn,
                    "{length} {cut}"
                );
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_damage() {
        let one = record(1, &[&[0; 40][..], b"one"].concat());
        for bit in 0..one.len() * 8 {
            let mut bytes = one.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(judge(&checks(), &bytes, 77), Gap::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn a_page_that_went_behind_a_torn_record_is_lost() {
        let mut bytes = record(1, &[b'x'; 3000])[..301].to_vec();
        (2..20).for_each(|id| bytes.extend(record(id, &[b'y'; 100])));
        let offset = 32_043;
        let page = (32_256 - offset)..(32_768 - offset);
        bytes[page.clone()].fill(0);
        let end = page.end + bytes[page.end..].windows(4).position(|four| four == checks().marker()).expect("a record");
        assert_eq!(judge(&checks(), &bytes[..end], offset as u64), Gap::Lost);
    }

    #[test]
    fn a_lost_record_and_the_next_one_torn_within_its_marker_are_lost() {
        // A failed sync dropped the first, and of what was appended after it a power cut left some bytes.
        let marker = checks().marker();
        for cut in 1..marker.len() {
            let bytes = [&[0; 70], &marker[..cut], &[0; 129]].concat();
            assert_eq!(judge(&checks(), &bytes, 1123), Gap::Lost, "{cut}");
        }
    }

    #[test]
    fn a_record_that_was_cut_around_another_ones_marker_is_not_damage() {
        let (one, two, marker) = (record(1, &[0; 300]), record(2, b"two"), checks().marker());
        for at in marker.len()..one.len() {
            for cut in 1..marker.len() {
                let (front, rest) = one.split_at(at);
                let torn = [front, &two[..cut], rest].concat();
                assert_eq!(judge(&checks(), &torn, 5), Gap::Torn, "{at} {cut}");
                let both = [&torn, &two[cut..]].concat();
                assert_eq!(judge(&checks(), &both, 5), Gap::Torn, "{at} {cut}");
                let mut damaged = both.clone();
                damaged[at - 1] ^= 0x10;
                assert!(judge(&checks(), &damaged, 5) > Gap::Torn, "{at} {cut}");
            }
        }
    }

    #[test]
    fn the_rest_of_a_cut_record_whose_front_a_failed_sync_dropped_is_lost() {
        let record = record(1, &[b'x'; 300]);
        for front in ZEROS..record.len() {
            let bytes = [&vec![0; front][..], &record[front..]].concat();
            assert_eq!(judge(&checks(), &bytes, 595), Gap::Lost, "{front}");
        }
        // Fewer zeros may be a part of it.
        let bytes = [&[0; ZEROS - 1], &record[ZEROS - 1..]].concat();
        assert_eq!(judge(&checks(), &bytes, 595), Gap::Damaged);
    }

    #[test]
    fn what_a_power_cut_zeroed_is_lost_and_not_damaged() {
        let (one, marker) = (record(1, b"one"), checks().marker());
        for length in 0..one.len() - 2 {
            let mut bytes = one.clone();
            bytes[length..].fill(0);
            assert!(judge(&checks(), &bytes, 5) <= Gap::Lost, "{length}");
            // And a second power cut tore what was appended then.
            for cut in 1..marker.len() {
                let bytes = [&bytes, &marker[..cut]].concat();
                assert!(judge(&checks(), &bytes, 5) <= Gap::Lost, "{length} {cut}");
            }
        }
        assert_eq!(judge(&checks(), &[0; 300], 5), Gap::Lost);
        // A page went, and the one after it stayed.
        let many: Vec<u8> = (0..100).flat_map(|id| record(id, &[b'x'; 100])).collect();
        let mut lost = many[..6000].to_vec();
        lost[500..4096].fill(0);
        let begin = 4 * record(0, &[b'x'; 100]).len();
        assert_eq!(judge(&checks(), &lost[begin..4100], begin as u64), Gap::Lost);
    }
}
