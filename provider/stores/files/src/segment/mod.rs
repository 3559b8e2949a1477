//! One segment: an append-only file with a base, the records after it, and from time to time an index of those.
//!
//! A segment is opened from its end: the last index or the base is found there, and everything after it is read. From
//! then on only what was appended since the last read is read. [`lookup`](crate::lookup) finds keys.

mod opening;
mod reading;

use crate::config::Config;
use crate::encode::Encoder;
use crate::flaw::Flaw;
use crate::hash::{Checks, Keys};
use crate::item::Outcome;
use crate::name::{Node, ValueName};
use crate::record::{self, Op, Seal, Seen, Totals};
use crate::room::Shared;
use crate::run::Run;
use crate::tail::Tail;
use crate::v2;
use crate::watch::Heard;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{File, FileError};
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes to ask for when nothing new is expected.
pub const PROBE: usize = 512;
/// Bytes to ask for when there is more. Hosts return no more than this at once.
pub const CHUNK: usize = 64 << 10;
/// The largest segment that this store reads, in bytes. The segments that it writes are far smaller.
pub const MAX_SIZE: u64 = 1 << 30;
/// The number of new bytes above which a segment is opened again instead of read on.
const FAR: u64 = 512 << 10;
/// Positions that are remembered, to check what writers claim to have seen.
const RECENT: usize = 64;

/// The stages of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no base yet.
    Waiting,
    Live,
    Sealed(Seal),
}

/// The base of a segment.
pub struct BaseAt {
    pub run: Run,
    pub totals: Totals,
    /// Whether values in the segment may have lifetimes.
    pub lifetimes: bool,
    pub next: u64,
    /// Where its record is, and how long it is.
    pub at: (u32, u32),
}

/// The index that counts.
pub struct IndexAt {
    pub run: Run,
    /// Entries that arrived while its pages were written.
    pub last: Rc<[u8]>,
    pub dead: Vec<ValueName>,
    pub dead_bytes: u64,
    /// The offset up to which it covers the file.
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
    /// The same file in format 2, if it is in that format.
    pub old: Option<Box<v2::State>>,
    /// Where this instance has read to.
    pub position: u64,
    /// The offset of damaged bytes. States that were last written before it cannot be relied on.
    pub hole: Option<u64>,
    /// Whether a power cut took something. No write after that counts, only a seal.
    pub ended: bool,
    /// Where the first of the lost bytes begin.
    lost_at: u64,
    /// Whether that may have been hosts that cut records, and not a power cut.
    unclear: bool,
    /// Where bytes at the end of the file begin that were judged and are no damage, and how many they are. They stay
    /// there until somebody appends, and judging them may take reading far back.
    judged: (u64, usize),
    /// The ends of the last records read, with the versions there.
    recent: VecDeque<Seen>,
    /// Bytes that were not a whole record, with valid ones after them.
    pub skipped: u64,
    pub writable: bool,
    /// The operation in which it was last checked for news.
    pub looked: u64,
    /// The operation in which it was last used.
    pub used: u64,
    /// The offset up to which its content is known to survive a power cut.
    pub synced: u64,
    /// Whether its name is known to survive a power cut.
    pub named: bool,
    /// Whether this instance has to complete the successor: it sealed the segment, or found it sealed.
    pub owes: bool,
    /// Whether a sync of it failed. Data that was not synced by then may never be, even if a later sync succeeds.
    pub poisoned: bool,
    /// Bytes that may still be hashed while looking for a record among other bytes.
    scan_budget: u64,
    /// Every change, for a watch. Indices are then ignored.
    pub heard: Option<Box<Heard>>,
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
    /// The outcome of the last of them. `None` until the write is found among those that count.
    pub outcome: Option<Outcome>,
}

fn all_found(sent: &[Sent<'_>]) -> bool {
    !sent.is_empty() && sent.iter().all(|sent| sent.outcome.is_some())
}

impl<F: File> Segment<F> {
    /// A segment of which nothing has been read yet. `place` is the node, the generation and the seal that it follows.
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
            lost_at: 0,
            unclear: false,
            judged: (0, 0),
            recent: VecDeque::new(),
            skipped: 0,
            writable,
            looked: 0,
            used: 0,
            synced: 0,
            named: false,
            owes: false,
            poisoned,
            scan_budget: 64 << 20,
            heard: None,
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

    /// What a record written now says about the file.
    pub fn seen(&self) -> Seen {
        Seen { position: self.position as u32, version: self.next_version() as u32 }
    }

    /// Where the records after the base begin.
    pub fn base_end(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| u64::from(base.at.0) + u64::from(base.at.1))
    }

    /// The offset up to which the index or, without one, the base covers the file.
    pub fn covered(&self) -> u64 {
        self.index.as_ref().map_or_else(|| self.base_end(), |index| index.covers)
    }

    fn break_at(&mut self, at: u64) {
        self.hole = Some(self.hole.map_or(at, |hole| hole.max(at)));
    }

    /// Whether its values may have lifetimes.
    pub fn has_lifetimes(&self) -> bool {
        self.base.as_ref().is_some_and(|base| base.lifetimes)
    }

    /// Appends a seal, and reads on. If it is torn, the segment is not sealed.
    pub fn seal(&mut self, keys: &Keys, new: Seal) -> Result<()> {
        let seal = match &self.old {
            Some(old) => v2::encode::seal(old.checks(), new.id, new.plan),
            None => Encoder::seal(&self.checks, self.seen(), new),
        };
        let sent = self.file.append(&seal);
        self.catch_up(keys, 0)?;
        match self.sealed() {
            None => sent.map_err(|error| self.failed(error))?,
            Some(seal) => self.owes = self.owes || seal.id == new.id,
        }
        Ok(())
    }

    /// Makes what was read durable. Once this has failed, it always fails.
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

    /// Reads bytes that must exist.
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
                "the file {} is in format {format} of this store, and this version knows formats 2 to {}; use the \
                 version that wrote it",
                self.name(),
                record::LIFETIMES
            ),
        )
    }

    pub fn failed(&self, error: FileError) -> Error {
        crate::error::failed(&format!("the file {}", self.name()), error)
    }
}

/// The error for a damaged file.
pub fn damaged(name: &str, what: &str) -> Error {
    Error::new(
        Kind::Damaged,
        format!(
            "the file {name} is damaged: {what}; `kvfuse stat` shows the extent, `kvfuse repair` saves what can be read"
        ),
    )
}
