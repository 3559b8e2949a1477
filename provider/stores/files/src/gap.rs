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
    let (all, begun_before) = (piece, torn.clone());
    piece = without_rests(checks, piece, torn);
    if piece.is_empty() {
        return Gap::Torn;
    }
    if !piece.starts_with(&checks.marker()) {
        // Torn markers, alone or among zeros: power was cut more than once, or the bytes before one are lost as well.
        if only_torn_markers(piece, &checks.marker()) {
            return if piece.contains(&0) { Gap::Lost } else { Gap::Torn };
        }
        // Another one that was cut within its marker may be before a rest. Fronts of equal lengths are alike, so that a rest at
        // the end may have been taken for that of the wrong one.
        let marker = checks.marker();
        for rest in cut_markers(&marker).filter_map(|cut| all.strip_prefix(cut)) {
            let mut tried = begun_before.clone();
            if without_rests(checks, rest, &mut tried).is_empty() {
                *torn = tried;
                return Gap::Torn;
            }
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

/// What is left of some bytes without the rests of torn records at the front or at the end. The record that began last is tried
/// first.
fn without_rests<'a>(checks: &Checks, mut piece: &'a [u8], torn: &mut Vec<&'a [u8]>) -> &'a [u8] {
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
    piece
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
mod tests;
