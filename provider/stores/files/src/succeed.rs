//! The successor of a sealed segment: its next generation, or its children.
//!
//! The state of a sealed segment is fixed, so any instance can make the successor, and all make the same one. No
//! step needs an owner, and each can be repeated. The order makes power cuts, and instances that slept, harmless:
//!
//! 1. the successor is opened, and created if it does not exist;
//! 2. the node's log is read. If it is past the successor, the successor was complete and was removed before it was
//!    opened: the opened file is a ghost, and is dropped;
//! 3. unless there is a base, its pages are appended and synced: a base must not outlive them. Then the base itself is
//!    appended, unless another instance's came first;
//! 4. the successor is synced, and the directory;
//! 5. the parent's log is synced, or this node's could outlive the split that made it; then this node's is raised and
//!    synced;
//! 6. value files that only the sealed segment named are removed, and then the sealed file.
//!
//! The sealed file need not be synced: if a power cut takes its seal before step 5, writes go on in it and it is sealed
//! again. The successor for the lost seal then has no effect, because bases name the seal that they follow.

use crate::encode::{self, Content, Encoder};
use crate::error::failed;
use crate::flaw::Flaw;
use crate::frame::MAX_FRAME;
use crate::hash::Keys;
use crate::item::{Item, Stored, is_over};
use crate::maintain::new_seal;
use crate::name::{MAX_DEPTH, Node, ValueName};
use crate::nodelog::NodeState;
use crate::record::{Piece, Plan, Seal, Seen, Totals};
use crate::run::{self, Appender, MAX_PAGES, Trouble, Writer, pages_for};
use crate::segment::Segment;
use crate::sweep::Sweep;
use crate::tree::Tree;
use crate::{anchor, value};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use std::collections::HashSet;

/// Bytes of a page of pairs.
const PAGE: u64 = 1 << 10;
/// The most bytes of a value in one record, besides the record itself.
pub const MAX_PIECE: usize = MAX_FRAME - 8 * 1024;
/// Generations before a sealed one that are looked for as litter.
const MOST_LITTER: u64 = 16;
/// Attempts at a base, each undone by other writers.
const ATTEMPTS: usize = 4;

/// A sealed segment that another one follows.
struct Old<'a, F> {
    segment: &'a mut Segment<F>,
    seal: Seal,
    sweep: Sweep,
}

impl<F: File> Old<'_, F> {
    /// The pairs of a slice that go on, in order of places. What had ended when the segment was sealed does not: by the
    /// clocks of two who make the successor, two different ones could come of it.
    fn slice(&mut self, keys: &Keys, slice: u32, files: &mut Files) -> Result<Vec<Item>> {
        let slice = self.segment.slice(keys, slice, &mut self.sweep)?;
        files.dead.extend(slice.dead);
        let (over, live): (Vec<_>, Vec<_>) =
            slice.items.into_iter().partition(|item| is_over(item.found.end, self.seal.time));
        files.dead.extend(over.iter().flat_map(Item::files));
        Ok(live)
    }
}

/// The files that only a sealed segment named, and those that its live pairs name.
#[derive(Default)]
struct Files {
    dead: Vec<ValueName>,
    live: HashSet<ValueName>,
}

impl Files {
    fn keep(&mut self, item: &Item) {
        self.live.extend(item.files());
    }
}

impl<D: Directory> Tree<D> {
    /// Makes the first segment of a bucket. Its base is empty.
    pub fn begin(&mut self) -> Result<()> {
        if let Some(segment) = self.make(Node::ROOT, 0, None, &mut Files::default())? {
            self.sync_directory()?;
            self.insert(segment);
        }
        Ok(())
    }

    /// Makes the successor of a node's sealed segment, or finds that it exists.
    pub fn succeed(&mut self, node: Node) -> Result<()> {
        let Some(mut old) = self.segments.remove(&node) else { return Ok(()) };
        let result = self.succeed_with(&mut old);
        if result.is_err() && !self.segments.contains_key(&node) {
            // Readers go on with the sealed state.
            self.insert(old);
        }
        result
    }

    fn succeed_with(&mut self, first: &mut Segment<D::File>) -> Result<()> {
        let (node, oldest) = (first.node, first.generation);
        if first.sealed().is_none() {
            return Ok(());
        }
        let state = self.state_of(node)?;
        if state.is_past(oldest) {
            return Ok(());
        }
        // Whether the node has a log by now, and the state in it.
        let (named, known) = (state != NodeState::default(), state.generation);
        if first.old.is_some() {
            // From here on, a version that knows only format 2 refuses the bucket.
            self.opening(|tree| anchor::begun(&tree.directory))?;
        }
        let mut files = Files::default();
        // A successor that may not be durable is sealed at once, and its own successor is made: others may have used
        // it.
        let mut between: Option<Segment<D::File>> = None;
        let (made, done) = loop {
            let old = between.as_mut().unwrap_or(first);
            let (generation, Some(seal)) = (old.generation, old.sealed()) else { return Ok(()) };
            if generation > oldest + ATTEMPTS as u64 {
                return Err(old.failed(FileError::Io));
            }
            match seal.plan {
                Plan::Compact => {
                    let next = generation.saturating_add(1);
                    let mut old = Old { segment: old, seal, sweep: Sweep::whole(&self.config) };
                    let Some(mut new) = self.make(node, next, Some(&mut old), &mut files)? else { return Ok(()) };
                    if new.poisoned {
                        if new.sealed().is_none() {
                            let seal = new_seal(&self.directory, &self.ids, Plan::Compact, new.has_lifetimes());
                            new.seal(&self.keys, seal)?;
                        }
                        between = Some(new);
                        continue;
                    }
                    break (vec![new], NodeState { split: false, generation: next, seal: seal.id });
                }
                Plan::Split => {
                    let mut old = Old { segment: old, seal, sweep: Sweep::whole(&self.config) };
                    let made = self.make_children(&mut old, &mut files)?;
                    break (made, NodeState { split: true, generation, seal: seal.id });
                }
            }
        };
        let old = between.as_ref().unwrap_or(first);
        let generation = old.generation;
        self.sync_directory()?;
        if self.config.has(Flaw::ReplacedRemovedEarly) {
            self.collect(old, &files);
        }
        if self.config.has(Flaw::RemovedEarly) {
            let _ = self.directory.unlink(&node.segment(generation));
        }
        if let (Some(parent), false) = (node.parent(), self.config.has(Flaw::ParentNotSynced)) {
            self.opening(|tree| tree.sync_log(parent))?;
        }
        self.opening(|tree| tree.raise(node, done, named))?;
        if done.split {
            anchor::note_split(&self.directory, node, done.seal);
            self.mark_split(node, done.seal);
        }
        // It is used only now that the log leads there: the seal alone may be lost.
        made.into_iter().for_each(|segment| self.insert(segment));
        self.collect(old, &files);
        // Files of instances that died are removed as well: between raising the log and this, one generation ago, and
        // before raising the log, while others went on.
        let known = known.clamp(oldest.saturating_sub(MOST_LITTER), oldest);
        for generation in known.saturating_sub(1)..=generation {
            let _ = self.directory.unlink(&node.segment(generation));
        }
        Ok(())
    }

    fn make_children(&mut self, old: &mut Old<'_, D::File>, files: &mut Files) -> Result<Vec<Segment<D::File>>> {
        if old.segment.node.depth() >= MAX_DEPTH {
            return Err(old.segment.damaged("it records a split of a node that is too deep to split"));
        }
        let mut made = Vec::new();
        for child in old.segment.node.children() {
            let child = match self.make(child, 0, Some(&mut *old), files) {
                // Perhaps for lack of descriptors: those made so far can be opened again when they are needed.
                Err(_) if !made.is_empty() => {
                    made.clear();
                    self.make(child, 0, Some(&mut *old), files)
                }
                other => other,
            };
            made.extend(child?);
        }
        Ok(made)
    }

    /// Opens or creates a segment and ensures that it has a base: the part of the state of the sealed segment `old`
    /// that its node covers. `None` if the segment is already superseded.
    fn make(
        &mut self,
        node: Node,
        generation: u64,
        mut old: Option<&mut Old<'_, D::File>>,
        files: &mut Files,
    ) -> Result<Option<Segment<D::File>>> {
        let name = node.segment(generation);
        let fail = |error: FileError| failed(&format!("the file {name}"), error);
        let file = self.open_file(&name, Open::Create).map_err(fail)?;
        let state = self.state_of(node)?;
        if state.is_past(generation) && !self.config.has(Flaw::GhostUsed) {
            // The log's state may not be durable yet. Then a power cut may go back to this segment, which is no ghost.
            self.sync_directory()?;
            self.opening(|tree| tree.raise(node, state, true))?;
            let _ = self.directory.unlink(&name);
            if let Some(old) = old.filter(|_| !self.config.has(Flaw::SlowMakerCollects)) {
                // Of a split, the other children may not be there yet. What this one names of the sealed segment's files it has
                // from there.
                self.note(old, node, files)?;
            }
            return Ok(None);
        }
        let follows = old.as_ref().map_or(0, |old| old.seal.id);
        let about = (self.shared.clone(), self.config);
        let mut segment = Segment::new(file, &self.keys, (node, generation, follows), true, about);
        let mut noted = false;
        for _ in 0..=ATTEMPTS {
            let begun = segment.file.size().map_err(fail)?;
            segment.open(&self.keys)?;
            if !segment.is_waiting() {
                // After a first generation, the log has no state yet: every instance that wrote to the segment synced
                // it. So its base is appended once more; it counts if a power cut takes the first.
                if !self.config.has(Flaw::SuccessorNotSynced) && segment.sync().is_err() && generation == 0 {
                    self.write_base(&segment, 0, old.as_deref_mut(), files)?;
                    noted = true;
                    segment.file.sync().map_err(fail)?;
                }
                segment.synced = segment.position;
                if let Some(old) = old.filter(|_| !noted) {
                    self.note(old, node, files)?;
                }
                return Ok(Some(segment));
            }
            self.write_base(&segment, begun, old.as_deref_mut(), files)?;
            noted = true;
        }
        Err(Error::new(
            Kind::Unavailable,
            format!("the file {name}: other writers kept getting in the way of its base; try again"),
        ))
    }

    /// Appends a base to a segment that had none up to `begun`, unless another instance may have done so meanwhile.
    fn write_base(
        &self,
        new: &Segment<D::File>,
        begun: u64,
        mut old: Option<&mut Old<'_, D::File>>,
        files: &mut Files,
    ) -> Result<()> {
        let next = match &old {
            Some(old) if !self.config.has(Flaw::VersionReused) => old.segment.next_version(),
            _ => 1,
        };
        let lifetimes = old.as_ref().is_some_and(|old| old.seal.time != 0);
        let mut pages = old.as_ref().map_or(1, |old| pages_for(pairs_bytes(old.segment, new.node), PAGE));
        loop {
            let id = self.ids.next(&self.directory);
            match self.write_pages(new, old.as_deref_mut(), (begun, id, pages), files) {
                Ok((written, position, totals)) => {
                    let position = if new.is_waiting() { position } else { 0 };
                    if !self.config.has(Flaw::SuccessorNotSynced) {
                        new.file.sync().map_err(|error| {
                            self.shared.failed.borrow_mut().insert(new.checks.file());
                            new.failed(error)
                        })?;
                    }
                    let seen = Seen { position: position as u32, version: next as u32 };
                    let frame = Encoder::base(&new.checks, &written.at(seen), new.follows, next, (totals, lifetimes));
                    // The next read shows whether it is there, or another one is.
                    return new.file.append(&frame).map_err(|error| new.failed(error));
                }
                Err(Trouble::TooFull) if pages < MAX_PAGES => pages = (pages * 2).min(MAX_PAGES),
                Err(Trouble::TooFull) => return Err(run::too_large(&new.name())),
                Err(Trouble::Failed(error)) => return Err(error),
            }
        }
    }

    /// Appends the pages of a base.
    fn write_pages(
        &self,
        new: &Segment<D::File>,
        old: Option<&mut Old<'_, D::File>>,
        (begun, id, pages): (u64, u64, u32),
        files: &mut Files,
    ) -> Result<(run::Written, u64, Totals), Trouble> {
        let name = new.name();
        let to = Appender { file: &new.file, name: &name, position: begun, others: None };
        let mut writer = Writer::new(to, &new.checks, id, new.node, pages);
        if self.config.has(Flaw::LargeAppends) {
            writer.most = usize::MAX;
        }
        let mut totals = Totals::default();
        if let Some(old) = old {
            for slice in old.segment.slice_of(new.node.first())..=old.segment.slice_of(new.node.last()) {
                let items = old.slice(&self.keys, slice, files)?;
                for item in items.iter().filter(|item| new.node.covers(item.place)) {
                    let moved = self.move_pieces(old.segment, &mut writer.to, new, item)?;
                    let content = moved.as_deref().map_or(item.found.value.content(), Content::Pieces);
                    let about = (item.found.version, item.found.end);
                    let pair = |out: &mut Vec<u8>| encode::pair(out, about, item.key.borrow(), content);
                    writer.add(item.place, pair)?;
                    add(&mut totals, item);
                    files.keep(item);
                }
            }
            files.dead.extend(old.segment.dead());
        }
        let (written, position) = writer.finish()?;
        Ok((written, position, totals))
    }

    /// Copies a value that lies outside the pages.
    fn move_pieces(
        &self,
        old: &Segment<D::File>,
        to: &mut Appender<'_, D::File>,
        new: &Segment<D::File>,
        item: &Item,
    ) -> Result<Option<Vec<Piece>>> {
        let Stored::Pieces(pieces) = &item.found.value else { return Ok(None) };
        put_pieces(to, new, &old.pieces(pieces)?, || self.ids.next(&self.directory)).map(Some)
    }

    /// Notes which files a part of a sealed segment names, and which it replaced.
    fn note(&self, old: &mut Old<'_, D::File>, node: Node, files: &mut Files) -> Result<()> {
        files.dead.extend(old.segment.dead());
        for slice in old.segment.slice_of(node.first())..=old.segment.slice_of(node.last()) {
            old.slice(&self.keys, slice, files)?.iter().for_each(|item| files.keep(item));
        }
        Ok(())
    }

    /// Removes the value files of a node that no live record names: those replaced, and those of writers that died
    /// before their record. A file whose name is of this generation or a later one and that was never in a record is
    /// left alone: its writer may be at work, or about to rename it.
    fn collect(&self, old: &Segment<D::File>, files: &Files) {
        for name in files.dead.iter().filter(|name| !files.live.contains(name)) {
            value::remove(&self.directory, *name);
        }
        let Ok(directory) = self.directory.directory(&old.node.values()) else { return };
        let mut litter = Vec::new();
        // Files that the listing misses are found the next time.
        let _ = directory.list(&mut |file| {
            litter.extend(
                ValueName::parse(old.node, file)
                    .filter(|name| name.generation < old.generation || self.config.has(Flaw::ValuesOfOthersRemoved))
                    .filter(|name| !files.live.contains(name)),
            );
        });
        for name in litter {
            value::remove(&self.directory, name);
        }
    }
}

/// Approximately how many bytes the pairs of a node take in pages; an overestimate if many changes are of existing
/// keys.
fn pairs_bytes<F: File>(old: &Segment<F>, node: Node) -> u64 {
    let all = match (&old.old, &old.base) {
        (Some(pairs), _) => pairs.memory() as u64 / 2,
        (None, Some(base)) => {
            // Without the values that lie outside the pages.
            let (keys, bytes) = (base.totals.keys, base.run.bytes());
            // Not the bytes that were written: all of them may have been for one counter.
            let marks = old.index.as_ref().map_or(0, |index| index.run.bytes() / run::MARK as u64);
            bytes + (old.tail.keys() as u64 + marks).saturating_mul(bytes.checked_div(keys).unwrap_or(128))
        }
        (None, None) => 0,
    };
    all >> (4 * u32::from(node.depth().saturating_sub(old.node.depth())))
}

fn add(totals: &mut Totals, item: &Item) {
    totals.keys += 1;
    totals.bytes += 14 + item.key.borrow().id().len() as u64 + item.found.value.bytes();
    if let Stored::File(file) = &item.found.value {
        totals.file_bytes = totals.file_bytes.saturating_add(file.size);
    }
}

/// Appends a value that is too large for one record, and returns where its pieces are.
pub fn put_pieces<F: File>(
    to: &mut Appender<'_, F>,
    segment: &Segment<F>,
    bytes: &[u8],
    mut id: impl FnMut() -> u64,
) -> Result<Vec<Piece>> {
    let put = |piece: &[u8]| {
        let (frame, blobs) = Encoder::piece(&segment.checks, id(), piece);
        let at = to.append(&frame)? + blobs as u64;
        let at = u32::try_from(at).map_err(|_| run::too_large(to.name))?;
        Ok(Piece { at, length: piece.len() as u32, check: segment.checks.sum(piece) })
    };
    let most = if segment.config.has(Flaw::LargeAppends) { usize::MAX } else { MAX_PIECE };
    bytes.chunks(most).map(put).collect()
}
