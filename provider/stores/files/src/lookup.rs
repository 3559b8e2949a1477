//! Finding keys in a segment: in the tail, then in the index, then in the base.
//!
//! Host calls, besides the one that looks for news: none for a key in the tail or on a page in memory; one for a page
//! of the index and one for the record that it refers to; one for a page of the base.

use crate::cache::RunKind;
use crate::frame::{self, Read};
use crate::hash::Keys;
use crate::item::{Found, Item, Outcome, OwnedKey, Stored};
use crate::name::ValueName;
use crate::record::{self, Key, NEVER, Op, Piece, Record};
use crate::run::{self, Mark, Marks, Pairs, Run, What, content, first_of, page_of};
use crate::segment::{CHUNK, Segment};
use crate::sweep::Sweep;
use crate::tail::{Borrowed, Known, Source};
use crate::write::Name;
use kvfuse_core::Result;
use kvfuse_transport::files::File;
use std::borrow::Cow;
use std::rc::Rc;

/// Bytes read at first of a record whose length is not known.
const RECORD: usize = 512;

impl<F: File> Segment<F> {
    /// The value and version of a key.
    ///
    /// # Errors
    /// Those of reading; [`Damaged`](kvfuse_core::Kind::Damaged) if something that decides the answer is damaged.
    pub fn find(&mut self, name: &Name<'_>) -> Result<Option<Found>> {
        if let Some(old) = &self.old {
            return Ok(old.get(name.hash, name.id(), name.is_far()));
        }
        match self.tail.get(name.hash, name.id(), name.is_far()) {
            Known::Value { version, value, source, end } => {
                let found = Found { version, value: value.to_stored(), end };
                self.certain(source).map(|()| Some(found))
            }
            Known::Gone(source) => self.certain(source).map(|()| None),
            Known::Nothing => self.below(name.hash, &|key| name.is(key)),
            Known::Open => {
                self.warm(name, 0)?;
                match self.tail.get(name.hash, name.id(), name.is_far()) {
                    Known::Open => Err(self.damaged("an operation depends on something that cannot be looked up")),
                    _ => self.find(name),
                }
            }
        }
    }

    /// The version and the end of what a key has, as far as the tail knows.
    pub fn state(&self, name: &Name<'_>) -> (u64, u64) {
        match self.tail.get(name.hash, name.id(), name.is_far()) {
            Known::Value { version, end, .. } => (version, end),
            Known::Nothing | Known::Open | Known::Gone(_) => (0, NEVER),
        }
    }

    /// Looks a key up below the tail, which decides the operations on it that wait in the tail. Returns what the
    /// operation with the version `of` did, if it waited.
    pub fn warm(&mut self, name: &Name<'_>, of: u64) -> Result<Option<Outcome>> {
        if self.old.is_none()
            && let Known::Nothing | Known::Open = self.tail.get(name.hash, name.id(), name.is_far())
        {
            let below = self.below(name.hash, &|key| name.is(key))?;
            return Ok(self.tail.warm(name.hash, name.key(), below, of));
        }
        Ok(None)
    }

    /// Decides all operations that wait in the tail.
    pub fn decide_tail(&mut self) -> Result<()> {
        if !self.tail.has_open() {
            return Ok(());
        }
        let open: Vec<(u64, OwnedKey)> = self
            .tail
            .sorted(self.node.first()..=self.node.last())
            .into_iter()
            .filter(|change| matches!(change.known, Known::Open))
            .map(|change| (change.place, change.key.into()))
            .collect();
        for (place, key) in open {
            let below = self.below(place, &|other| run::same_key(&key.borrow(), other))?;
            self.tail.warm(place, key.borrow(), below, 0);
        }
        Ok(())
    }

    /// Refuses a state that was written before damaged bytes: they may have been a record that changed it.
    fn certain(&self, source: Source) -> Result<()> {
        match self.hole {
            Some(hole) if source.at.is_none_or(|at| u64::from(at) < hole) => Err(self.broken(hole)),
            _ => Ok(()),
        }
    }

    /// The error for a state that damaged bytes may have changed.
    pub fn broken(&self, hole: u64) -> kvfuse_core::Error {
        self.damaged(&format!("a record before or at byte {hole} is not as it was written"))
    }

    /// The state of a key in the index and the base.
    pub fn below(&self, place: u64, is: &dyn Fn(&Key<'_>) -> bool) -> Result<Option<Found>> {
        if let Some(hole) = self.hole {
            return Err(self.broken(hole));
        }
        if let Some(mark) = self.mark(place, is)? {
            return Ok(mark);
        }
        let Some(base) = &self.base else { return Ok(None) };
        let page = self.page(RunKind::Base, &base.run, page_of(self.node, base.run.pages(), place))?;
        for pair in Pairs::new(content(&page)) {
            let pair = pair.ok_or_else(|| self.damaged("a page of it cannot be read"))?;
            if is(&pair.key) {
                return Ok(Some(Found { version: pair.version, value: Stored::new(pair.value, 0), end: pair.end }));
            }
        }
        Ok(None)
    }

    /// The state of a key in the index, if it has a mark of the key.
    fn mark(&self, place: u64, is: &dyn Fn(&Key<'_>) -> bool) -> Result<Option<Option<Found>>> {
        let Some(index) = &self.index else { return Ok(None) };
        let page = self.page(RunKind::Index, &index.run, page_of(self.node, index.run.pages(), place))?;
        // The latest first; another key may have the same place.
        let mut marks: Vec<Mark> = Marks::at(content(&page), place).chain(Marks::at(&index.last, place)).collect();
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.version));
        for mark in marks {
            let found = self.source(&mark, &Sweep::default(), |key, found| is(key).then_some(found))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Passes on the key and the state that a mark stands for.
    fn source<T>(&self, mark: &Mark, sweep: &Sweep, take: impl FnOnce(&Key<'_>, Option<Found>) -> T) -> Result<T> {
        let gone = || self.damaged(&format!("the record at byte {} is not as it was written", mark.at));
        let bytes =
            sweep.record(mark.at).map_or_else(|| self.record_at(mark.at).map(Cow::Owned), |at| Ok(at.into()))?;
        let Read::Whole(frame) = frame::read(&self.checks, &bytes) else { return Err(gone()) };
        let blobs = u64::from(mark.at) + (frame::HEADER + frame.head.len()) as u64;
        let Some(Record::Write { ops, .. }) = record::decode(&self.checks, frame.head, frame.blobs) else {
            return Err(gone());
        };
        let op = ops.flatten().nth(usize::from(mark.ordinal)).ok_or_else(gone)?;
        let value = match (mark.what, op) {
            (What::Gone, _) => None,
            (What::Counter { sum, end }, _) => Some((Stored::Bytes(kvfuse_core::counter::format(sum)), end)),
            (What::Value, Op::Set { value, end, .. } | Op::Swap { value, end, .. }) => {
                Some((Stored::new(value, blobs), end))
            }
            (What::Value, _) => return Err(gone()),
        };
        Ok(take(op.key(), value.map(|(value, end)| Found { version: mark.version, value, end })))
    }

    fn record_at(&self, at: u32) -> Result<Vec<u8>> {
        let at = u64::from(at);
        let mut bytes = self.file.read(at, RECORD).map_err(|error| self.failed(error))?;
        if let Read::Short(size) = frame::read(&self.checks, &bytes) {
            bytes = self.exactly(at, size.max(frame::HEADER))?;
            // The first read may have returned only the header.
            if let Read::Short(size) = frame::read(&self.checks, &bytes) {
                bytes = self.exactly(at, size)?;
            }
        }
        Ok(bytes)
    }

    /// A page of a run, checked.
    pub(crate) fn page(&self, of: RunKind, run: &Run, number: u32) -> Result<Rc<Vec<u8>>> {
        if let Some(page) = self.shared.pages.borrow_mut().get(of, run.id, number) {
            return Ok(page);
        }
        let (at, length) = run.place_of(number).ok_or_else(|| self.damaged("a page of it is missing"))?;
        let filling = of == RunKind::Base && self.shared.pages.borrow_mut().is_filling();
        let ahead = if filling { self.file.read(at, CHUNK).unwrap_or_default() } else { Vec::new() };
        let bytes = match ahead.get(..length) {
            Some(bytes) => bytes.to_vec(),
            None => self.exactly(at, length)?,
        };
        if run::open(&self.checks, run.id, number, &bytes).is_none() {
            return Err(self.damaged(&format!("the page at byte {at} is not as it was written")));
        }
        let page = Rc::new(bytes);
        self.shared.pages.borrow_mut().put(of, run.id, number, page.clone());
        for next in number.saturating_add(1)..run.pages() {
            let there = run.place_of(next).and_then(|(from, length)| {
                let from = usize::try_from(from.checked_sub(at)?).ok()?;
                ahead.get(from..from.checked_add(length)?)
            });
            // Damage is reported when that page is asked for.
            let Some(bytes) = there.filter(|bytes| run::open(&self.checks, run.id, next, bytes).is_some()) else {
                break;
            };
            self.shared.pages.borrow_mut().put(of, run.id, next, Rc::new(bytes.to_vec()));
        }
        Ok(page)
    }

    /// The number of slices in which [`slice`](Self::slice) returns the pairs.
    pub fn slices(&self) -> u32 {
        self.base.as_ref().map_or(1, |base| base.run.pages())
    }

    /// The slice that contains a place.
    pub fn slice_of(&self, place: u64) -> u32 {
        page_of(self.node, self.slices(), place)
    }

    /// The last place of a slice.
    pub fn last_of(&self, slice: u32) -> u64 {
        if slice + 1 >= self.slices() { self.node.last() } else { first_of(self.node, self.slices(), slice + 1) - 1 }
    }

    /// Files of values and keys that are known to be replaced since the base.
    pub fn dead(&self) -> impl Iterator<Item = &ValueName> {
        let old = self.old.as_ref().map_or(&[][..], |old| old.dead());
        let index = self.index.as_ref().map_or(&[][..], |index| &index.dead);
        old.iter().chain(index).chain(&self.tail.dead)
    }

    /// The pairs of a slice, by place and version.
    pub fn slice(&mut self, keys: &Keys, slice: u32, sweep: &mut Sweep) -> Result<Sliced> {
        if let Some(old) = &self.old {
            return Ok(Sliced { items: old.items(), dead: Vec::new() });
        }
        if let Some(hole) = self.hole {
            return Err(self.broken(hole));
        }
        self.decide_tail()?;
        let mut items = Vec::new();
        if let Some(base) = &self.base {
            for pair in Pairs::new(self.swept(&base.run, slice, sweep)?) {
                let pair = pair.ok_or_else(|| self.damaged("a page of it cannot be read"))?;
                let found = Found { version: pair.version, value: Stored::new(pair.value, 0), end: pair.end };
                items.push(Item { place: keys.place(pair.key.id()), key: pair.key.into(), found });
            }
        }
        let (from, to) = (first_of(self.node, self.slices(), slice), self.last_of(slice));
        let mut slice = Slice { items, added: Vec::new(), gone: false, dead: Vec::new() };
        self.collect(from, to, sweep)?;
        for mark in self.marks(from, to)? {
            let (key, found) = self.source(&mark, sweep, |key, found| (OwnedKey::from(*key), found))?;
            slice.put(mark.place, key.borrow(), found);
        }
        slice.merge_added();
        for change in self.tail.sorted(from..=to) {
            let found = match change.known {
                Known::Value { version, value, source, end } if source.at.is_some() => {
                    Some(Found { version, value: value.to_stored(), end })
                }
                Known::Gone(source) if source.at.is_some() => None,
                // It was only looked up below.
                _ => continue,
            };
            slice.put(change.place, change.key, found);
        }
        Ok(slice.finish())
    }

    /// The marks of some places, the oldest of each key first.
    fn marks(&self, from: u64, to: u64) -> Result<Vec<Mark>> {
        let Some(index) = &self.index else { return Ok(Vec::new()) };
        let mut marks = Vec::new();
        let page = |place| page_of(self.node, index.run.pages(), place);
        for number in page(from)..=page(to) {
            let page = self.page(RunKind::Index, &index.run, number)?;
            marks.extend(Marks::new(content(&page)).filter(|mark| (from..=to).contains(&mark.place)));
        }
        marks.extend(Marks::new(&index.last).filter(|mark| (from..=to).contains(&mark.place)));
        marks.sort_by_key(|mark| (mark.place, mark.version));
        Ok(marks)
    }

    /// The marks of a page of the index.
    pub fn marks_of(&self, number: u32) -> Result<Vec<Mark>> {
        let Some(index) = &self.index else { return Ok(Vec::new()) };
        Ok(Marks::new(content(&self.page(RunKind::Index, &index.run, number)?)).collect())
    }

    /// Reads a value that is in the segment.
    pub fn pieces(&self, pieces: &[Piece]) -> Result<Vec<u8>> {
        let checks = self.old.as_ref().map_or(&self.checks, |old| old.checks());
        let mut out = Vec::new();
        for piece in pieces {
            let bytes = self.exactly(u64::from(piece.at), piece.length as usize)?;
            if checks.sum(&bytes) != piece.check {
                return Err(self.damaged(&format!("the value at byte {} is not as it was written", piece.at)));
            }
            if out.is_empty() {
                out = bytes;
            } else {
                out.extend_from_slice(&bytes);
            }
        }
        Ok(out)
    }
}

/// A part of a segment's state.
pub struct Sliced {
    pub items: Vec<Item>,
    /// Files of values and keys that changes since the base replaced.
    pub dead: Vec<ValueName>,
}

/// The pairs of a slice while changes are put over those of its base.
struct Slice {
    /// By place.
    items: Vec<Item>,
    added: Vec<Item>,
    /// Whether some are marked as gone: they have version 0.
    gone: bool,
    dead: Vec<ValueName>,
}

impl Slice {
    fn put(&mut self, place: u64, key: Key<'_>, found: Option<Found>) {
        let from = self.items.partition_point(|item| item.place < place);
        let below = self.items.iter_mut().skip(from).take_while(|item| item.place == place);
        // Changes come by place, so another one of the same key was added last.
        let added = self.added.iter_mut().rev().take_while(|item| item.place == place);
        let old = below.chain(added).find(|item| item.is(&key));
        if let Some(old) = &old {
            if let Stored::File(file) = &old.found.value {
                self.dead.push(file.name);
            }
            if let OwnedKey::Far { file, .. } = &old.key {
                self.dead.push(*file);
            }
        }
        match (old, found) {
            (Some(old), Some(found)) => (old.key, old.found) = (key.into(), found),
            (Some(old), None) => {
                old.found.version = 0;
                self.gone = true;
            }
            (None, Some(found)) => self.added.push(Item { place, key: key.into(), found }),
            (None, None) => {}
        }
    }

    /// Ends a pass of changes that came by place.
    fn merge_added(&mut self) {
        self.items.append(&mut self.added);
        self.items.sort_by_key(|item| (item.place, item.found.version));
    }

    fn finish(mut self) -> Sliced {
        self.merge_added();
        if self.gone {
            self.items.retain(|item| item.found.version != 0);
        }
        Sliced { items: self.items, dead: self.dead }
    }
}

impl Borrowed<'_> {
    /// The number that a counter's text is.
    pub fn counter(&self) -> Option<i64> {
        match self {
            Self::Bytes(bytes) => kvfuse_core::counter::parse(bytes),
            Self::Pieces(_) | Self::File(_) => None,
        }
    }
}
