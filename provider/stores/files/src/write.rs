//! Writing: append a record, read it back, act on its outcome.

use crate::body::{self, Moving};
use crate::encode::{Content, Encoder};
use crate::error::unknown;
use crate::flaw::Flaw;
use crate::frame::OVERHEAD;
use crate::heap::same;
use crate::item::{Outcome, is_over};
use crate::name::{Node, ValueName};
use crate::record::{FileValue, Key, MAX_KEY, NEVER, Op, Piece};
use crate::run::Appender;
use crate::segment::{PROBE, Sent};
use crate::succeed::{MAX_PIECE, put_pieces};
use crate::tree::{Access, TRIES, Tree};
use crate::value;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError};
use std::cell::RefCell;

/// The most bytes of operations in one record, unless it has a single operation. The frame then has the 4,096 bytes
/// that a host appends in one call. More takes three calls and, in wasmtime, another thread.
const RECORD: usize = 4096 - OVERHEAD - 17;

/// The number of records that are appended before they are read back.
const GROUPS: usize = 16;

/// A key as the caller passes it, with what the tree needs.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    pub text: &'a str,
    pub hash: u64,
    /// Set for keys too long for a record.
    pub digest: Option<[u8; 16]>,
}

impl<'a> Name<'a> {
    pub fn new<D: Directory>(tree: &Tree<D>, text: &'a str) -> Self {
        let bytes = text.as_bytes();
        if bytes.len() <= MAX_KEY {
            return Self { text, hash: tree.keys.place(bytes), digest: None };
        }
        let digest = tree.keys.digest(bytes);
        Self { text, hash: tree.keys.place(&digest), digest: Some(digest) }
    }

    /// What entries are compared by.
    pub fn id(&self) -> &[u8] {
        self.digest.as_ref().map_or(self.text.as_bytes(), |digest| digest)
    }

    pub fn is_far(&self) -> bool {
        self.digest.is_some()
    }

    /// The key for lookups only: it has no file.
    pub fn key(&self) -> Key<'_> {
        let file = ValueName { node: Node::ROOT, generation: 0, id: 0 };
        match self.digest {
            None => Key::Whole(self.text.as_bytes()),
            Some(digest) => Key::Far { digest, length: self.text.len() as u32, file },
        }
    }

    /// Whether an entry's key is this one.
    pub fn is(&self, key: &Key<'_>) -> bool {
        key.is_far() == self.is_far() && same(key.id(), self.id())
    }
}

/// What to do with a key.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// `end` is when it ends, in milliseconds since 1970, or [`NEVER`].
    Set {
        value: &'a [u8],
        end: u64,
    },
    Delete,
    Increment {
        delta: i64,
        floor: i64,
    },
    /// `expected` is a version, 0 for absent.
    Swap {
        expected: u64,
        value: &'a [u8],
        end: u64,
    },
    /// Sets to what a file has, which is moved to be the value's.
    Place(&'a RefCell<Moving>),
}

impl Change<'_> {
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set { value, .. } | Self::Swap { value, .. } => Some(value),
            Self::Delete | Self::Increment { .. } | Self::Place(_) => None,
        }
    }

    /// Whether its value is in a file.
    fn is_far(&self, blob: usize) -> bool {
        matches!(self, Self::Place(_)) || self.value().is_some_and(|value| value.len() > blob)
    }

    /// Whether its value is in the segment, but not in its record.
    fn is_in_pieces(&self, blob: usize) -> bool {
        self.value().is_some_and(|value| value.len() > MAX_PIECE && value.len() <= blob)
    }

    /// Whether its effect depends on the state of the key.
    fn asks(&self) -> bool {
        matches!(self, Self::Increment { .. } | Self::Swap { .. })
    }

    /// Whether its value has a lifetime.
    fn ends(&self) -> bool {
        matches!(self, Self::Set { end, .. } | Self::Swap { end, .. } if *end != NEVER)
    }

    /// Approximately how many bytes it takes in a record.
    fn size(&self, name: &Name<'_>, blob: usize) -> usize {
        let value = self.value().map_or(0, |value| if value.len() > blob { 46 } else { value.len() });
        name.id().len() + value + if self.ends() { 31 } else { 23 }
    }
}

/// The files of a change whose key or value is too large for its record.
#[derive(Default)]
struct Files {
    key: Option<ValueName>,
    value: Option<FileValue>,
    pieces: Option<Vec<Piece>>,
    /// A file that was moved here, and belongs to its body until a record names it.
    placed: Option<FileValue>,
}

/// Changes that go into one record.
type Group<'a, 'b> = &'a [(Name<'b>, Change<'b>)];

/// The key of a change, as its record has it.
fn record_key<'a>(name: &Name<'a>, files: Option<&Files>, far: ValueName) -> Key<'a> {
    match name.digest {
        None => Key::Whole(name.text.as_bytes()),
        Some(digest) => {
            let file = files.and_then(|files| files.key).unwrap_or(far);
            Key::Far { digest, length: name.text.len() as u32, file }
        }
    }
}

/// Puts a change into a record. `far` stands for the file of a key that is deleted: a delete keeps no key.
fn encode<'a>(
    record: &mut Encoder<'a>,
    name: &Name<'a>,
    change: &Change<'a>,
    files: Option<&'a Files>,
    far: ValueName,
) -> Op<'a> {
    let key = record_key(name, files, far);
    let content = |bytes| match files {
        Some(Files { value: Some(file), .. }) => Content::File(*file),
        Some(Files { pieces: Some(pieces), .. }) => Content::Pieces(pieces),
        _ => Content::Bytes(bytes),
    };
    match *change {
        Change::Place(_) => {
            record.set(key, files.and_then(|files| files.placed).map_or(Content::Bytes(&[]), Content::File), NEVER)
        }
        Change::Set { value, end } => record.set(key, content(value), end),
        Change::Delete => record.delete(key),
        Change::Increment { delta, floor } => record.increment(key, delta, floor),
        Change::Swap { expected, value, end } => record.swap(key, expected, content(value), end),
    }
}

impl<D: Directory> Tree<D> {
    /// Makes one change to one key.
    pub fn change(&mut self, name: Name<'_>, change: Change<'_>) -> Result<Outcome> {
        let change = [(name, change)];
        for _ in 0..TRIES {
            let node = self.seek(name.hash, Access::Write)?.unwrap_or(Node::ROOT);
            match self.write_to(node, &[&change])?.pop().flatten() {
                None | Some(Outcome::Late) => {}
                Some(outcome) => return Ok(outcome),
            }
        }
        Err(Error::new(Kind::Unavailable, "other writers kept getting ahead; nothing was changed, try again"))
    }

    /// Makes changes in order of their keys' hashes, with as many in one record, and as many records before they are
    /// read back, as possible. `changes` must be in that order. On an error, any of the changes may have been made.
    pub fn write_sorted(&mut self, mut changes: &[(Name<'_>, Change<'_>)]) -> Result<()> {
        while let Some((first, _)) = changes.first() {
            let node = self.seek(first.hash, Access::Write)?.unwrap_or(Node::ROOT);
            let mut groups = Vec::new();
            while groups.len() < GROUPS {
                let (mut size, blob) = (0, self.config.blob);
                let fits = |(name, change): &&(Name<'_>, Change<'_>)| {
                    size += change.size(name, blob);
                    node.covers(name.hash) && size <= RECORD
                };
                let mut count = changes.iter().take_while(fits).count();
                if count == 0 && changes.first().is_some_and(|(name, _)| node.covers(name.hash)) {
                    count = 1;
                }
                let Some((now, later)) = changes.split_at_checked(count).filter(|(now, _)| !now.is_empty()) else {
                    break;
                };
                groups.push(now);
                changes = later;
            }
            let outcomes = self.write_to(node, &groups)?;
            // If the node is sealed at this moment, they are made one by one.
            for (group, _) in groups.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_none()) {
                group.iter().try_for_each(|(name, change)| self.change(*name, *change).map(drop))?;
            }
        }
        Ok(())
    }

    /// Appends a record with each group of changes to a node's segment, and reads them back. Returns what the last
    /// change of each group did; `None` for a group that did not take part, because it came after a seal or the host
    /// tore it: then nothing of it was changed, for good.
    fn write_to(&mut self, node: Node, groups: &[Group<'_, '_>]) -> Result<Vec<Option<Outcome>>> {
        let Some(segment) = self.segments.get_mut(&node) else { return Ok(vec![None; groups.len()]) };
        if !segment.writable {
            return Err(segment.failed(FileError::ReadOnly));
        }
        if let Some(hole) = segment.hole {
            return Err(segment.broken(hole));
        }
        let (generation, lifetimes) = (segment.generation, segment.has_lifetimes());
        if segment.old.is_some() || segment.ended || segment.poisoned {
            // Nothing more is written there: its successor is made first.
            self.renew(node)?;
            return Ok(vec![None; groups.len()]);
        }
        if !self.begun {
            self.note_begun(node)?;
        }
        if !lifetimes && groups.iter().copied().flatten().any(|(_, change)| change.ends()) {
            // Nobody appends to the segment who does not know that there are lifetimes: its successor says so.
            self.admit_lifetimes(node)?;
            return Ok(vec![None; groups.len()]);
        }
        let mut files = Vec::new();
        let result =
            self.put_files(node, generation, groups, &mut files).and_then(|()| self.append(node, groups, &files));
        let Appended { outcomes, result } = match result {
            Ok(appended) => appended,
            Err(error) => Appended { result: Err(error), ..Appended::nothing(groups) },
        };
        if !matches!(&result, Err(error) if error.kind() == Kind::OutcomeUnknown) {
            // Nothing names the files of records that did not happen.
            let owners = groups.iter().zip(&outcomes).flat_map(|(group, outcome)| group.iter().map(move |_| outcome));
            for (files, _) in files.iter().zip(owners).filter(|(_, outcome)| outcome.is_none()) {
                files.key.iter().for_each(|name| value::remove(&self.directory, *name));
                files.value.iter().for_each(|file| value::remove(&self.directory, file.name));
            }
            if outcomes.iter().any(Option::is_some) {
                self.maintain(node);
            }
        }
        result.map(|()| outcomes)
    }

    /// Writes what is too large for a record to files.
    fn put_files(
        &mut self,
        node: Node,
        generation: u64,
        groups: &[Group<'_, '_>],
        files: &mut Vec<Files>,
    ) -> Result<()> {
        let blob = self.config.blob;
        let apart =
            |(name, change): &(Name<'_>, Change<'_>)| name.is_far() || change.is_far(blob) || change.is_in_pieces(blob);
        if !groups.iter().copied().flatten().any(apart) {
            return Ok(());
        }
        for (name, change) in groups.iter().copied().flatten() {
            files.push(Files::default());
            let Some(last) = files.last_mut() else { continue };
            let put = |tree: &Self, bytes| {
                let name = ValueName { node, generation, id: tree.ids.next(&tree.directory) };
                value::write(&tree.directory, &tree.keys, name, bytes, tree.config)
            };
            if name.is_far() && !matches!(change, Change::Delete) {
                last.key = Some(self.opening(|tree| put(tree, name.text.as_bytes()))?.name);
            }
            if let Some(bytes) = change.value().filter(|bytes| bytes.len() > blob) {
                last.value = Some(self.opening(|tree| put(tree, bytes))?);
            }
            if change.is_in_pieces(blob)
                && let (Some(segment), Some(bytes)) = (self.segments.get(&node), change.value())
            {
                let name = segment.name();
                let mut to = Appender { file: &segment.file, name: &name, position: segment.position, others: None };
                last.pieces = Some(put_pieces(&mut to, segment, bytes, || self.ids.next(&self.directory))?);
            }
            if let Change::Place(moving) = change {
                let (id, size) = (moving.borrow().id, moving.borrow().size);
                let name = ValueName { node, generation, id };
                let lasting = !self.config.has(Flaw::BodyMoveNotSynced);
                body::adopt(&*self.root, &self.name, moving, name, lasting)?;
                last.placed = Some(FileValue { name, size, check: None });
            }
        }
        Ok(())
    }

    /// The append and the read of [`write_to`](Self::write_to). `files` are those of each change, or empty.
    fn append(&mut self, node: Node, groups: &[Group<'_, '_>], files: &[Files]) -> Result<Appended> {
        let mut files = files.iter();
        let Some(segment) = self.segments.get_mut(&node) else { return Ok(Appended::nothing(groups)) };
        let (generation, config, checks) = (segment.generation, self.config, segment.checks.clone());
        let lifetimes = segment.has_lifetimes();
        let began = if lifetimes { self.directory.time() } else { 0 };
        // So that their outcome is known as soon as they are read back.
        for (name, _) in groups.iter().copied().flatten().filter(|(_, change)| change.asks()) {
            if lifetimes {
                // A value that has ended is not met unread, unless it is appended from here on.
                segment.catch_up(&self.keys, PROBE)?;
            }
            segment.warm(name, 0)?;
        }
        let mut sent = Vec::with_capacity(groups.len());
        // When the value that the last change of each group has read ends.
        let mut read = Vec::with_capacity(groups.len());
        let mut result = Ok(());
        let seen = segment.seen();
        for group in groups {
            let id = self.ids.next(&self.directory);
            let room = group.iter().map(|(name, change)| change.size(name, config.blob)).sum();
            let mut record = Encoder::write(&checks, id, seen, config.small, room);
            let mut ops = Vec::with_capacity(group.len());
            let mut last_end = NEVER;
            for (name, change) in group.iter() {
                let (key_file, files) = (ValueName { node, generation, id }, files.next());
                let (version, end) = if lifetimes && change.asks() { segment.state(name) } else { (0, NEVER) };
                last_end = end;
                if self.directory.is_over(end) {
                    ops.push((name.hash, record.ended(record_key(name, files, key_file), version)));
                    last_end = NEVER;
                }
                ops.push((name.hash, encode(&mut record, name, change, files, key_file)));
            }
            read.push(last_end);
            let (frame, blobs) = record.finish();
            result = segment.file.append(&frame);
            let complete = !group.iter().any(|(_, change)| change.is_in_pieces(config.blob));
            sent.push(Sent { id, frame, blobs, ops, complete, outcome: None });
            if result.is_err() {
                break;
            }
        }
        if config.has(Flaw::NoReadBack)
            && result.is_ok()
            && !groups.iter().copied().flatten().any(|(_, change)| change.asks())
        {
            return Ok(Appended { outcomes: groups.iter().map(|_| Some(Outcome::Done)).collect(), result: Ok(()) });
        }
        if let (Err(error), true) = (result, config.has(Flaw::ErrorBelieved)) {
            return Err(segment.failed(error));
        }
        // Whatever the host returned, only the content of the file counts.
        segment.read_back(&self.keys, &mut sent).map_err(|error| unknown(&error))?;
        let broken = segment.hole.map(|hole| segment.broken(hole));
        let result = result.map_err(|error| segment.failed(error));
        let mut outcomes: Vec<_> = sent.into_iter().map(|sent| sent.outcome).collect();
        // If an index was written in between, what had been looked up was forgotten again.
        for (group, outcome) in groups.iter().zip(&mut outcomes) {
            if let (Some(Outcome::Open(version)), Some((name, _))) = (&outcome, group.last()) {
                let decided = segment.warm(name, *version).map_err(|error| unknown(&error))?;
                let lost = || unknown(&segment.damaged("a record that was written to it cannot be found again"));
                *outcome = Some(decided.ok_or_else(lost)?);
            }
        }
        if lifetimes && !config.has(Flaw::LateCounts) {
            for ((group, outcome), read) in groups.iter().zip(&mut outcomes).zip(read) {
                let counted = matches!(outcome, Some(Outcome::Counter(_)));
                let met = match (&outcome, group.last()) {
                    (Some(Outcome::Counter(_) | Outcome::Refused(_)), Some((name, _)))
                    | (Some(Outcome::Conflict), Some((name, Change::Swap { expected: 0, .. }))) => {
                        segment.state(name).1
                    }
                    _ => NEVER,
                };
                if met == read {
                    continue;
                }
                // It was appended after this instance had read.
                if is_over(met, began) {
                    *outcome = Some(Outcome::Late);
                } else if counted && self.directory.is_over(met) {
                    return Err(unknown(&ended_meanwhile()));
                }
            }
        }
        if let Some(broken) = broken {
            return Err(if outcomes.iter().any(Option::is_some) { unknown(&broken) } else { broken });
        }
        let result =
            if outcomes.iter().all(Option::is_some) && outcomes.len() == groups.len() { Ok(()) } else { result };
        outcomes.resize(groups.len(), None);
        if outcomes.iter().any(Option::is_some) && !config.has(Flaw::AcknowledgedEarly) {
            self.persist(node).map_err(|error| unknown(&error))?;
        }
        Ok(Appended { outcomes, result })
    }
}

/// Others may have added to the same value when it had ended, which had no effect.
fn ended_meanwhile() -> Error {
    Error::new(Kind::Unavailable, "the lifetime of the key began and ended meanwhile")
}

/// The outcomes of appended records.
struct Appended {
    /// The outcome of the last change of each; `None` if the record does not count.
    outcomes: Vec<Option<Outcome>>,
    /// Why some do not count, if an error explains it.
    result: Result<()>,
}

impl Appended {
    fn nothing(groups: &[Group<'_, '_>]) -> Self {
        Self { outcomes: vec![None; groups.len()], result: Ok(()) }
    }
}
