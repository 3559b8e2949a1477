//! One segment: an append-only file, read up to where this instance last stopped.

use crate::config::Config;
use crate::flaw::Flaw;
use crate::frame::{self, HEADER, MAX_FRAME, Read};
use crate::hash::{Checks, Keys};
use crate::heap::same;
use crate::item::Outcome;
use crate::name::Node;
use crate::record::{self, Base, FORMAT, Op, Plan, Record};
use crate::state::State;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{File, FileError};

/// Bytes to ask for when nothing new is expected.
pub const PROBE: usize = 512;
/// Bytes to ask for when there is more.
const CHUNK: usize = 256 << 10;
/// Largest segment this store reads, in bytes; it writes none near it.
const MAX_SIZE: u64 = 256 << 20;
/// Writers of a base in parts that are followed at once; the oldest is given up first. Part of the format.
const MAX_PARTIAL: usize = 16;

/// How far a segment has come.
pub enum Phase {
    /// There is no base yet; here is what its writers have written of it.
    Waiting(Vec<Partial>),
    Live,
    Sealed(Seal),
}

/// The end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    pub id: u64,
    pub plan: Plan,
}

fn all_found(sent: &[Sent<'_>]) -> bool {
    !sent.is_empty() && sent.iter().all(|sent| sent.outcome.is_some())
}

/// A base of which not all parts are there.
pub struct Partial {
    writer: u64,
    next_part: u16,
    parts: u16,
    state: State,
}

pub struct Segment<F> {
    pub file: F,
    pub node: Node,
    pub generation: u64,
    /// The seal that its base follows; others' bases do nothing.
    pub follows: u64,
    pub checks: Checks,
    pub phase: Phase,
    pub state: State,
    /// Where this instance has read to.
    pub position: u64,
    /// Bytes that were no whole record, with valid ones behind them.
    pub skipped: u64,
    pub writable: bool,
    /// The operation in which it was looked at for news last.
    pub looked: u64,
    /// The operation in which it was used last.
    pub used: u64,
    /// Up to where its content is known to last through a power cut.
    pub synced: u64,
    /// Whether its name is known to.
    pub named: bool,
    /// Bytes that may still be hashed looking for a record in what is none.
    scan_budget: u64,
    config: Config,
}

/// A write that this instance has appended, and what became of it.
pub struct Sent<'a> {
    pub id: u64,
    pub frame: Vec<u8>,
    /// Where in the frame the blobs begin.
    pub blobs: usize,
    /// Its operations, with the hashes of their keys.
    pub ops: Vec<(u64, Op<'a>)>,
    /// What the last of them did. `None` as long as the write was not found among those that count.
    pub outcome: Option<Outcome>,
}

impl<F: File> Segment<F> {
    /// A segment of which nothing is read yet.
    pub fn new(file: F, keys: &Keys, place: (Node, u64, u64), writable: bool, config: Config) -> Self {
        let (node, generation, follows) = place;
        Self {
            file,
            node,
            generation,
            follows,
            checks: keys.checks(b's', node, generation),
            phase: Phase::Waiting(Vec::new()),
            state: State::default(),
            position: 0,
            skipped: 0,
            writable,
            looked: 0,
            used: 0,
            synced: 0,
            named: false,
            scan_budget: 64 << 20,
            config,
        }
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    pub fn sealed(&self) -> Option<Seal> {
        match self.phase {
            Phase::Sealed(seal) => Some(seal),
            _ => None,
        }
    }

    /// An estimate of the memory it takes, in bytes.
    pub fn memory(&self) -> usize {
        self.state.memory() + size_of::<Self>()
    }

    /// Reads and applies what was appended since the last time, to the end of the file. `expect` is how many bytes are
    /// likely.
    ///
    /// # Errors
    /// Of reading; [`Kind::Damaged`] for what no instance of this store writes, [`Kind::Unsupported`] for another format.
    pub fn catch_up(&mut self, keys: &Keys, expect: usize) -> Result<()> {
        self.read_on(keys, expect, &mut [])
    }

    /// The same, to the last of the writes that this instance has just appended. Those that took part have an outcome
    /// then; the others are torn or behind a seal, and never will.
    pub fn read_back(&mut self, keys: &Keys, sent: &mut [Sent<'_>]) -> Result<()> {
        let expect = sent.iter().map(|sent| sent.frame.len()).sum::<usize>() + PROBE;
        self.read_on(keys, expect, sent)
    }

    fn read_on(&mut self, keys: &Keys, expect: usize, sent: &mut [Sent<'_>]) -> Result<()> {
        let mut window = Vec::new();
        let mut want = expect.max(PROBE);
        while self.sealed().is_none() || self.config.has(Flaw::SealIgnored) {
            let at = self.position + window.len() as u64;
            if at > MAX_SIZE {
                return Err(self.damaged("it is larger than any segment this store writes"));
            }
            let bytes = self.file.read(at, want).map_err(|error| self.failed(error))?;
            let end = bytes.is_empty();
            if window.is_empty() {
                window = bytes;
            } else {
                window.try_reserve(bytes.len()).map_err(|_| self.damaged("no memory is left to read it"))?;
                window.extend_from_slice(&bytes);
            }
            let used = self.consume(keys, &window, end, sent)?;
            window.drain(..used.min(window.len()));
            self.position += used as u64;
            if end || all_found(sent) {
                break;
            }
            want = CHUNK;
        }
        Ok(())
    }

    /// Applies the records at the front of `window`, which begins at the position; gives the bytes that are done with.
    fn consume(&mut self, keys: &Keys, window: &[u8], end: bool, sent: &mut [Sent<'_>]) -> Result<usize> {
        let mut at = 0;
        while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(size) = self.take(keys, rest, self.position + at as u64, sent)? {
                at += size;
                if (self.sealed().is_some() && !self.config.has(Flaw::SealIgnored)) || all_found(sent) {
                    return Ok(at);
                }
                continue;
            }
            // No whole record. It may be one on its way, unless there is a whole one behind it or more bytes than it
            // can have.
            if matches!(frame::read(&self.checks, rest), Read::Short(_)) && !end && rest.len() < MAX_FRAME {
                return Ok(at);
            }
            match self.scan(rest)? {
                Some(gap) => {
                    self.skipped += gap as u64;
                    at += gap;
                }
                None => {
                    let past = rest.len().saturating_sub(MAX_FRAME);
                    self.skipped += past as u64;
                    return Ok(at + past);
                }
            }
        }
        Ok(at)
    }

    /// The distance to the next whole record behind the front of `rest`.
    fn scan(&mut self, rest: &[u8]) -> Result<Option<usize>> {
        if self.config.has(Flaw::TornHidesRest) {
            return Ok(None);
        }
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

    /// Applies the record that `rest` begins with, if it is a whole one, and gives its size.
    fn take(&mut self, keys: &Keys, rest: &[u8], at: u64, sent: &mut [Sent<'_>]) -> Result<Option<usize>> {
        let counts = matches!(self.phase, Phase::Live) || self.sealed().is_some() && self.config.has(Flaw::SealIgnored);
        let pending = sent.iter_mut().find(|sent| sent.outcome.is_none());
        // What this instance sent a moment ago needs no checksum and no decoding: it is compared.
        if let Some(sent) = pending
            && counts
            && rest.get(..sent.frame.len()).is_some_and(|there| same(there, &sent.frame))
        {
            for (hash, op) in &sent.ops {
                sent.outcome = Some(self.state.apply(*hash, *op, at + sent.blobs as u64));
            }
            return Ok(Some(sent.frame.len()));
        }
        let Read::Whole(frame) = frame::read(&self.checks, rest) else { return Ok(None) };
        let Some(record) = record::decode(&self.checks, frame.head, frame.blobs) else { return Ok(None) };
        let blobs = at + (HEADER + frame.head.len()) as u64;
        match record {
            Record::Base(base) => self.take_base(keys, base, blobs)?,
            Record::Write { id, ops } if counts => {
                let mut last = None;
                for op in ops.flatten() {
                    last = Some(self.state.apply(keys.place(op.key().id()), op, blobs));
                }
                if let Some(sent) = sent.iter_mut().find(|sent| sent.id == id) {
                    sent.outcome = last;
                }
            }
            Record::Seal { id, plan } if matches!(self.phase, Phase::Live) => {
                self.phase = Phase::Sealed(Seal { id, plan });
            }
            // Before the base, or of another kind of file: it does nothing.
            _ => {}
        }
        Ok(Some(frame.size()))
    }

    fn take_base(&mut self, keys: &Keys, base: Base<'_>, blobs: u64) -> Result<()> {
        if self.config.has(Flaw::LastBaseCounts) && matches!(self.phase, Phase::Live) {
            self.phase = Phase::Waiting(Vec::new());
        }
        let Phase::Waiting(partials) = &mut self.phase else { return Ok(()) };
        if base.format != FORMAT {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "the data was written in format {} of this store, and this version knows only format {FORMAT}; use \
                     the version that wrote it",
                    base.format
                ),
            ));
        }
        if base.follows != self.follows && !self.config.has(Flaw::SealNotNamed) {
            // A power cut took the seal that it follows, and with it what came of that.
            return Ok(());
        }
        let place = partials.iter().position(|partial| partial.writer == base.writer);
        let mut partial = match place {
            Some(place) => partials.remove(place),
            None => Partial { writer: base.writer, next_part: 0, parts: base.parts, state: State::new(base.next) },
        };
        if base.part != partial.next_part || base.parts != partial.parts || base.next != partial.state.next_version() {
            // A part is missing, so this writer's base will never be whole.
            return Ok(());
        }
        partial.next_part += 1;
        for pair in base.pairs.flatten() {
            partial.state.load(keys, pair, blobs);
        }
        if partial.next_part == partial.parts {
            self.state = partial.state;
            self.state.dead_files.clear();
            self.state.dead_file_bytes = 0;
            self.phase = Phase::Live;
            return Ok(());
        }
        if partials.len() >= MAX_PARTIAL {
            partials.remove(0);
        }
        partials.push(partial);
        Ok(())
    }

    /// Reads a value that is in the segment.
    pub fn blob(&self, at: u64, length: u32, check: u64) -> Result<Vec<u8>> {
        let length = length as usize;
        let mut out = Vec::new();
        while out.len() < length {
            let bytes =
                self.file.read(at + out.len() as u64, length - out.len()).map_err(|error| self.failed(error))?;
            if bytes.is_empty() {
                break;
            }
            if out.is_empty() {
                out = bytes;
            } else {
                out.extend_from_slice(&bytes);
            }
        }
        if out.len() != length || self.checks.sum(&out) != check {
            return Err(self.damaged("a value in it is not as it was written"));
        }
        Ok(out)
    }

    fn name(&self) -> String {
        self.node.segment(self.generation)
    }

    pub fn damaged(&self, what: &str) -> Error {
        Error::new(Kind::Damaged, format!("the file {} is damaged: {what}", self.name()))
    }

    pub fn failed(&self, error: FileError) -> Error {
        crate::error::failed(&format!("the file {}", self.name()), error)
    }
}
