//! One segment: an append-only file with a base, the records behind it, and now and then an index of those.
//!
//! A segment is opened from its end: the last index or the base is found there, and what lies behind it is read. From then
//! on only what was appended since the last look is read. How a key is found is in [`lookup`](crate::lookup).

use crate::config::Config;
use crate::encode::Encoder;
use crate::flaw::Flaw;
use crate::frame::{self, HEADER, MAX_FRAME, OVERHEAD, Read};
use crate::gap::{self, Gap};
use crate::hash::{Checks, Keys};
use crate::heap::same;
use crate::item::Outcome;
use crate::name::{Node, ValueName};
use crate::record::{self, Base, Index, Op, Plan, Record, Seal, Seen, Totals};
use crate::room::Shared;
use crate::run::Run;
use crate::tail::Tail;
use crate::v2;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{File, FileError};
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes to ask for when nothing new is expected.
pub const PROBE: usize = 512;
/// Bytes to ask for when there is more. Hosts give no more than this at once.
pub const CHUNK: usize = 64 << 10;
/// Largest segment this store reads, in bytes; it writes none near it.
pub const MAX_SIZE: u64 = 1 << 30;
/// Bytes behind the known position above which a segment is opened again rather than read on.
const FAR: u64 = 512 << 10;
/// Bytes before the rest of a cut record in which its beginning is looked for.
const PAST: u64 = 256 << 10;
/// Positions remembered, to check what writers say that they have seen.
const RECENT: usize = 64;

/// The stages of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no base yet.
    Waiting,
    Live,
    Sealed(Seal),
}

/// A base that is there.
pub struct BaseAt {
    pub run: Run,
    pub totals: Totals,
    pub next: u64,
    /// Where its record is, and how long it is.
    pub at: (u32, u32),
}

/// The index that counts.
pub struct IndexAt {
    pub run: Run,
    /// Entries that came while its pages were written.
    pub last: Rc<[u8]>,
    pub dead: Vec<ValueName>,
    pub dead_bytes: u64,
    /// Up to where it covers the file.
    pub covers: u64,
}

pub struct Segment<F> {
    pub file: F,
    pub node: Node,
    pub generation: u64,
    /// The seal that its base follows. Bases that follow another one have no effect.
    pub follows: u64,
    pub checks: Checks,
    pub phase: Phase,
    pub base: Option<BaseAt>,
    pub index: Option<IndexAt>,
    pub tail: Tail,
    /// The same file in format 2, if it is in that.
    pub old: Option<Box<v2::State>>,
    /// Where this instance has read to.
    pub position: u64,
    /// The offset of something that is damaged. What was last written before it cannot be relied on.
    pub hole: Option<u64>,
    /// Whether a power cut took something. No write behind that counts, only a seal.
    pub ended: bool,
    /// Ends of records read last, with the versions there.
    recent: VecDeque<Seen>,
    /// Bytes that were not a whole record, with valid ones behind them.
    pub skipped: u64,
    pub writable: bool,
    /// The operation in which it was looked at for news last.
    pub looked: u64,
    /// The operation in which it was used last.
    pub used: u64,
    /// Up to where its content is known to survive a power cut.
    pub synced: u64,
    /// Whether its name is known to survive one.
    pub named: bool,
    /// Whether a sync of it failed. What was not synced by then may never be, even if a later sync succeeds.
    pub poisoned: bool,
    /// Bytes that may still be hashed while looking for a record among other bytes.
    scan_budget: u64,
    pub shared: Rc<Shared>,
    pub config: Config,
}

/// A write that this instance has appended, and what it did.
pub struct Sent<'a> {
    pub id: u64,
    pub frame: Vec<u8>,
    /// Where in the frame the blobs begin.
    pub blobs: usize,
    /// Its operations, with the places of their keys.
    pub ops: Vec<(u64, Op<'a>)>,
    /// Whether `ops` are exactly what a reader of the frame would find.
    pub complete: bool,
    /// What the last of them did. `None` until the write is found among those that count.
    pub outcome: Option<Outcome>,
}

fn all_found(sent: &[Sent<'_>]) -> bool {
    !sent.is_empty() && sent.iter().all(|sent| sent.outcome.is_some())
}

impl<F: File> Segment<F> {
    /// A segment of which nothing is read yet. `place` is node, generation and the seal that it follows.
    pub fn new(file: F, keys: &Keys, place: (Node, u64, u64), writable: bool, about: (Rc<Shared>, Config)) -> Self {
        let (node, generation, follows) = place;
        let checks = keys.checks(b'S', node, generation);
        let poisoned = about.0.failed.borrow().contains(&checks.file()) && !about.1.has(Flaw::FailedSyncForgotten);
        Self {
            file,
            node,
            generation,
            follows,
            checks,
            phase: Phase::Waiting,
            base: None,
            index: None,
            tail: Tail::default(),
            old: None,
            position: 0,
            hole: None,
            ended: false,
            recent: VecDeque::new(),
            skipped: 0,
            writable,
            looked: 0,
            used: 0,
            synced: 0,
            named: false,
            poisoned,
            scan_budget: 64 << 20,
            shared: about.0,
            config: about.1,
        }
    }

    pub fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    pub fn sealed(&self) -> Option<Seal> {
        match self.phase {
            Phase::Sealed(seal) => Some(seal),
            _ => None,
        }
    }

    /// An estimate of the memory it takes, in bytes, without pages.
    pub fn memory(&self) -> usize {
        let base = self.base.as_ref().map_or(0, |base| base.run.memory());
        let index = self.index.as_ref().map_or(0, |index| index.run.memory() + index.last.len());
        let old = self.old.as_ref().map_or(0, |old| old.memory());
        self.tail.memory() + base + index + old + size_of::<Self>()
    }

    /// The version that the next operation gets.
    pub fn next_version(&self) -> u64 {
        self.old.as_ref().map_or(self.tail.next_version(), |old| old.next_version())
    }

    /// What a record that is written now says of the file.
    pub fn seen(&self) -> Seen {
        Seen { position: self.position as u32, version: self.next_version() as u32 }
    }

    /// Where the records behind the base begin.
    pub fn base_end(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| u64::from(base.at.0) + u64::from(base.at.1))
    }

    /// Up to where an index, or else the base, covers the file.
    pub fn covered(&self) -> u64 {
        self.index.as_ref().map_or_else(|| self.base_end(), |index| index.covers)
    }

    /// Finds the base and the latest index, looking from the end, and reads what lies behind them.
    ///
    /// # Errors
    /// Of reading; [`Kind::Damaged`] for what no instance of this store writes, [`Kind::Unsupported`] for another format.
    pub fn open(&mut self, keys: &Keys) -> Result<()> {
        (self.phase, self.base, self.index, self.old) = (Phase::Waiting, None, None, None);
        let size = self.file.size().map_err(|error| self.failed(error))?;
        if size > MAX_SIZE {
            return Err(self.damaged("it is larger than any segment this store writes"));
        }
        let (mut window, mut start) = (Vec::new(), size);
        while start > 0 {
            let from = start.saturating_sub(CHUNK as u64);
            let mut bytes = self.exactly(from, (start - from) as usize)?;
            let fresh = bytes.len();
            bytes.extend_from_slice(&window);
            (window, start) = (bytes, from);
            // A record may begin in these bytes and end in those looked at before.
            for at in self.roots(&window, fresh)?.into_iter().rev() {
                if self.begin(keys, &window, start, start + at as u64)? {
                    return Ok(());
                }
            }
            if window.len() <= CHUNK
                && let Some(old) = v2::open(self, keys, size)?
            {
                (self.phase, self.position) = (old.phase(), old.position());
                self.old = Some(Box::new(old));
                return Ok(());
            }
        }
        Ok(())
    }

    /// The bases and indices that begin in the first `fresh` bytes of the window.
    fn roots(&mut self, window: &[u8], fresh: usize) -> Result<Vec<usize>> {
        let marker = self.checks.marker();
        let (mut at, mut roots) = (0, Vec::new());
        while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty() && at < fresh) {
            let Some((head, blobs)) = frame::lengths(&self.checks, rest) else {
                let next = rest.get(1..).and_then(|rest| rest.windows(4).position(|bytes| bytes == marker));
                let Some(next) = next else { break };
                at += next + 1;
                continue;
            };
            if record::is_root(rest.get(HEADER).copied()) && self.root_at(rest)?.is_some() {
                roots.push(at);
            }
            // What a torn record claims may have others inside.
            let whole = rest.get(HEADER + head + blobs) == Some(&self.checks.end())
                && self.spend(rest)
                && matches!(frame::read(&self.checks, rest), Read::Whole(frame)
                    if record::decode(&self.checks, frame.head, frame.blobs).is_some());
            at += if whole { OVERHEAD + head + blobs } else { 1 };
        }
        Ok(roots)
    }

    /// Takes the cost of judging some bytes off the budget; false if it is used up.
    fn spend(&mut self, bytes: &[u8]) -> bool {
        let cost = frame::cost(bytes) as u64;
        self.scan_budget = self.scan_budget.saturating_sub(cost);
        self.scan_budget > 0
    }

    /// The base or index that some bytes begin with, if it counts here.
    fn root_at<'a>(&self, bytes: &'a [u8]) -> Result<Option<Root<'a>>> {
        let Read::Whole(frame) = frame::read(&self.checks, bytes) else { return Ok(None) };
        match record::decode(&self.checks, frame.head, frame.blobs) {
            Some(Record::Base(base)) if base.follows == self.follows || self.config.has(Flaw::SealNotNamed) => {
                Ok(Some(Root::Base(base, frame.size())))
            }
            Some(Record::Foreign(format)) => Err(self.foreign(format)),
            Some(Record::Index(index)) => Ok(Some(Root::Index(index))),
            _ => Ok(None),
        }
    }

    /// Begins at the base or index at offset `at`; `window` holds the file from `start` on. False if it is an index of a
    /// base that does not count.
    fn begin(&mut self, keys: &Keys, window: &[u8], start: u64, at: u64) -> Result<bool> {
        let root = window.get((at - start) as usize..).unwrap_or_default();
        match self.root_at(root)? {
            Some(Root::Base(base, size)) => {
                // Another writer's base may have come first, since this one's looked.
                let looked = u64::from(base.seen.position);
                if looked < at && !self.config.has(Flaw::LastBaseCounts) {
                    let before = self.exactly(looked, (at - looked) as usize)?;
                    for (offset, _) in before.windows(4).enumerate().filter(|(_, four)| *four == self.checks.marker()) {
                        let bytes = before.get(offset..).unwrap_or_default();
                        if let Some(Root::Base(first, size)) = self.root_at(bytes)? {
                            let (position, first) =
                                (looked + offset as u64, self.base_at(&first, looked, offset, size)?);
                            self.start_at(first, None, position + size as u64);
                            return self.read_on(keys, CHUNK, (Vec::new(), u64::MAX), &mut []).map(|()| true);
                        }
                    }
                }
                let end = at + size as u64;
                let base = self.base_at(&base, at, 0, size)?;
                self.start_at(base, None, end);
            }
            Some(Root::Index(index)) => {
                let base = self.exactly(u64::from(index.base.0), index.base.1 as usize)?;
                let Some(Root::Base(base, size)) = self.root_at(&base)? else {
                    // A power cut may have taken the seal that it followed.
                    return match frame::read(&self.checks, &base) {
                        Read::Whole(_) => Ok(false),
                        _ => Err(self.damaged("its base is not as it was written")),
                    };
                };
                let base = self.base_at(&base, u64::from(index.base.0), 0, size)?;
                let (covers, next) = (u64::from(index.seen.position), index.next);
                let index = index_at(&index);
                self.start_at(base, Some((index, next)), covers);
            }
            None => return Err(self.damaged("it changed while it was read")),
        }
        let rest = self.position.checked_sub(start).and_then(|skip| window.get(skip as usize..)).unwrap_or_default();
        self.consume(keys, rest, true, &mut [])?;
        // What is left may be a record on its way; and an index may cover less than what lies before the window.
        if self.position < start + window.len() as u64 {
            self.read_on(keys, CHUNK, (Vec::new(), u64::MAX), &mut [])?;
        }
        Ok(true)
    }

    fn base_at(&self, base: &Base<'_>, from: u64, offset: usize, size: usize) -> Result<BaseAt> {
        let at = u32::try_from(from + offset as u64).map_err(|_| self.damaged("it is too large"))?;
        let run = Run::new(base.run, &base.directory);
        if run.pages() == 0 {
            return Err(self.damaged("its base has no pages"));
        }
        Ok(BaseAt { run, totals: base.totals, next: base.next, at: (at, size as u32) })
    }

    fn start_at(&mut self, base: BaseAt, index: Option<(IndexAt, u64)>, position: u64) {
        let next = index.as_ref().map_or(base.next, |(_, next)| *next);
        self.tail = Tail::new(next);
        self.index = index.map(|(index, _)| index);
        (self.base, self.phase, self.position) = (Some(base), Phase::Live, position);
        (self.hole, self.ended) = (None, false);
        self.recent.clear();
        self.recent.push_back(self.seen());
    }

    /// Reads and applies what was appended since the last time, to the end of the file. `expect` is how many bytes are
    /// likely.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn catch_up(&mut self, keys: &Keys, expect: usize) -> Result<()> {
        self.read_on(keys, expect, (Vec::new(), FAR), &mut [])
    }

    /// The same, to the last of the writes that this instance has just appended. Those that took part have an outcome
    /// then; the others are torn or behind a seal, and never will.
    pub fn read_back(&mut self, keys: &Keys, sent: &mut [Sent<'_>]) -> Result<()> {
        let expect = sent.iter().map(|sent| sent.frame.len()).sum::<usize>() + PROBE;
        self.read_on(keys, expect, (Vec::new(), u64::MAX), sent)
    }

    /// `window` is what was read already from the position on. Rather than to read further than `far`, the segment is
    /// opened again.
    fn read_on(
        &mut self,
        keys: &Keys,
        expect: usize,
        (mut window, far): (Vec<u8>, u64),
        sent: &mut [Sent<'_>],
    ) -> Result<()> {
        if let Some(old) = &mut self.old {
            old.read_on(&self.file, keys)?;
            (self.phase, self.position) = (old.phase(), old.position());
            return Ok(());
        }
        let begun = self.position;
        let mut want = expect.max(PROBE);
        let mut judged = false;
        if !window.is_empty() {
            let used = self.consume(keys, &window, false, sent)?;
            window.drain(..used.min(window.len()));
        }
        while self.sealed().is_none() || self.config.has(Flaw::SealIgnored) {
            let at = self.position + window.len() as u64;
            if at > MAX_SIZE {
                return Err(self.damaged("it is larger than any segment this store writes"));
            }
            let bytes = self.file.read(at, want).map_err(|error| self.failed(error))?;
            let end = bytes.is_empty() || self.config.has(Flaw::ShortReadIsEnd) && bytes.len() < want;
            if window.is_empty() {
                window = bytes;
            } else {
                window.try_reserve(bytes.len()).map_err(|_| self.damaged("no memory is left to read it"))?;
                window.extend_from_slice(&bytes);
            }
            let used = self.consume(keys, &window, end, sent)?;
            window.drain(..used.min(window.len()));
            if all_found(sent) {
                break;
            }
            if end {
                // What stays may be a record on its way, but never one that has all its bytes.
                if window.is_empty() || self.judge(&window, self.position)? != Gap::Damaged {
                    break;
                }
                if std::mem::replace(&mut judged, true) {
                    self.break_at(self.position);
                    break;
                }
                window.clear();
                want = CHUNK;
                continue;
            }
            if self.position > begun.saturating_add(far) && !self.is_waiting() {
                return self.open(keys);
            }
            want = CHUNK;
        }
        Ok(())
    }

    /// Applies the records at the front of `window`, which begins at the position; gives the bytes that are done with.
    /// The position is moved on with every record, so that an error in between leaves one that fits the state.
    fn consume(&mut self, keys: &Keys, window: &[u8], end: bool, sent: &mut [Sent<'_>]) -> Result<usize> {
        let mut at = 0;
        while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(size) = self.take(keys, rest, self.position, sent)? {
                at += size;
                self.position += size as u64;
                self.recent
                    .push_back(Seen { position: self.position as u32, version: self.tail.next_version() as u32 });
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
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
                    let bytes = rest.get(..gap).unwrap_or_default();
                    match self.judge(bytes, self.position)? {
                        Gap::Torn => {}
                        Gap::Lost => self.ended = !self.config.has(Flaw::LostPageSkipped),
                        Gap::Damaged => self.break_at(self.position),
                    }
                    self.skipped += gap as u64;
                    at += gap;
                    self.position += gap as u64;
                }
                None => {
                    let past = rest.len().saturating_sub(MAX_FRAME);
                    self.skipped += past as u64;
                    self.position += past as u64;
                    return Ok(at + past);
                }
            }
        }
        Ok(at)
    }

    /// Judges bytes that are not a whole record.
    pub fn judge(&self, bytes: &[u8], at: u64) -> Result<Gap> {
        let gap = gap::judge(&self.checks, bytes, at);
        if gap != Gap::Damaged {
            return Ok(gap);
        }
        // It may be the rest of a record that the host cut, which began further ahead.
        let from = at.saturating_sub(PAST);
        let before = self.exactly(from, (at - from) as usize)?;
        Ok(gap::judge_behind(&self.checks, &before, bytes, at))
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
            if !self.spend(candidate) {
                return Err(self.damaged("it has too many broken records"));
            }
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
        let live = self.phase == Phase::Live || self.sealed().is_some() && self.config.has(Flaw::SealIgnored);
        let counts = live && !self.ended;
        let pending = sent.iter_mut().find(|sent| sent.outcome.is_none());
        // What this instance sent a moment ago needs no checksum and no decoding: it is compared.
        if let Some(sent) = pending
            && counts
            && sent.complete
            && rest.get(..sent.frame.len()).is_some_and(|there| same(there, &sent.frame))
        {
            for (ordinal, (place, op)) in (0u16..).zip(&sent.ops) {
                sent.outcome = Some(self.tail.apply(*place, *op, at, at + sent.blobs as u64, ordinal));
            }
            return Ok(Some(sent.frame.len()));
        }
        let Read::Whole(frame) = frame::read(&self.checks, rest) else { return Ok(None) };
        let Some(record) = record::decode(&self.checks, frame.head, frame.blobs) else { return Ok(None) };
        let size = frame.size();
        let blobs = at + (HEADER + frame.head.len()) as u64;
        match record {
            Record::Write { id, seen, ops } if counts && self.agrees(seen, at) => {
                let mut last = None;
                for (ordinal, op) in (0u16..).zip(ops.flatten()) {
                    last = Some(self.tail.apply(keys.place(op.key().id()), op, at, blobs, ordinal));
                }
                if let Some(sent) = sent.iter_mut().find(|sent| sent.id == id) {
                    sent.outcome = last;
                }
            }
            Record::Seal { seal, seen } if self.phase == Phase::Live && (self.ended || self.agrees(seen, at)) => {
                self.phase = Phase::Sealed(seal);
            }
            Record::Index(index) if self.phase == Phase::Live => self.adopt(&index, at),
            Record::Base(base) if self.is_waiting() && base.follows == self.follows => {
                let base = self.base_at(&base, at, 0, size)?;
                self.start_at(base, None, self.position);
            }
            Record::Foreign(format) if self.is_waiting() => return Err(self.foreign(format)),
            // Before the base, or nothing that changes the state.
            _ => {}
        }
        Ok(Some(size))
    }

    /// Whether what a writer had seen is what was seen here. If not, a record that counted has gone.
    fn agrees(&mut self, seen: Seen, at: u64) -> bool {
        let known = self.recent.iter().rev().find(|known| known.position <= seen.position);
        let agrees = known.is_none_or(|known| known.position != seen.position || known.version == seen.version);
        if !agrees && !self.config.has(Flaw::LostPageSkipped) {
            self.break_at(at);
            return false;
        }
        true
    }

    /// Goes over to an index that was found while reading on.
    fn adopt(&mut self, index: &Index<'_>, at: u64) {
        let Some(base) = &self.base else { return };
        if self.ended {
            // Everything that it covers was synced before it was written: what was lost, no power cut took.
            self.break_at(at);
            return;
        }
        if index.base != base.at || u64::from(index.seen.position) <= self.covered() {
            return;
        }
        let known = self.recent.iter().find(|known| known.position == index.seen.position);
        match known {
            Some(known) if known.version == index.seen.version => {
                self.tail.forget_below(index.next);
                (self.tail.dead, self.tail.dead_bytes) = (Vec::new(), 0);
                self.index = Some(index_at(index));
            }
            Some(_) => self.break_at(at),
            // It is found when the segment is opened the next time.
            None => {}
        }
    }

    /// Whether a file without a base has more than pages and torn records. Then it had a base.
    pub fn is_more_than_begun(&mut self) -> Result<bool> {
        let (mut at, mut window) = (0u64, Vec::new());
        loop {
            let bytes = self.file.read(at + window.len() as u64, CHUNK).map_err(|error| self.failed(error))?;
            let end = bytes.is_empty();
            window.extend_from_slice(&bytes);
            while let Some(size) = self.beginning(&window)? {
                window.drain(..size);
                at += size as u64;
            }
            if end || window.len() > 2 * MAX_FRAME {
                break;
            }
        }
        let gap = self.scan(&window)?.unwrap_or(window.len());
        if self.judge(window.get(..gap).unwrap_or_default(), at)? == Gap::Damaged {
            return Ok(true);
        }
        let rest = window.get(gap..).unwrap_or_default();
        Ok(self.beginning(rest)?.is_none() && !rest.is_empty())
    }

    /// The size of what `bytes` begin with, if that is appended before there is a base: with what was torn before it.
    fn beginning(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let gap = match frame::read(&self.checks, bytes) {
            Read::Whole(_) => 0,
            _ => match self.scan(bytes)? {
                Some(gap) if gap::judge(&self.checks, bytes.get(..gap).unwrap_or_default(), 0) != Gap::Damaged => gap,
                _ => return Ok(None),
            },
        };
        let Read::Whole(frame) = frame::read(&self.checks, bytes.get(gap..).unwrap_or_default()) else {
            return Ok(None);
        };
        let first =
            matches!(record::decode(&self.checks, frame.head, frame.blobs), Some(Record::Pages | Record::Base(_)));
        Ok(first.then_some(gap + frame.size()))
    }

    fn break_at(&mut self, at: u64) {
        self.hole = Some(self.hole.map_or(at, |hole| hole.max(at)));
    }

    /// Appends a seal, and reads on. It may be torn, and then the segment is not sealed.
    pub fn seal(&mut self, keys: &Keys, id: u64, plan: Plan) -> Result<()> {
        let seal = match &self.old {
            Some(old) => v2::encode::seal(old.checks(), id, plan),
            None => Encoder::seal(&self.checks, id, self.seen(), plan),
        };
        let sent = self.file.append(&seal);
        self.catch_up(keys, 0)?;
        if self.sealed().is_none() {
            sent.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Makes what was read survive a power cut. Once this has failed, it always fails.
    pub fn sync(&mut self) -> Result<()> {
        if self.poisoned {
            return Err(self.failed(FileError::Io));
        }
        self.file.sync().map_err(|error| {
            if !self.config.has(Flaw::FailedSyncForgotten) {
                self.poisoned = true;
                self.shared.failed.borrow_mut().insert(self.checks.file());
            }
            self.failed(error)
        })
    }

    /// Reads bytes that have to be there.
    pub fn exactly(&self, at: u64, length: usize) -> Result<Vec<u8>> {
        let mut out = self.file.read(at, length).map_err(|error| self.failed(error))?;
        while out.len() < length {
            let more = self.file.read(at + out.len() as u64, length - out.len()).map_err(|error| self.failed(error))?;
            if more.is_empty() {
                return Err(self.damaged("it ends before what it refers to"));
            }
            out.extend_from_slice(&more);
        }
        Ok(out)
    }

    pub fn name(&self) -> String {
        self.node.segment(self.generation)
    }

    pub fn damaged(&self, what: &str) -> Error {
        damaged(&self.name(), what)
    }

    fn foreign(&self, format: u16) -> Error {
        Error::new(
            Kind::Unsupported,
            format!(
                "the file {} is in format {format} of this store, and this version knows formats 2 and {}; use the \
                 version that wrote it",
                self.name(),
                record::FORMAT
            ),
        )
    }

    pub fn failed(&self, error: FileError) -> Error {
        crate::error::failed(&format!("the file {}", self.name()), error)
    }
}

/// What a segment can begin with.
enum Root<'a> {
    /// With the size of its frame.
    Base(Base<'a>, usize),
    Index(Index<'a>),
}

fn index_at(index: &Index<'_>) -> IndexAt {
    IndexAt {
        run: Run::new(index.run, &index.directory),
        last: index.last.into(),
        dead: index.dead().collect(),
        dead_bytes: index.dead_file_bytes,
        covers: u64::from(index.seen.position),
    }
}

/// The error for a file that is not as this store wrote it.
pub fn damaged(name: &str, what: &str) -> Error {
    Error::new(
        Kind::Damaged,
        format!(
            "the file {name} is damaged: {what}; `kvfuse stat` shows the extent, `kvfuse repair` saves what can be read"
        ),
    )
}
