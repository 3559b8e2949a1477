//! Reading a segment of format 2.

use super::frame::{self, HEADER, MAX_FRAME, Read};
use super::record::{self, Base, FORMAT, Record};
use super::state::Pairs;
use crate::hash::{Checks, Keys};
use crate::item::{Found, Item};
use crate::name::ValueName;
use crate::record::Seal;
use crate::segment::{CHUNK, Phase, Segment, damaged};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::File;

/// Largest segment of format 2, in bytes.
const MAX_SIZE: u64 = 256 << 20;
/// The number of concurrent writers of a base in parts that are followed; the oldest is given up first. Part of the
/// format.
const MAX_PARTIAL: usize = 16;

/// A segment of format 2, as far as it was read.
pub struct State {
    name: String,
    checks: Checks,
    follows: u64,
    /// What the writers of a base have written of it. `None` once there is a base.
    partials: Option<Vec<Partial>>,
    seal: Option<Seal>,
    pairs: Pairs,
    position: u64,
    /// Bytes that may still be hashed while looking for a record among other bytes.
    scan_budget: u64,
}

/// A base of which some parts are missing.
struct Partial {
    writer: u64,
    next_part: u16,
    parts: u16,
    pairs: Pairs,
}

/// Reads a segment's file if it is in format 2.
pub fn open<F: File>(segment: &Segment<F>, keys: &Keys, size: u64) -> Result<Option<State>> {
    let checks = keys.checks(b's', segment.node, segment.generation);
    let front = segment.exactly(0, size.min(CHUNK as u64) as usize)?;
    let find = |marker: [u8; 4]| front.windows(4).position(|four| four == marker);
    match (find(checks.marker()), find(segment.checks.marker())) {
        (Some(old), new) if new.is_none_or(|new| old < new) => {}
        _ => return Ok(None),
    }
    let mut state = State {
        name: segment.name(),
        checks,
        follows: segment.follows,
        partials: Some(Vec::new()),
        seal: None,
        pairs: Pairs::default(),
        position: 0,
        scan_budget: 64 << 20,
    };
    if size > MAX_SIZE {
        return Err(state.damaged("it is larger than any segment this store writes"));
    }
    state.read_on(&segment.file, keys)?;
    Ok(Some(state))
}

/// Whether a file without a base has nothing but what the makers of one append, if it is in format 2.
pub fn is_on_its_way<F: File>(segment: &Segment<F>, keys: &Keys) -> Result<Option<bool>> {
    let checks = keys.checks(b's', segment.node, segment.generation);
    let front = segment.file.read(0, CHUNK).map_err(|error| segment.failed(error))?;
    if !front.starts_with(&checks.marker()) {
        return Ok(None);
    }
    let records = (0..front.len()).filter_map(|at| match frame::read(&checks, front.get(at..)?) {
        Read::Whole(frame) => record::decode(&checks, frame.head, frame.blobs),
        _ => None,
    });
    Ok(Some(!records.into_iter().any(|record| matches!(record, Record::Write(_) | Record::Seal(_)))))
}

impl State {
    pub fn phase(&self) -> Phase {
        match (&self.partials, self.seal) {
            (Some(_), _) => Phase::Waiting,
            (None, None) => Phase::Live,
            (None, Some(seal)) => Phase::Sealed(seal),
        }
    }

    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn next_version(&self) -> u64 {
        self.pairs.next
    }

    pub fn memory(&self) -> usize {
        self.pairs.memory
    }

    pub fn get(&self, place: u64, id: &[u8], far: bool) -> Option<Found> {
        self.pairs.get(place, id, far).cloned()
    }

    /// All pairs, by place and version.
    pub fn items(&self) -> Vec<Item> {
        self.pairs.items()
    }

    /// Files of values and keys that were replaced since the segment's base.
    pub fn dead(&self) -> &[ValueName] {
        &self.pairs.dead
    }

    fn damaged(&self, what: &str) -> Error {
        damaged(&self.name, what)
    }

    /// Reads and applies what was appended since the last time, to the end of the file.
    pub fn read_on<F: File>(&mut self, file: &F, keys: &Keys) -> Result<()> {
        let mut window = Vec::new();
        let mut want = 512;
        while self.seal.is_none() {
            let at = self.position + window.len() as u64;
            if at > MAX_SIZE {
                return Err(self.damaged("it is larger than any segment this store writes"));
            }
            let failed = |error| crate::error::failed(&format!("the file {}", self.name), error);
            let bytes = file.read(at, want).map_err(failed)?;
            let end = bytes.is_empty();
            window.extend_from_slice(&bytes);
            let used = self.consume(keys, &window, end)?;
            window.drain(..used.min(window.len()));
            self.position += used as u64;
            if end {
                break;
            }
            want = CHUNK;
        }
        Ok(())
    }

    fn consume(&mut self, keys: &Keys, window: &[u8], end: bool) -> Result<usize> {
        let mut at = 0;
        while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(size) = self.take(keys, rest, self.position + at as u64)? {
                at += size;
                if self.seal.is_some() {
                    return Ok(at);
                }
                continue;
            }
            // No whole record. It may be one that is being written, unless there is a whole one after it or more bytes
            // than it can have.
            if matches!(frame::read(&self.checks, rest), Read::Short(_)) && !end && rest.len() < MAX_FRAME {
                return Ok(at);
            }
            match self.scan(rest)? {
                Some(gap) => at += gap,
                None => return Ok(at + rest.len().saturating_sub(MAX_FRAME)),
            }
        }
        Ok(at)
    }

    /// The distance to the next whole record after the front of `rest`.
    fn scan(&mut self, rest: &[u8]) -> Result<Option<usize>> {
        let marker = self.checks.marker();
        let mut from = 1;
        while let Some(found) = rest.get(from..).and_then(|rest| rest.windows(4).position(|bytes| bytes == marker)) {
            let at = from + found;
            let candidate = rest.get(at..).unwrap_or_default();
            let cost = frame::cost(candidate) as u64;
            self.scan_budget = match self.scan_budget.checked_sub(cost) {
                Some(left) => left,
                None => return Err(self.damaged("it has too many broken records")),
            };
            if let Read::Whole(frame) = frame::read(&self.checks, candidate)
                && record::decode(&self.checks, frame.head, frame.blobs).is_some()
            {
                return Ok(Some(at));
            }
            from = at + 1;
        }
        Ok(None)
    }

    /// Applies the record at the beginning of `rest`, if it is a whole one, and returns its size.
    fn take(&mut self, keys: &Keys, rest: &[u8], at: u64) -> Result<Option<usize>> {
        let Read::Whole(frame) = frame::read(&self.checks, rest) else { return Ok(None) };
        let Some(record) = record::decode(&self.checks, frame.head, frame.blobs) else { return Ok(None) };
        let blobs = at + (HEADER + frame.head.len()) as u64;
        match record {
            Record::Base(base) => self.take_base(keys, base, blobs)?,
            Record::Write(ops) if self.partials.is_none() => {
                ops.flatten().for_each(|op| self.pairs.apply(keys, op, blobs));
            }
            Record::Seal(seal) if self.partials.is_none() => self.seal = Some(seal),
            // Before the base, or a record of another kind of file: it has no effect.
            _ => {}
        }
        Ok(Some(frame.size()))
    }

    fn take_base(&mut self, keys: &Keys, base: Base<'_>, blobs: u64) -> Result<()> {
        let Some(partials) = &mut self.partials else { return Ok(()) };
        if base.format != FORMAT {
            let message = format!(
                "the file {} was written in format {} of this store; use the version that wrote it",
                self.name, base.format
            );
            return Err(Error::new(Kind::Unsupported, message));
        }
        if base.follows != self.follows {
            // A power cut took the seal that it follows, and with it everything that followed from that.
            return Ok(());
        }
        let place = partials.iter().position(|partial| partial.writer == base.writer);
        let mut partial = match place {
            Some(place) => partials.remove(place),
            None => {
                let pairs = Pairs::new(base.next);
                Partial { writer: base.writer, next_part: 0, parts: base.parts, pairs }
            }
        };
        if base.part != partial.next_part || base.parts != partial.parts || base.next != partial.pairs.next {
            // A part is missing, so this writer's base will never be whole.
            return Ok(());
        }
        partial.next_part += 1;
        base.pairs.flatten().for_each(|pair| partial.pairs.load(keys, pair, blobs));
        if partial.next_part == partial.parts {
            self.pairs = partial.pairs;
            self.pairs.dead.clear();
            self.partials = None;
            return Ok(());
        }
        if partials.len() >= MAX_PARTIAL {
            partials.remove(0);
        }
        partials.push(partial);
        Ok(())
    }
}
