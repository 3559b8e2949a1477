//! Writing: append a record, read it back, act on what it did.

use crate::body::{self, Moving};
use crate::encode::{Content, Encoder};
use crate::error::unknown;
use crate::flaw::Flaw;
use crate::frame::{self, OVERHEAD};
use crate::item::Outcome;
use crate::name::{Node, ValueName};
use crate::policy;
use crate::record::{FileValue, Key, MAX_KEY};
use crate::tree::{Access, TRIES, Tree};
use crate::value;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError};
use std::cell::RefCell;

/// Bytes of operations that go into one record, but for a single operation: with what is around them, a frame takes the
/// 4,096 bytes that a host appends in one call. More takes three calls and, in wasmtime, another thread.
const RECORD: usize = 4096 - 32;

/// A key as a caller has it, with what the tree needs of it.
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
}

/// What to do with a key.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    Set(&'a [u8]),
    Delete,
    Increment {
        delta: i64,
        floor: i64,
    },
    /// `expected` is a version, 0 for absent.
    Swap {
        expected: u64,
        value: &'a [u8],
    },
    /// Sets to what a file has, which is moved to be the value's.
    Place(&'a RefCell<Moving>),
}

impl Change<'_> {
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set(value) | Self::Swap { value, .. } => Some(value),
            Self::Delete | Self::Increment { .. } | Self::Place(_) => None,
        }
    }

    /// Bytes that it takes in a record, about.
    fn size(&self, name: &Name<'_>, blob: usize) -> usize {
        let value = self.value().map_or(0, |value| if value.len() > blob { 46 } else { value.len() });
        name.id().len() + value + 23
    }
}

/// The files of one change: of its key and of its value.
#[derive(Default)]
struct Files {
    key: Option<ValueName>,
    value: Option<FileValue>,
    /// A file that was moved here, and belongs to its body until a record names it.
    placed: Option<FileValue>,
}

impl<D: Directory> Tree<D> {
    /// Makes one change to one key.
    pub fn change(&mut self, name: Name<'_>, change: Change<'_>) -> Result<Outcome> {
        let mut outcomes = self.write(&[(name, change)])?;
        outcomes.pop().ok_or_else(|| Error::new(Kind::Other, "a change had no outcome"))
    }

    /// Makes changes in order of their keys' hashes, as many in one record as go together. `changes` has to be in that
    /// order; on an error, the changes before may have been made.
    pub fn write_sorted(&mut self, mut changes: &[(Name<'_>, Change<'_>)]) -> Result<()> {
        while let Some((first, _)) = changes.first() {
            let node = self.seek(first.hash, Access::Write)?.unwrap_or(Node::ROOT);
            let (mut size, blob) = (0, self.config.blob);
            let fits = |(name, change): &&(Name<'_>, Change<'_>)| {
                size += change.size(name, blob);
                node.covers(name.hash) && size <= RECORD
            };
            let count = changes.iter().take_while(fits).count().max(1);
            let Some((now, later)) = changes.split_at_checked(count) else { break };
            // Should the node split at this moment, they go one by one.
            match self.write_to(node, now)? {
                Some(_) => {}
                None => now.iter().try_for_each(|change| self.write(&[*change]).map(drop))?,
            }
            changes = later;
        }
        Ok(())
    }

    /// Makes changes to keys of one hash.
    fn write(&mut self, changes: &[(Name<'_>, Change<'_>)]) -> Result<Vec<Outcome>> {
        let hash = changes.first().map_or(0, |(name, _)| name.hash);
        for _ in 0..TRIES {
            let node = self.seek(hash, Access::Write)?.unwrap_or(Node::ROOT);
            if let Some(outcomes) = self.write_to(node, changes)? {
                return Ok(outcomes);
            }
        }
        Err(Error::new(Kind::Unavailable, "other writers kept getting ahead; nothing was changed, try again"))
    }

    /// Appends a record with the changes to a node's segment and reads it back. `None` if it did not take part: it came
    /// after a seal, or the host tore it. Then nothing was changed, for good.
    fn write_to(&mut self, node: Node, changes: &[(Name<'_>, Change<'_>)]) -> Result<Option<Vec<Outcome>>> {
        let Some(segment) = self.segments.get(&node) else { return Ok(None) };
        if !segment.writable {
            return Err(segment.failed(FileError::ReadOnly));
        }
        let generation = segment.generation;
        let mut files = Vec::new();
        let result =
            self.put_files(node, generation, changes, &mut files).and_then(|()| self.append(node, changes, &files));
        match &result {
            Ok(Some(_)) => self.maintain(node),
            Err(error) if error.kind() == Kind::OutcomeUnknown => {}
            // No record names them.
            _ => {
                for files in &files {
                    files.key.iter().for_each(|name| value::remove(&self.directory, *name));
                    files.value.iter().for_each(|file| value::remove(&self.directory, file.name));
                }
            }
        }
        result
    }

    /// Writes what is too large for a record to files.
    fn put_files(
        &mut self,
        node: Node,
        generation: u64,
        changes: &[(Name<'_>, Change<'_>)],
        files: &mut Vec<Files>,
    ) -> Result<()> {
        for (name, change) in changes {
            files.push(Files::default());
            let Some(last) = files.last_mut() else { continue };
            let put = |bytes: &[u8]| {
                let name = ValueName { node, generation, id: self.ids.next(&self.directory) };
                value::write(&self.directory, &self.keys, name, bytes, self.config)
            };
            if name.is_far() && !matches!(change, Change::Delete) {
                last.key = Some(put(name.text.as_bytes())?.name);
            }
            if let Some(bytes) = change.value().filter(|bytes| bytes.len() > self.config.blob) {
                last.value = Some(put(bytes)?);
            }
            if let Change::Place(moving) = change {
                let (id, size) = (moving.borrow().id, moving.borrow().size);
                let name = ValueName { node, generation, id };
                body::settle(&*self.root, &self.name, moving, name)?;
                last.placed = Some(FileValue { name, size, check: None });
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        node: Node,
        changes: &[(Name<'_>, Change<'_>)],
        files: &[Files],
    ) -> Result<Option<Vec<Outcome>>> {
        let id = self.ids.next(&self.directory);
        let Some(segment) = self.segments.get_mut(&node) else { return Ok(None) };
        let checks = &segment.checks;
        let mut record = Encoder::write(id, self.config.small);
        for ((name, change), files) in changes.iter().zip(files) {
            let key = match (name.digest, files.key) {
                (None, _) => Key::Whole(name.text.as_bytes()),
                (Some(digest), file) => Key::Far {
                    digest,
                    length: name.text.len() as u32,
                    // A delete keeps no key, and needs no file of it.
                    file: file.unwrap_or(ValueName { node, generation: segment.generation, id }),
                },
            };
            let content = |bytes| files.value.map_or(Content::Bytes(bytes), Content::File);
            let placed = files.placed.map_or(Content::Bytes(&[]), Content::File);
            match *change {
                Change::Place(_) => record.set(checks, key, placed),
                Change::Set(value) => record.set(checks, key, content(value)),
                Change::Delete => record.delete(key),
                Change::Increment { delta, floor } => record.increment(key, delta, floor),
                Change::Swap { expected, value } => record.swap(checks, key, expected, content(value)),
            }
        }
        let mut bytes = Vec::with_capacity(OVERHEAD + record.size());
        frame::write(checks, &record.head, &record.blobs, &mut bytes);
        let sent = segment.file.append(&bytes);
        let asks = |(_, change): &(_, Change<'_>)| !matches!(change, Change::Set(_) | Change::Delete);
        if self.config.has(Flaw::NoReadBack) && sent.is_ok() && !changes.iter().any(asks) {
            return Ok(Some(changes.iter().map(|_| Outcome::Done).collect()));
        }
        if let (Err(error), true) = (sent, self.config.has(Flaw::ErrorBelieved)) {
            return Err(segment.failed(error));
        }
        // Whatever the host said: what counts is what is in the file.
        let found = segment.read_back(&self.keys, id, &bytes).map_err(|error| unknown(&error))?;
        match (sent, found) {
            (_, Some(outcomes)) => {
                if !self.config.has(Flaw::AcknowledgedEarly) {
                    self.settle(node).map_err(|error| unknown(&error))?;
                }
                Ok(Some(outcomes))
            }
            (Err(error), None) => Err(segment.failed(error)),
            (Ok(()), None) => Ok(None),
        }
    }

    /// Seals a segment that has grown past its limit, and makes what follows it. The change that led here is done
    /// already, so what fails here is left to the next one.
    fn maintain(&mut self, node: Node) {
        let Some(segment) = self.segments.get_mut(&node) else { return };
        if segment.sealed().is_none() {
            let Some(plan) = policy::due(segment, &self.config) else { return };
            let seal = Encoder::seal(self.ids.next(&self.directory), plan);
            let mut bytes = Vec::new();
            frame::write(&segment.checks, &seal.head, &seal.blobs, &mut bytes);
            let _ = segment.file.append(&bytes);
            if segment.catch_up(&self.keys, 0).is_err() {
                return;
            }
        }
        if segment.sealed().is_some() {
            let _ = self.succeed(node);
        }
    }
}
