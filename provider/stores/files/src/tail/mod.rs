//! The latest changes of a segment, in memory: those after its index, or after its base if it has none. Pure.
//!
//! Records are applied in their order in the file, so every reader derives the same state. An increment or a swap of a
//! key that is not known here stays open until the key is asked for: then it is looked up below, in the index and the
//! base.

mod replaced;
mod waiting;

use crate::hash::Identity;
use crate::heap::{Heap, Span, same};
use crate::item::{Outcome, Stored};
use crate::name::ValueName;
use crate::record::{FileValue, Key, NEVER, Op, Piece, Value};
use kvfuse_core::counter;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use waiting::{Conditional, Waiting};

#[derive(Default)]
pub struct Tail {
    entries: Vec<Entry>,
    /// The first entry of each place.
    first: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    heap: Heap,
    next: u64,
    /// The entries by place, unless some were added since.
    order: Vec<u32>,
    /// When the values of entries end, of those that do.
    ends: BTreeMap<u32, u64>,
    /// Entries that wait for a lookup below.
    open: usize,
    /// Approximately how many bytes of memory values outside the heap take.
    extra: usize,
    /// Files of values and keys that were replaced by operations here, and their bytes.
    pub dead: Vec<ValueName>,
    pub dead_bytes: u64,
}

struct Entry {
    place: u64,
    version: u64,
    key: Span,
    far_key: Option<Box<FarKey>>,
    value: Kept,
    source: Source,
    /// The next entry with the same place.
    other: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct FarKey {
    length: u32,
    file: ValueName,
}

enum Kept {
    Heap(Span),
    Pieces(Box<[Piece]>),
    File(Box<FileValue>),
    Gone,
    Open(Vec<Waiting>),
}

/// The operation that gave a key its present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The offset of its frame; `None` for a state that was looked up below.
    pub at: Option<u32>,
    pub ordinal: u16,
    /// Whether it is an increment. Its record does not contain the value.
    pub counted: bool,
}

impl Source {
    const BELOW: Self = Self { at: None, ordinal: 0, counted: false };
}

/// What is known here about a key.
pub enum Known<'a> {
    /// Nothing: the index and the base have its state.
    Nothing,
    /// It has to be looked up below first.
    Open,
    Gone(Source),
    Value {
        version: u64,
        value: Borrowed<'a>,
        source: Source,
        /// When it ends, or [`NEVER`].
        end: u64,
    },
}

/// A value here.
pub enum Borrowed<'a> {
    Bytes(&'a [u8]),
    Pieces(&'a [Piece]),
    File(FileValue),
}

impl Borrowed<'_> {
    pub fn to_stored(&self) -> Stored {
        match self {
            Self::Bytes(bytes) => Stored::Bytes(bytes.to_vec()),
            Self::Pieces(pieces) => Stored::Pieces(pieces.to_vec()),
            Self::File(file) => Stored::File(*file),
        }
    }
}

/// An entry of the tail, for iterating over all of them.
pub struct Change<'a> {
    pub place: u64,
    pub key: Key<'a>,
    pub version: u64,
    pub known: Known<'a>,
}

impl Tail {
    pub fn new(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// The version that the next operation gets.
    pub fn next_version(&self) -> u64 {
        self.next
    }

    /// An estimate of the memory it takes, in bytes.
    pub fn memory(&self) -> usize {
        self.heap.memory()
            + self.entries.capacity() * size_of::<Entry>()
            + self.first.capacity() * (size_of::<(u64, u32)>() + 1)
            + self.order.capacity() * size_of::<u32>()
            + self.ends.len() * 2 * size_of::<(u32, u64)>()
            + self.extra
    }

    /// Whether some entries wait for a lookup below.
    pub fn has_open(&self) -> bool {
        self.open > 0
    }

    /// The number of keys that it has entries for.
    pub fn keys(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    fn find(&self, place: u64, id: &[u8], far: bool) -> Option<u32> {
        let mut next = self.first.get(&place).copied();
        while let Some(index) = next {
            let entry = self.entry(index)?;
            if entry.far_key.is_some() == far && same(self.heap.get(entry.key), id) {
                return Some(index);
            }
            next = entry.other;
        }
        None
    }

    /// What is known about a key, given its place and its bytes, or its digest if it is `far`.
    pub fn get(&self, place: u64, id: &[u8], far: bool) -> Known<'_> {
        let found = self.find(place, id, far).and_then(|index| Some((index, self.entry(index)?)));
        found.map_or(Known::Nothing, |(index, entry)| self.known(index, entry))
    }

    fn known<'a>(&'a self, index: u32, entry: &'a Entry) -> Known<'a> {
        let value = match &entry.value {
            Kept::Heap(span) => Borrowed::Bytes(self.heap.get(*span)),
            Kept::Pieces(pieces) => Borrowed::Pieces(pieces),
            Kept::File(file) => Borrowed::File(**file),
            Kept::Gone => return Known::Gone(entry.source),
            Kept::Open(_) => return Known::Open,
        };
        Known::Value { version: entry.version, value, source: entry.source, end: self.end(index) }
    }

    /// When the value of a key ends, as far as it is known here.
    pub fn end_of(&self, place: u64, key: &Key<'_>) -> u64 {
        self.find(place, key.id(), key.is_far()).map_or(NEVER, |index| self.end(index))
    }

    fn end(&self, index: u32) -> u64 {
        if self.ends.is_empty() { NEVER } else { self.ends.get(&index).copied().unwrap_or(NEVER) }
    }

    fn set_end(&mut self, index: u32, end: u64) {
        if end != NEVER {
            self.ends.insert(index, end);
        } else if !self.ends.is_empty() {
            self.ends.remove(&index);
        }
    }

    /// All entries whose place is in the range, by place.
    pub fn sorted(&mut self, places: std::ops::RangeInclusive<u64>) -> Vec<Change<'_>> {
        let place = |index: &u32| self.entries.get(*index as usize).map_or(0, |entry| entry.place);
        if self.order.len() < self.entries.len() {
            let mut order: Vec<u32> = (0..self.entries.len() as u32).collect();
            order.sort_unstable_by_key(place);
            self.order = order;
        }
        let from = self.order.partition_point(|index| place(index) < *places.start());
        let mut changes: Vec<_> = self
            .order
            .iter()
            .skip(from)
            .filter_map(|index| Some((*index, self.entry(*index)?)))
            .take_while(|(_, entry)| entry.place <= *places.end())
            .map(|(index, entry)| Change {
                place: entry.place,
                key: self.key(entry),
                version: entry.version,
                known: self.known(index, entry),
            })
            .collect();
        changes.sort_unstable_by_key(|change| (change.place, change.version));
        changes
    }

    fn key<'a>(&'a self, entry: &'a Entry) -> Key<'a> {
        let id = self.heap.get(entry.key);
        match &entry.far_key {
            None => Key::Whole(id),
            Some(far) => {
                Key::Far { digest: id.first_chunk().copied().unwrap_or_default(), length: far.length, file: far.file }
            }
        }
    }

    /// Applies an operation on a key with that place. `at` is the offset of its frame, `blobs` that of the frame's
    /// blobs.
    pub fn apply(&mut self, place: u64, op: Op<'_>, at: u64, blobs: u64, ordinal: u16) -> Outcome {
        let version = self.next;
        self.next = version.saturating_add(1);
        let source = Source { at: u32::try_from(at).ok(), ordinal, counted: false };
        match op {
            Op::Set { key, value, end } => {
                self.put(place, key, Some((value, blobs, end)), version, source);
                Outcome::Done
            }
            Op::Delete { key } => {
                self.put(place, key, None, version, source);
                Outcome::Done
            }
            Op::Increment { key, delta, floor } => {
                let source = Source { counted: true, ..source };
                let (current, end) = match self.get(place, key.id(), key.is_far()) {
                    Known::Nothing | Known::Open => {
                        return self.wait(place, key, version, source, Conditional::Increment { delta, floor });
                    }
                    Known::Gone(_) => (None, NEVER),
                    Known::Value { value: Borrowed::Bytes(bytes), end, .. } => (Some(bytes), end),
                    // Longer than any counter.
                    Known::Value { end, .. } => (Some(&b"-"[..]), end),
                };
                match counter::add(current, delta, floor) {
                    Ok(sum) => {
                        self.put(place, key, Some((Value::Small(&counter::format(sum)), 0, end)), version, source);
                        Outcome::Counter(sum)
                    }
                    Err(error) => {
                        self.orphan(key, None);
                        Outcome::Refused(error)
                    }
                }
            }
            Op::Swap { key, expected, value, end } => {
                let current = match self.get(place, key.id(), key.is_far()) {
                    Known::Nothing | Known::Open => {
                        let value = Stored::new(value, blobs);
                        return self.wait(place, key, version, source, Conditional::Swap { expected, value, end });
                    }
                    Known::Gone(_) => 0,
                    Known::Value { version, .. } => version,
                };
                if current == expected {
                    self.put(place, key, Some((value, blobs, end)), version, source);
                    Outcome::Done
                } else {
                    self.orphan(key, Some(value));
                    Outcome::Conflict
                }
            }
            // Its key has the file of the operation after it.
            Op::End { key, version: ended } => match self.get(place, key.id(), key.is_far()) {
                Known::Nothing | Known::Open => {
                    self.wait(place, key, version, source, Conditional::End { version: ended })
                }
                Known::Value { version: now, .. } if now == ended => {
                    self.put(place, key, None, version, source);
                    Outcome::Done
                }
                Known::Gone(_) | Known::Value { .. } => Outcome::Conflict,
            },
        }
    }

    fn insert(&mut self, place: u64, key: Key<'_>, value: Kept, version: u64, source: Source) -> u32 {
        let far_key = far(key);
        self.extra += if far_key.is_some() { size_of::<FarKey>() } else { 0 };
        self.open += usize::from(matches!(value, Kept::Open(_)));
        let key = self.heap.push(key.id());
        let other = self.first.get(&place).copied();
        let index = self.entries.len() as u32;
        self.entries.push(Entry { place, version, key, far_key, value, source, other });
        self.first.insert(place, index);
        index
    }

    /// `value` comes with the offset of the frame's blobs, and when it ends.
    fn put(&mut self, place: u64, key: Key<'_>, value: Option<(Value<'_>, u64, u64)>, version: u64, source: Source) {
        let end = value.map_or(NEVER, |(_, _, end)| end);
        let Some(index) = self.find(place, key.id(), key.is_far()) else {
            let kept = value.map_or(Kept::Gone, |(value, blobs, _)| self.keep(value, blobs));
            let index = self.insert(place, key, kept, version, source);
            self.set_end(index, end);
            return;
        };
        self.set_end(index, end);
        let far_key = far(key);
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        (entry.version, entry.source) = (version, source);
        // A value of the same length takes the place of the old one.
        if let (Some((Value::Small(bytes), ..)), Kept::Heap(span), None, None) =
            (&value, &entry.value, &entry.far_key, &far_key)
            && self.heap.replace(*span, bytes)
        {
            return;
        }
        let old = std::mem::replace(&mut entry.value, Kept::Gone);
        let old_key = std::mem::replace(&mut entry.far_key, far_key);
        self.retire(old);
        if let Some(old) = old_key
            && Some(old.file) != self.entry(index).and_then(|entry| entry.far_key.as_ref()).map(|far| far.file)
        {
            self.dead.push(old.file);
            self.dead_bytes += u64::from(old.length);
        }
        let kept = value.map_or(Kept::Gone, |(value, blobs, _)| self.keep(value, blobs));
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.value = kept;
        }
        self.tidy();
    }

    fn keep(&mut self, value: Value<'_>, blobs: u64) -> Kept {
        match value {
            Value::Small(bytes) => Kept::Heap(self.heap.push(bytes)),
            other => self.keep_stored(Stored::new(other, blobs)),
        }
    }

    fn keep_stored(&mut self, value: Stored) -> Kept {
        match value {
            Stored::Bytes(bytes) => Kept::Heap(self.heap.push(&bytes)),
            Stored::Pieces(pieces) => {
                self.extra += pieces.len() * size_of::<Piece>();
                Kept::Pieces(pieces.into())
            }
            Stored::File(file) => {
                self.extra += size_of::<FileValue>();
                Kept::File(Box::new(file))
            }
        }
    }

    /// Forgets what is in an index that covers all versions below `next`, and what was only looked up.
    pub fn forget_below(&mut self, next: u64) {
        let Self { entries, heap, ends, next: own, dead, dead_bytes, .. } = std::mem::take(self);
        (self.next, self.dead, self.dead_bytes) = (own, dead, dead_bytes);
        for (before, entry) in (0u32..).zip(entries) {
            let value = match entry.value {
                Kept::Open(mut waiting) => {
                    waiting.retain(|one| one.version >= next);
                    if waiting.is_empty() {
                        continue;
                    }
                    self.extra += waiting.len() * size_of::<Waiting>();
                    Kept::Open(waiting)
                }
                _ if entry.version < next || entry.source.at.is_none() => continue,
                Kept::Heap(span) => Kept::Heap(self.heap.push(heap.get(span))),
                Kept::Pieces(pieces) => self.keep_stored(Stored::Pieces(pieces.into())),
                Kept::File(file) => self.keep_stored(Stored::File(*file)),
                Kept::Gone => Kept::Gone,
            };
            let id = heap.get(entry.key);
            let key = match entry.far_key {
                None => Key::Whole(id),
                Some(far) => {
                    let digest = id.first_chunk().copied().unwrap_or_default();
                    Key::Far { digest, length: far.length, file: far.file }
                }
            };
            let index = self.insert(entry.place, key, value, entry.version, entry.source);
            self.set_end(index, ends.get(&before).copied().unwrap_or(NEVER));
        }
    }

    fn tidy(&mut self) {
        let entries = &mut self.entries;
        self.heap.tidy(|copy| {
            for entry in entries {
                copy(&mut entry.key);
                if let Kept::Heap(span) = &mut entry.value {
                    copy(span);
                }
            }
        });
    }
}

fn far(key: Key<'_>) -> Option<Box<FarKey>> {
    match key {
        Key::Whole(_) => None,
        Key::Far { length, file, .. } => Some(Box::new(FarKey { length, file })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_takes_what_it_covers_and_what_came_later_keeps_its_end() {
        let mut tail = Tail::new(1);
        let set = |key, end| Op::Set { key: Key::Whole(key), value: Value::Small(b"value"), end };
        for (place, key, end) in [(3, &b"covered"[..], 70), (4, b"lasting", NEVER), (5, b"later", 80)] {
            tail.apply(place, set(key, end), 100 * place, 0, 0);
        }
        tail.forget_below(2);
        let end = |place, key| match tail.get(place, key, false) {
            Known::Value { end, .. } => Some(end),
            _ => None,
        };
        assert_eq!(end(3, b"covered"), None);
        assert_eq!((end(4, b"lasting"), end(5, b"later")), (Some(NEVER), Some(80)));
    }
}
