//! What a segment's records amount to: a pure function of their sequence, the same for every reader.

use crate::hash::{Identity, Keys};
use crate::heap::{Heap, Span, same};
use crate::item::{Found, Item, Outcome};
use crate::name::{Node, ValueName};
use crate::record::{FileValue, Key, Op, Pair, Value};
use kvfuse_core::counter;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// The keys of one segment, with their small values and where to find the others.
#[derive(Default)]
pub struct State {
    entries: Vec<Entry>,
    /// Places in `entries` that are free.
    free: Vec<u32>,
    /// The first entry of each hash.
    first: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    heap: Heap,
    next: u64,
    live: Live,
    /// Files of values and keys that were replaced since the segment's base, and their bytes.
    pub dead_files: Vec<ValueName>,
    pub dead_file_bytes: u64,
}

/// How much a segment's live pairs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    pub keys: u64,
    /// In records, without files.
    pub bytes: u64,
    pub file_bytes: u64,
}

struct Entry {
    hash: u64,
    version: u64,
    key: Span,
    far_key: Option<Box<FarKey>>,
    value: Place,
    /// The next entry with the same hash.
    other: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct FarKey {
    length: u32,
    file: ValueName,
}

enum Place {
    Heap(Span),
    /// At an offset of the segment.
    Segment {
        at: u64,
        length: u32,
        check: u64,
    },
    File(Box<FileValue>),
}

impl State {
    pub fn new(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// The version that the next operation gets.
    pub fn next_version(&self) -> u64 {
        self.next
    }

    pub fn live(&self) -> Live {
        self.live
    }

    /// An estimate of the memory it takes, in bytes.
    pub fn memory(&self) -> usize {
        self.heap.memory()
            + self.entries.capacity() * size_of::<Entry>()
            + self.first.capacity() * (size_of::<(u64, u32)>() + 1)
    }

    fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    fn find(&self, hash: u64, id: &[u8], far: bool) -> Option<u32> {
        let mut next = self.first.get(&hash).copied();
        while let Some(index) = next {
            let entry = self.entry(index)?;
            if entry.far_key.is_some() == far && same(self.heap.get(entry.key), id) {
                return Some(index);
            }
            next = entry.other;
        }
        None
    }

    /// Looks a key up by its hash and its bytes, or its digest if it is `far`.
    pub fn get(&self, hash: u64, id: &[u8], far: bool) -> Option<Item<'_>> {
        self.find(hash, id, far).and_then(|index| self.entry(index)).map(|entry| self.item(entry))
    }

    fn item<'a>(&'a self, entry: &'a Entry) -> Item<'a> {
        let id = self.heap.get(entry.key);
        let key = match &entry.far_key {
            None => Key::Whole(id),
            Some(far) => {
                Key::Far { digest: id.first_chunk().copied().unwrap_or_default(), length: far.length, file: far.file }
            }
        };
        let value = match &entry.value {
            Place::Heap(span) => Found::Small(self.heap.get(*span)),
            Place::Segment { at, length, check } => Found::Blob { at: *at, length: *length, check: *check },
            Place::File(file) => Found::File(**file),
        };
        Item { hash: entry.hash, version: entry.version, key, value }
    }

    /// All entries whose hash is `from` or more and that `node` covers, by hash.
    pub fn sorted(&self, node: Node, from: u64) -> Vec<Item<'_>> {
        let mut items: Vec<_> = self
            .first
            .iter()
            .filter(|(hash, _)| **hash >= from && node.covers(**hash))
            .flat_map(|(_, first)| std::iter::successors(self.entry(*first), |entry| self.entry(entry.other?)))
            .map(|entry| self.item(entry))
            .collect();
        items.sort_unstable_by_key(|item| (item.hash, item.version));
        items
    }

    /// Applies an operation on a key with that hash; `blobs` is the offset in the segment of the blobs of its record.
    pub fn apply(&mut self, hash: u64, op: Op<'_>, blobs: u64) -> Outcome {
        let version = self.next;
        self.next = version.saturating_add(1);
        match op {
            Op::Set { key, value } => {
                self.put(hash, key, place(value, blobs), version);
                Outcome::Done
            }
            Op::Delete { key } => {
                self.remove(hash, &key);
                Outcome::Done
            }
            Op::Increment { key, delta, floor } => {
                let current = self.get(hash, key.id(), key.is_far()).map(|item| match item.value {
                    Found::Small(bytes) => bytes,
                    // Longer than any counter.
                    Found::Blob { .. } | Found::File(_) => b"-",
                });
                match counter::add(current, delta, floor) {
                    Ok(sum) => {
                        let text = counter::format(sum);
                        self.put(hash, key, New::Small(&text), version);
                        Outcome::Counter(sum)
                    }
                    Err(error) => {
                        self.orphan(key, None);
                        Outcome::Refused(error)
                    }
                }
            }
            Op::Swap { key, expected, value } => {
                if self.get(hash, key.id(), key.is_far()).map_or(0, |item| item.version) == expected {
                    self.put(hash, key, place(value, blobs), version);
                    Outcome::Done
                } else {
                    self.orphan(key, Some(value));
                    Outcome::Conflict
                }
            }
        }
    }

    /// Adds a pair of a base.
    pub fn load(&mut self, keys: &Keys, pair: Pair<'_>, blobs: u64) {
        self.put(keys.place(pair.key.id()), pair.key, place(pair.value, blobs), pair.version);
    }

    fn put(&mut self, hash: u64, key: Key<'_>, value: New<'_>, version: u64) {
        let far_key = match key {
            Key::Whole(_) => None,
            Key::Far { length, file, .. } => Some(Box::new(FarKey { length, file })),
        };
        let Some(index) = self.find(hash, key.id(), key.is_far()) else {
            let entry = Entry {
                hash,
                version,
                key: self.heap.push(key.id()),
                far_key,
                value: self.store(value),
                other: self.first.get(&hash).copied(),
            };
            self.count(&entry, true);
            let index = match self.free.pop() {
                Some(index) => {
                    if let Some(place) = self.entries.get_mut(index as usize) {
                        *place = entry;
                    }
                    index
                }
                None => {
                    self.entries.push(entry);
                    (self.entries.len() - 1) as u32
                }
            };
            self.first.insert(hash, index);
            return;
        };
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        entry.version = version;
        // A value of the same length takes the place of the old one.
        if let (New::Small(bytes), Place::Heap(span), None, None) = (&value, &entry.value, &entry.far_key, &far_key)
            && self.heap.replace(*span, bytes)
        {
            return;
        }
        let value = self.store(value);
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        let replaced = Entry {
            far_key: std::mem::replace(&mut entry.far_key, far_key),
            value: std::mem::replace(&mut entry.value, value),
            ..*entry
        };
        self.count(&replaced, false);
        self.retire(&replaced);
        self.recount(index);
        self.tidy();
    }

    fn recount(&mut self, index: u32) {
        let Some(entry) = self.entries.get(index as usize) else { return };
        let (bytes, file_bytes) = weight(entry);
        self.live.keys += 1;
        self.live.bytes += bytes;
        self.live.file_bytes += file_bytes;
    }

    fn remove(&mut self, hash: u64, key: &Key<'_>) {
        let Some(index) = self.find(hash, key.id(), key.is_far()) else { return };
        let other = self.entry(index).and_then(|entry| entry.other);
        // Take it out of the chain of its hash.
        let mut before = self.first.get(&hash).copied();
        if before == Some(index) {
            match other {
                Some(other) => self.first.insert(hash, other),
                None => self.first.remove(&hash),
            };
        } else {
            while let Some(at) = before {
                let Some(entry) = self.entries.get_mut(at as usize) else { break };
                if entry.other == Some(index) {
                    entry.other = other;
                    break;
                }
                before = entry.other;
            }
        }
        let gone =
            Entry { hash: 0, version: 0, key: Span { at: 0, length: 0 }, far_key: None, value: EMPTY, other: None };
        if let Some(place) = self.entries.get_mut(index as usize) {
            let entry = std::mem::replace(place, gone);
            self.free.push(index);
            self.count(&entry, false);
            self.heap.free(entry.key);
            self.retire(&entry);
            self.tidy();
        }
    }

    fn count(&mut self, entry: &Entry, add: bool) {
        let (bytes, file_bytes) = weight(entry);
        let apply = |total: &mut u64, n: u64| *total = if add { *total + n } else { total.saturating_sub(n) };
        apply(&mut self.live.keys, 1);
        apply(&mut self.live.bytes, bytes);
        apply(&mut self.live.file_bytes, file_bytes);
    }

    /// Notes what an entry leaves behind.
    fn retire(&mut self, entry: &Entry) {
        match &entry.value {
            Place::Heap(span) => self.heap.free(*span),
            Place::Segment { .. } => {}
            Place::File(file) => {
                self.dead_files.push(file.name);
                self.dead_file_bytes += file.size;
            }
        }
        if let Some(far) = &entry.far_key {
            self.dead_files.push(far.file);
            self.dead_file_bytes += u64::from(far.length);
        }
    }

    /// Notes the files of an operation that did nothing.
    fn orphan(&mut self, key: Key<'_>, value: Option<Value<'_>>) {
        if let Key::Far { file, length, .. } = key {
            self.dead_files.push(file);
            self.dead_file_bytes += u64::from(length);
        }
        if let Some(Value::File(file)) = value {
            self.dead_files.push(file.name);
            self.dead_file_bytes += file.size;
        }
    }

    fn store(&mut self, value: New<'_>) -> Place {
        match value {
            New::Small(bytes) => Place::Heap(self.heap.push(bytes)),
            New::Place(place) => place,
        }
    }

    fn tidy(&mut self) {
        let entries = &mut self.entries;
        self.heap.tidy(|copy| {
            for entry in entries {
                copy(&mut entry.key);
                if let Place::Heap(span) = &mut entry.value {
                    copy(span);
                }
            }
        });
    }
}

const EMPTY: Place = Place::Heap(Span { at: 0, length: 0 });

/// A value on its way into an entry.
enum New<'a> {
    Small(&'a [u8]),
    Place(Place),
}

fn place(value: Value<'_>, blobs: u64) -> New<'_> {
    match value {
        Value::Small(bytes) => New::Small(bytes),
        Value::Blob { at, length, check } => {
            New::Place(Place::Segment { at: blobs.saturating_add(u64::from(at)), length, check })
        }
        Value::File(file) => New::Place(Place::File(Box::new(file))),
    }
}

/// The bytes that an entry takes in a base, and in files.
fn weight(entry: &Entry) -> (u64, u64) {
    let key = 10 + u64::from(entry.key.length);
    let (value, file) = match &entry.value {
        Place::Heap(span) => (4 + u64::from(span.length), 0),
        Place::Segment { length, .. } => (12 + u64::from(*length), 0),
        Place::File(file) => (46, file.size),
    };
    let (far, far_file) = entry.far_key.as_ref().map_or((0, 0), |far| (29, u64::from(far.length)));
    (key + value + far, file.saturating_add(far_file))
}
