//! The states of the keys of a damaged segment, and how certain they are. Pure.

use crate::hash::Keys;
use crate::item::{Found, Item, OwnedKey, Stored};
use crate::part::Pair;
use crate::record::{Key, NEVER, Op};
use crate::run::{Mark, What};
use kvfuse_core::counter;
use std::collections::BTreeMap;

/// By place, whether the key is far, and what keys are compared by.
type Name = (u64, bool, Vec<u8>);

/// What is known about a key.
pub struct Entry {
    pub key: OwnedKey,
    pub version: u64,
    pub held: Held,
    /// When its value ends, or [`NEVER`].
    pub end: u64,
    /// The frame of the operation that gave it this state, and which of its operations that is; none from the base.
    source: Option<(u64, u16)>,
    /// How many holes come before the records that its state depends on.
    epoch: u32,
}

pub enum Held {
    Value(Stored),
    Gone,
    /// The key is there, or was, and its value cannot be read.
    Unknown,
}

#[derive(Default)]
pub struct State {
    pub entries: BTreeMap<Name, Entry>,
    /// The version that the next operation gets.
    pub next: u64,
    /// Holes so far: a state that was written before a hole may have been changed in it.
    epoch: u32,
}

fn name(place: u64, key: &Key<'_>) -> Name {
    (place, key.is_far(), key.id().to_vec())
}

impl State {
    /// Adds a pair of the base.
    pub fn load(&mut self, place: u64, pair: Pair<'_>) {
        let Pair { version, key, value, end } = pair;
        let held = Held::Value(Stored::new(value, 0));
        let entry = Entry { key: key.into(), version, held, end, source: None, epoch: self.epoch };
        self.entries.insert(name(place, &key), entry);
        self.next = self.next.max(version.saturating_add(1));
    }

    /// From here on, what was written before is uncertain.
    pub fn hole(&mut self) {
        self.epoch += 1;
    }

    pub fn is_sure(&self, entry: &Entry) -> bool {
        entry.epoch == self.epoch
    }

    /// Applies an operation of the frame at `at`. `whole` is whether its value is as it was written, `readable` whether
    /// what the base had of the key could be read.
    pub fn apply(
        &mut self,
        keys: &Keys,
        op: &Op<'_>,
        whole: bool,
        (at, ordinal, blobs): (u64, u16, u64),
        readable: bool,
    ) {
        let version = self.next;
        self.next = version.saturating_add(1);
        let key = op.key();
        let name = name(keys.place(key.id()), key);
        let old = self.entries.get(&name);
        // A hole may have had something about a key that is not known.
        let before = old.map_or(if readable { 0 } else { self.epoch }, |old| old.epoch);
        let held = |value| if whole { Held::Value(Stored::new(value, blobs)) } else { Held::Unknown };
        let mut end = NEVER;
        let (held, epoch) = match *op {
            Op::Set { value, end: ends, .. } => {
                end = ends;
                (held(value), self.epoch)
            }
            Op::Delete { .. } => (Held::Gone, self.epoch),
            // Whoever wrote it had seen this version. If it is not known here, it is lost.
            Op::End { version, .. } => match old {
                Some(old) if old.version == version || old.version < version && before < self.epoch => {
                    (Held::Gone, before)
                }
                _ => return,
            },
            Op::Increment { delta, floor, .. } => {
                let current = match old.map(|old| &old.held) {
                    None if !readable => None,
                    None | Some(Held::Gone) => Some(None),
                    Some(Held::Value(Stored::Bytes(bytes))) => Some(Some(&bytes[..])),
                    // Longer than any counter.
                    Some(Held::Value(_)) => Some(Some(&b"-"[..])),
                    Some(Held::Unknown) => None,
                };
                end = old.map_or(NEVER, |old| old.end);
                match current.map(|current| counter::add(current, delta, floor)) {
                    Some(Ok(sum)) => (Held::Value(Stored::Bytes(counter::format(sum))), before),
                    Some(Err(_)) => return,
                    None => (Held::Unknown, self.epoch),
                }
            }
            Op::Swap { expected, value, end: ends, .. } => {
                end = ends;
                let known = match old {
                    None if !readable => None,
                    Some(Entry { held: Held::Unknown, version: 0, .. }) => None,
                    old => Some(old.filter(|old| !matches!(old.held, Held::Gone)).map_or(0, |old| old.version)),
                };
                if known == Some(expected) {
                    (held(value), before)
                } else if known.is_none_or(|known| known < expected) && (before < self.epoch || !readable) {
                    // It saw what is lost. Most likely it succeeded.
                    (held(value), before.min(self.epoch.saturating_sub(1)))
                } else {
                    return;
                }
            }
        };
        let entry = Entry { key: (*key).into(), version, held, end, source: Some((at, ordinal)), epoch };
        self.entries.insert(name, entry);
    }

    /// Applies an index to the state at the position up to which it covers the file. `marks` has the last mark of each
    /// place, `covers` says whether the index could be read at a place. Returns how many of its keys are not known
    /// here.
    pub fn index(&mut self, marks: &BTreeMap<u64, Mark>, covers: &dyn Fn(u64) -> bool, next: u64) -> u64 {
        let epoch = self.epoch;
        for ((place, ..), entry) in &mut self.entries {
            let Some(mark) = marks.get(place) else {
                if covers(*place) && entry.source.is_none() {
                    entry.epoch = epoch;
                }
                continue;
            };
            let source = (u64::from(mark.at), mark.ordinal);
            match mark.what {
                What::Counter { sum, end } => {
                    (entry.held, entry.end) = (Held::Value(Stored::Bytes(counter::format(sum))), end);
                }
                What::Gone => entry.held = Held::Gone,
                What::Value if entry.source == Some(source) => {}
                // The record that the mark refers to cannot be read.
                What::Value => {
                    entry.epoch = entry.epoch.min(epoch.saturating_sub(1));
                    continue;
                }
            }
            (entry.version, entry.source, entry.epoch) = (mark.version, Some(source), epoch);
        }
        self.next = next;
        let known =
            |place: u64| self.entries.range((place, false, Vec::new())..).next().is_some_and(|(n, _)| n.0 == place);
        marks.values().filter(|mark| mark.what != What::Gone && !known(mark.place)).count() as u64
    }
}

impl Entry {
    /// The pair, if its value is known.
    pub fn item(&self, place: u64) -> Option<Item> {
        let Held::Value(value) = &self.held else { return None };
        Some(Item {
            place,
            key: self.key.clone(),
            found: Found { version: self.version, value: value.clone(), end: self.end },
        })
    }
}
