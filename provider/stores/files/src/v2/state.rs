//! The state that a segment's records result in: a pure function of their sequence, the same for every reader.

use super::record::{Op, Pair, Value};
use crate::hash::Keys;
use crate::item::{Found, Item, OwnedKey, Stored};
use crate::name::ValueName;
use crate::record::{Key, NEVER, Piece};
use kvfuse_core::counter;
use std::collections::BTreeMap;

/// By place, whether the key is far, and what keys are compared by.
type Name = (u64, bool, Vec<u8>);

/// The keys of one segment, with their small values and where to find the others.
#[derive(Default)]
pub struct Pairs {
    entries: BTreeMap<Name, (OwnedKey, Found)>,
    pub next: u64,
    /// An estimate of the memory it takes, in bytes.
    pub memory: usize,
    /// Files of values and keys that were replaced since the segment's base.
    pub dead: Vec<ValueName>,
}

fn stored(value: Value<'_>, blobs: u64) -> Stored {
    match value {
        Value::Small(bytes) => Stored::Bytes(bytes.to_vec()),
        Value::Blob { at, length, check } => {
            let at = u32::try_from(blobs.saturating_add(u64::from(at))).unwrap_or(u32::MAX);
            Stored::Pieces(vec![Piece { at, length, check }])
        }
        Value::File(file) => Stored::File(file),
    }
}

impl Pairs {
    pub fn new(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    pub fn get(&self, place: u64, id: &[u8], far: bool) -> Option<&Found> {
        self.entries.get(&(place, far, id.to_vec())).map(|(_, found)| found)
    }

    /// All pairs, by place and version.
    pub fn items(&self) -> Vec<Item> {
        let item = |((place, ..), (key, found)): (&Name, &(OwnedKey, Found))| Item {
            place: *place,
            key: key.clone(),
            found: found.clone(),
        };
        let mut items: Vec<_> = self.entries.iter().map(item).collect();
        items.sort_by_key(|item| (item.place, item.found.version));
        items
    }

    /// Adds a pair of a base.
    pub fn load(&mut self, keys: &Keys, pair: Pair<'_>, blobs: u64) {
        self.put(keys.place(pair.key.id()), pair.key, Some(stored(pair.value, blobs)), pair.version);
    }

    /// Applies an operation; `blobs` is the offset in the segment of the blobs of its record.
    pub fn apply(&mut self, keys: &Keys, op: Op<'_>, blobs: u64) {
        let version = self.next;
        self.next = version.saturating_add(1);
        let place = keys.place(op.key().id());
        match op {
            Op::Set { key, value } => self.put(place, key, Some(stored(value, blobs)), version),
            Op::Delete { key } => self.put(place, key, None, version),
            Op::Increment { key, delta, floor } => {
                let current = self.get(place, key.id(), key.is_far()).map(|found| match &found.value {
                    Stored::Bytes(bytes) => &bytes[..],
                    // Longer than any counter.
                    Stored::Pieces(_) | Stored::File(_) => b"-",
                });
                if let Ok(sum) = counter::add(current, delta, floor) {
                    self.put(place, key, Some(Stored::Bytes(counter::format(sum))), version);
                }
            }
            Op::Swap { key, expected, value } => {
                if self.get(place, key.id(), key.is_far()).map_or(0, |found| found.version) == expected {
                    self.put(place, key, Some(stored(value, blobs)), version);
                }
            }
        }
    }

    fn put(&mut self, place: u64, key: Key<'_>, value: Option<Stored>, version: u64) {
        let name = (place, key.is_far(), key.id().to_vec());
        let weight = |found: &Found| 160 + 2 * key.id().len() + found.value.bytes() as usize;
        let new = value.map(|value| Found { version, value, end: NEVER });
        self.memory += new.as_ref().map_or(0, weight);
        let old = match new {
            Some(found) => self.entries.insert(name, (key.into(), found)),
            None => self.entries.remove(&name),
        };
        let Some((old_key, old)) = old else { return };
        self.memory = self.memory.saturating_sub(weight(&old));
        if let Stored::File(file) = old.value {
            self.dead.push(file.name);
        }
        if let OwnedKey::Far { file, .. } = old_key {
            self.dead.push(file);
        }
    }
}
