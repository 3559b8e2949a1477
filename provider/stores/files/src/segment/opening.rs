//! Opening a segment: finding where to begin, from its end.

use super::{BaseAt, CHUNK, IndexAt, MAX_SIZE, Phase, Segment};
use crate::flaw::Flaw;
use crate::frame::{self, HEADER, MAX_FRAME, Read};
use crate::gap::{self, Gap};
use crate::hash::Keys;
use crate::record::{self, Base, Index, Record};
use crate::run::Run;
use crate::tail::Tail;
use crate::v2;
use kvfuse_core::Result;
use kvfuse_transport::files::File;

/// Bytes that are kept of those that were looked at and have no base or index: a record that begins before them may end
/// there. More than that only saves reading them again.
const WINDOW: usize = 1 << 20;

impl<F: File> Segment<F> {
    /// Finds the base and the latest index, searching from the end, and reads everything after them.
    ///
    /// # Errors
    /// Those of reading; [`Kind::Damaged`] if the file is damaged, [`Kind::Unsupported`] for another format.
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
            // Instances that were killed while they wrote a base may have left any number of its pages.
            window.truncate(WINDOW);
            bytes.extend_from_slice(&window);
            (window, start) = (bytes, from);
            // A record may begin in these bytes and end in those read before.
            for at in self.roots(&window, fresh)?.into_iter().rev() {
                if self.begin(keys, &window, start, start + at as u64, size)? {
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
    pub(super) fn roots(&mut self, window: &[u8], fresh: usize) -> Result<Vec<usize>> {
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
            // There may be other records within the length that a torn record claims.
            let whole = rest.get(HEADER + head + blobs) == Some(&self.checks.end())
                && self.spend(rest)
                && matches!(frame::read(&self.checks, rest), Read::Whole(frame)
                    if record::decode(&self.checks, frame.head, frame.blobs).is_some());
            at += if whole { frame::size(head, blobs) } else { 1 };
        }
        Ok(roots)
    }

    /// Takes the cost of judging some bytes off the budget. False if the budget is used up.
    pub(super) fn spend(&mut self, bytes: &[u8]) -> bool {
        let cost = frame::cost(bytes) as u64;
        self.scan_budget = self.scan_budget.saturating_sub(cost);
        self.scan_budget > 0
    }

    /// The base or index at the beginning of some bytes, if it counts here.
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

    /// Starts at the base or index at offset `at`; `window` has the file from `start` on. False if it is an index of a
    /// base that does not count.
    pub(super) fn begin(&mut self, keys: &Keys, window: &[u8], start: u64, at: u64, file_size: u64) -> Result<bool> {
        let root = window.get((at - start) as usize..).unwrap_or_default();
        match self.root_at(root)? {
            Some(Root::Base(base, size)) => {
                // Another writer's base may have come first, after this writer had checked.
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
        let end = start + window.len() as u64 >= file_size;
        self.consume(keys, rest, end, &mut [])?;
        // The rest may be a record that is being written, or come after the window; and an index may not cover everything before the window.
        if self.position < file_size {
            self.read_on(keys, CHUNK, (Vec::new(), u64::MAX), &mut [])?;
        }
        Ok(true)
    }

    pub(super) fn base_at(&self, base: &Base<'_>, from: u64, offset: usize, size: usize) -> Result<BaseAt> {
        let at = u32::try_from(from + offset as u64).map_err(|_| self.damaged("it is too large"))?;
        let run = Run::new(base.run, &base.directory);
        if run.pages() == 0 {
            return Err(self.damaged("its base has no pages"));
        }
        Ok(BaseAt { run, totals: base.totals, lifetimes: base.lifetimes, next: base.next, at: (at, size as u32) })
    }

    pub(super) fn start_at(&mut self, base: BaseAt, index: Option<(IndexAt, u64)>, position: u64) {
        let next = index.as_ref().map_or(base.next, |(_, next)| *next);
        self.tail = Tail::new(next);
        self.index = index.map(|(index, _)| index);
        (self.base, self.phase, self.position) = (Some(base), Phase::Live, position);
        (self.hole, self.ended, self.unclear) = (None, false, false);
        self.recent.clear();
        self.recent.push_back(self.seen());
    }

    /// Whether a file without a base has more than pages and torn records. In that case it had a base.
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
        match self.judge(window.get(..gap).unwrap_or_default(), at)? {
            Gap::Damaged => return Ok(true),
            // The base was lost before the anchor recorded that it is durable: nothing after it counts.
            Gap::Lost | Gap::Unclear => return Ok(false),
            Gap::Torn => {}
        }
        let rest = window.get(gap..).unwrap_or_default();
        Ok(self.beginning(rest)?.is_none() && !rest.is_empty())
    }

    /// The size of the record at the beginning of `bytes`, with torn bytes before it, if it is one that is appended
    /// before there is a base.
    pub(super) fn beginning(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let gap = match frame::read(&self.checks, bytes) {
            Read::Whole(_) => 0,
            _ => match self.scan(bytes)? {
                Some(gap) if gap::judge(&self.checks, bytes.get(..gap).unwrap_or_default(), 0) == Gap::Torn => gap,
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
}

/// A record that a segment can start from.
enum Root<'a> {
    /// With the size of its frame.
    Base(Base<'a>, usize),
    Index(Index<'a>),
}

pub(super) fn index_at(index: &Index<'_>) -> IndexAt {
    IndexAt {
        run: Run::new(index.run, &index.directory),
        last: index.last.into(),
        dead: index.dead().collect(),
        dead_bytes: index.dead_file_bytes,
        covers: u64::from(index.seen.position),
    }
}
