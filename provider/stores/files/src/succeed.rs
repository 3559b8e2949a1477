//! What follows a sealed segment: its next generation, or its children.
//!
//! The state of a sealed segment is fixed, so whoever meets one can make what follows, and all who do make the same. No
//! step needs an owner, and each can be done again. The order is what keeps a power cut, and instances that slept, from
//! harm:
//!
//! 1. the sealed file is synced if value files were replaced in it: they are removed below, and a power cut must not go
//!    back to a state that names them. Otherwise its seal may be lost; then it goes on, is sealed anew, and what followed
//!    the lost seal does nothing, because bases name the seal they follow;
//! 2. the successor is opened, made if it is not there;
//! 3. the node's log is read. If it is past the successor, that one was complete and removed before it was opened: what
//!    was opened is a ghost, and is dropped;
//! 4. a base is appended unless there is one; the first counts;
//! 5. the successor is synced, and the directory;
//! 6. value files that only the sealed segment named are removed;
//! 7. the node's log is raised, and synced; but the parent's first, lest this one's outlive the split that made the node;
//! 8. the sealed file is removed.

use crate::encode::{Content, Encoder, Part};
use crate::error::failed;
use crate::flaw::Flaw;
use crate::item::{Found, Item};
use crate::name::{MAX_DEPTH, Node, ValueName};
use crate::nodelog::{self, NodeState};
use crate::record::{Key, Plan};
use crate::segment::Segment;
use crate::tree::Tree;
use crate::value;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use std::collections::HashSet;

/// Bytes of pairs that one part of a base has at most, but for a single pair.
const MAX_PART: usize = 512 << 10;
/// Attempts at a base, each undone by a host that cuts appends.
const ATTEMPTS: usize = 4;

impl<D: Directory> Tree<D> {
    /// Makes the first segment of a bucket. Its base is empty.
    pub fn begin(&mut self) -> Result<()> {
        if let Some(segment) = self.make(Node::ROOT, 0, None)? {
            self.directory.sync().map_err(|error| failed("the bucket's directory", error))?;
            self.insert(segment);
        }
        Ok(())
    }

    /// Makes what follows a node's sealed segment, or finds that it is there.
    pub fn succeed(&mut self, node: Node) -> Result<()> {
        let Some(old) = self.segments.remove(&node) else { return Ok(()) };
        let result = self.succeed_with(&old);
        if result.is_err() && !self.segments.contains_key(&node) {
            // Readers go on with the sealed state.
            self.insert(old);
        }
        result
    }

    fn succeed_with(&mut self, old: &Segment<D::File>) -> Result<()> {
        let (node, generation) = (old.node, old.generation);
        let Some(seal) = old.sealed() else { return Ok(()) };
        if self.state_of(node)?.is_past(generation) {
            return Ok(());
        }
        if !old.state.dead_files.is_empty() && !self.config.has(Flaw::ReplacedRemovedEarly) {
            old.file.sync().map_err(|error| old.failed(error))?;
        }
        let mut made = Vec::new();
        let done = match seal.plan {
            Plan::Compact => {
                let generation = generation.saturating_add(1);
                let Some(new) = self.make(node, generation, Some((old, seal.id)))? else { return Ok(()) };
                made.push(new);
                NodeState { split: false, generation, seal: seal.id }
            }
            Plan::Split => {
                if node.depth() >= MAX_DEPTH {
                    return Err(old.damaged("it says that a node splits that cannot"));
                }
                for child in node.children() {
                    let child = match self.make(child, 0, Some((old, seal.id))) {
                        // Perhaps for want of descriptors: those made so far can be opened again when they are needed.
                        Err(_) if !made.is_empty() => {
                            made.clear();
                            self.make(child, 0, Some((old, seal.id)))
                        }
                        other => other,
                    };
                    made.extend(child?);
                }
                NodeState { split: true, generation, seal: seal.id }
            }
        };
        self.directory.sync().map_err(|error| failed("the bucket's directory", error))?;
        self.collect(old);
        if self.config.has(Flaw::RemovedEarly) {
            let _ = self.directory.unlink(&node.segment(generation));
        }
        if let (Some(parent), false) = (node.parent(), self.config.has(Flaw::ParentNotSynced)) {
            self.opening(|tree| nodelog::sync(&tree.directory, parent))?;
        }
        self.opening(|tree| nodelog::raise(&tree.directory, &tree.keys, node, done))?;
        if done.split {
            self.mark_split(node, seal.id);
        }
        // Used only now that the log leads there: the seal alone may be lost.
        made.into_iter().for_each(|segment| self.insert(segment));
        // Litter of an instance that died between raising the log and this, one generation ago, goes along.
        for generation in generation.saturating_sub(1)..=generation {
            let _ = self.directory.unlink(&node.segment(generation));
        }
        Ok(())
    }

    /// Opens or makes a segment and sees to it that it has a base: the part of the state of `old`, which the seal ended,
    /// that its node covers. `None` if its time is over already.
    fn make(
        &mut self,
        node: Node,
        generation: u64,
        old: Option<(&Segment<D::File>, u64)>,
    ) -> Result<Option<Segment<D::File>>> {
        let name = node.segment(generation);
        let fail = |error: FileError| failed(&format!("the file {name}"), error);
        let file = self.open_file(&name, Open::Create).map_err(fail)?;
        let state = self.state_of(node)?;
        if state.is_past(generation) && !self.config.has(Flaw::GhostUsed) {
            // What the log says may not be durable yet, and then this may be no ghost but what a power cut goes back to.
            self.directory.sync().map_err(|error| failed("the bucket's directory", error))?;
            self.opening(|tree| nodelog::raise(&tree.directory, &tree.keys, node, state))?;
            let _ = self.directory.unlink(&name);
            return Ok(None);
        }
        let follows = old.map_or(0, |(_, seal)| seal);
        let mut segment = Segment::new(file, &self.keys, (node, generation, follows), true, self.config);
        for _ in 0..ATTEMPTS {
            segment.catch_up(&self.keys, 0)?;
            if !segment.is_waiting() {
                if !self.config.has(Flaw::SuccessorNotSynced) {
                    segment.file.sync().map_err(fail)?;
                }
                segment.synced = segment.position;
                return Ok(Some(segment));
            }
            for part in self.base(&segment, old.map(|(old, _)| old))? {
                segment.file.append(&part).map_err(fail)?;
            }
        }
        Err(Error::new(Kind::Damaged, format!("the file {name} is damaged: what is written to it does not stay")))
    }

    /// The frames of a base.
    fn base(&self, new: &Segment<D::File>, old: Option<&Segment<D::File>>) -> Result<Vec<Vec<u8>>> {
        let writer = self.directory.random();
        let items = old.map(|old| old.state.sorted(new.node, 0)).unwrap_or_default();
        let next = match old {
            Some(old) if !self.config.has(Flaw::VersionReused) => old.state.next_version(),
            _ => 1,
        };
        let parts = parts(&items, (self.config.segment as usize).saturating_mul(2).min(MAX_PART));
        let count = u16::try_from(parts.len()).map_err(|_| new.damaged("it is larger than any this store writes"))?;
        let mut frames = Vec::new();
        for (part, items) in (0u16..).zip(parts) {
            let blob = |item: &Item<'_>| match (item.value, old) {
                (Found::Blob { at, length, check }, Some(old)) => old.blob(at, length, check),
                _ => Ok(Vec::new()),
            };
            let blobs = items.iter().map(blob).collect::<Result<Vec<_>>>()?;
            let says = Part { writer, part, parts: count, next, follows: new.follows };
            let room = items.iter().zip(&blobs).map(|(item, blob)| item.size() - blob.len()).sum();
            let mut base = Encoder::base(&new.checks, &says, self.config.small, room);
            for (item, blob) in items.iter().zip(&blobs) {
                let content = match item.value {
                    Found::Small(bytes) => Content::Bytes(bytes),
                    Found::File(file) => Content::File(file),
                    Found::Blob { .. } => Content::Bytes(blob),
                };
                base.pair(item.version, item.key, content);
            }
            frames.push(base.finish().0);
        }
        Ok(frames)
    }

    /// Removes the value files of a node that no live record names: those replaced, and those of writers that died
    /// before their record. What is named for this generation or a later one and was never in a record is left alone:
    /// its writer may be at work, or about to move it on.
    fn collect(&self, old: &Segment<D::File>) {
        for name in &old.state.dead_files {
            value::remove(&self.directory, *name);
        }
        let Ok(directory) = self.directory.directory(&old.node.values()) else { return };
        let mut live = HashSet::new();
        for item in old.state.sorted(old.node, 0) {
            if let Key::Far { file, .. } = item.key {
                live.insert(file);
            }
            if let Found::File(file) = item.value {
                live.insert(file.name);
            }
        }
        let mut litter = Vec::new();
        // What a listing misses is found the next time.
        let _ = directory.list(&mut |file| {
            litter.extend(
                ValueName::parse(old.node, file)
                    .filter(|name| name.generation < old.generation || self.config.has(Flaw::ValuesOfOthersRemoved))
                    .filter(|name| !live.contains(name)),
            );
        });
        for name in litter {
            value::remove(&self.directory, name);
        }
    }
}

/// Cuts the pairs of a base so that each part fits a frame; at least one part.
fn parts<'a, 'b>(items: &'b [Item<'a>], most: usize) -> Vec<&'b [Item<'a>]> {
    let mut parts = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        if size + item.size() > most && index > from {
            parts.extend(items.get(from..index));
            (from, size) = (index, 0);
        }
        size += item.size();
    }
    parts.extend(items.get(from..));
    parts
}
