//! Writing an index, so that an instance need not read what it covers, nor keep it in memory.
//!
//! 1. operations that wait in the tail are decided;
//! 2. the pages are appended: the marks of the index before, and those of the tail;
//! 3. the file is synced: an index must not outlive the records that it refers to, nor its pages;
//! 4. what was appended meanwhile is read, and the index itself is appended. It covers everything up to there.
//!
//! Any instance may do this at any time. An incomplete index has no effect, and of several the last counts.

use crate::config::Config;
use crate::encode::Encoder;
use crate::flaw::Flaw;
use crate::hash::Keys;
use crate::run::{self, Appender, Mark, Trouble, What, Writer, pages_for};
use crate::segment::{PROBE, Phase, Segment};
use crate::tail::Known;
use kvfuse_core::Result;
use kvfuse_transport::files::File;

/// Bytes of a page of marks.
const PAGE: u64 = 1 << 10;
/// Bytes of memory that a tail may always take, however many tails there are.
const LEAST_TAIL: usize = 32 << 10;
/// Where the changes take more than this many bytes for each key, on average, an index is only due after [`SPARSE`]: it
/// costs a sync, and a fresh instance reads a few large values sooner than that.
const LARGE: u64 = 8 << 10;
/// Bytes of such changes.
const SPARSE: u64 = 1 << 20;
/// Bytes of marks that the record of the index itself contains.
const MOST_LAST: usize = 8 << 10;
/// The most files of replaced values that an index names.
const MOST_DEAD: usize = 256;

/// Whether a segment should get an index. `open` is the number of open segments, `share` the bytes of memory that its
/// tail may take.
pub fn due<F: File>(segment: &Segment<F>, config: &Config, open: usize, share: usize) -> bool {
    let Some(base) = &segment.base else { return false };
    // A small segment is read whole. It is compacted before an index would pay off. The larger the index already is,
    // the more it takes to make writing it again worthwhile. Changes that are not in it are kept in memory while there
    // is room, and a fresh instance has to read them.
    let again = segment.index.as_ref().map_or(0, |index| index.run.bytes() / 4);
    let room = (config.memory / 3 / open.max(1)) as u64;
    let again = again.max(room).min(config.segment / 2);
    let large = base.totals.bytes > config.segment.saturating_mul(2);
    let least = if large { config.index.max(again) } else { config.segment };
    let behind = segment.position.saturating_sub(segment.covered());
    let least = if (segment.tail.keys() as u64).saturating_mul(LARGE) < behind { least.max(SPARSE) } else { least };
    segment.phase == Phase::Live
        && segment.writable
        && segment.hole.is_none()
        && !segment.ended
        && !segment.poisoned
        && (behind > least || large && segment.tail.memory() > share.max(LEAST_TAIL))
}

/// Writes an index. If it cannot be completed, that is left to the next time.
///
/// # Errors
/// Those of reading and of appending. In that case nothing was changed.
pub fn write<F: File>(segment: &mut Segment<F>, keys: &Keys, id: u64) -> Result<()> {
    segment.decide_tail()?;
    let next = segment.next_version();
    let mut marks = marks_since(segment, 0);
    for page in 0..segment.index.as_ref().map_or(0, |index| index.run.pages()) {
        marks.extend(segment.marks_of(page)?);
    }
    if let Some(index) = &segment.index {
        marks.extend(run::Marks::new(&index.last));
    }
    marks.sort_by_key(|mark| (mark.place, mark.version));
    let mut dead = segment.index.as_ref().map_or_else(Vec::new, |index| index.dead.clone());
    let dead_bytes = segment.index.as_ref().map_or(0, |index| index.dead_bytes) + segment.tail.dead_bytes;
    dead.extend(&segment.tail.dead);
    let Some(base) = segment.base.as_ref().map(|base| base.at).filter(|_| dead.len() <= MOST_DEAD) else {
        return Ok(());
    };
    let name = segment.name();
    let to = Appender { file: &segment.file, name: &name, position: segment.position, others: None };
    let pages = pages_for((marks.len() * run::MARK) as u64, PAGE);
    let mut writer = Writer::new(to, &segment.checks, id, segment.node, pages);
    let written =
        marks.iter().try_for_each(|mark| writer.add(mark.place, |out| mark.encode(out))).and_then(|()| writer.finish());
    let written = match written {
        Ok((written, _)) => written,
        // One place with very many marks: the segment is compacted before long.
        Err(Trouble::TooFull) => return Ok(()),
        Err(Trouble::Failed(error)) => return Err(error),
    };
    if !segment.config.has(Flaw::IndexNotSynced) {
        segment.sync()?;
    }
    let (upto, covered) = (segment.position, segment.covered());
    segment.catch_up(keys, PROBE)?;
    segment.decide_tail()?;
    let mut last = Vec::new();
    marks_since(segment, next).iter().for_each(|mark| mark.encode(&mut last));
    let new_dead = segment.tail.dead.len() != dead.len() && segment.tail.dead_bytes > dead_bytes;
    // If another instance wrote an index in between, the tail no longer has everything.
    let overtaken = segment.covered() != covered || segment.phase != Phase::Live;
    if overtaken || segment.hole.is_some() || segment.ended || last.len() > MOST_LAST || new_dead {
        return Ok(());
    }
    // What arrived meanwhile is not synced yet.
    if !last.is_empty() && !segment.config.has(Flaw::IndexNotSynced) {
        segment.sync()?;
    }
    segment.synced = segment.synced.max(upto);
    let run = written.at(segment.seen());
    let frame = Encoder::index(&segment.checks, &run, segment.next_version(), base, (&dead, dead_bytes), &last);
    if frame.len() <= crate::frame::MAX_FRAME {
        segment.file.append(&frame).map_err(|error| segment.failed(error))?;
        segment.catch_up(keys, frame.len() + PROBE)?;
    }
    Ok(())
}

/// The marks of the entries of the tail from a version on.
fn marks_since<F: File>(segment: &mut Segment<F>, from: u64) -> Vec<Mark> {
    let places = segment.node.first()..=segment.node.last();
    let mark = |change: crate::tail::Change<'_>| {
        let (source, what) = match change.known {
            Known::Gone(source) => (source, What::Gone),
            Known::Value { value, source, end, .. } if source.counted => {
                (source, What::Counter { sum: value.counter()?, end })
            }
            Known::Value { source, .. } => (source, What::Value),
            Known::Nothing | Known::Open => return None,
        };
        let (at, ordinal) = (source.at?, source.ordinal);
        (change.version >= from).then_some(Mark { place: change.place, version: change.version, at, ordinal, what })
    };
    segment.tail.sorted(places).into_iter().filter_map(mark).collect()
}
