//! Increments and swaps of keys that the tail does not know: they wait until the key is looked up below. Pure.

use super::{Entry, Kept, Source, Tail};
use crate::item::{Found, Outcome, Stored};
use crate::record::{Key, NEVER};
use kvfuse_core::counter;

/// An operation that waits for a lookup below.
pub(super) struct Waiting {
    pub(super) version: u64,
    source: Source,
    pub(super) what: Conditional,
}

/// What it does depends on what the key holds.
pub(super) enum Conditional {
    Increment {
        delta: i64,
        floor: i64,
    },
    Swap {
        expected: u64,
        value: Stored,
        end: u64,
    },
    /// Deletes the key if it has this version.
    End {
        version: u64,
    },
}

impl Tail {
    /// Keeps an operation until its key is looked up below.
    pub(super) fn wait(
        &mut self,
        place: u64,
        key: Key<'_>,
        version: u64,
        source: Source,
        what: Conditional,
    ) -> Outcome {
        let index = self.find(place, key.id(), key.is_far());
        let index = index.unwrap_or_else(|| self.insert(place, key, Kept::Open(Vec::new()), version, source));
        if let Some(Entry { value: Kept::Open(waiting), .. }) = self.entries.get_mut(index as usize) {
            self.extra += size_of::<Waiting>();
            waiting.push(Waiting { version, source, what });
        }
        Outcome::Open(version)
    }

    /// Takes what the index and the base have of a key. This decides the operations that wait for it. The state is
    /// kept, so that later ones need not wait. Returns what the operation with the version `of` did, if it waited.
    pub fn warm(&mut self, place: u64, key: Key<'_>, below: Option<Found>, of: u64) -> Option<Outcome> {
        let index = match self.find(place, key.id(), key.is_far()) {
            Some(index) => index,
            None => self.insert(place, key, Kept::Open(Vec::new()), 0, Source::BELOW),
        };
        let (mut state, mut source) = (below, Source::BELOW);
        // The version of the operation that ended it, if one did.
        let mut gone = 0;
        let Some(Entry { value: value @ Kept::Open(_), .. }) = self.entries.get_mut(index as usize) else {
            return None;
        };
        let Kept::Open(waiting) = std::mem::replace(value, Kept::Gone) else { return None };
        let mut asked = None;
        self.open = self.open.saturating_sub(1);
        self.extra = self.extra.saturating_sub(waiting.len() * size_of::<Waiting>());
        for one in waiting {
            match one.what {
                Conditional::Increment { delta, floor } => {
                    let current = state.as_ref().map(|found| match &found.value {
                        Stored::Bytes(bytes) => &bytes[..],
                        Stored::Pieces(_) | Stored::File(_) => b"-",
                    });
                    let outcome = match counter::add(current, delta, floor) {
                        Ok(sum) => {
                            let value = Stored::Bytes(counter::format(sum));
                            let end = state.map_or(NEVER, |found| found.end);
                            (state, source) = (Some(Found { version: one.version, value, end }), one.source);
                            Outcome::Counter(sum)
                        }
                        Err(error) => Outcome::Refused(error),
                    };
                    asked = (one.version == of).then_some(outcome).or(asked);
                }
                Conditional::Swap { expected, value, end } => {
                    let done = state.as_ref().map_or(0, |found| found.version) == expected;
                    let outcome = if done { Outcome::Done } else { Outcome::Conflict };
                    asked = (one.version == of).then_some(outcome).or(asked);
                    if done {
                        self.lose(state.take().map(|found| found.value));
                        (state, source) = (Some(Found { version: one.version, value, end }), one.source);
                    } else {
                        self.lose(Some(value));
                    }
                }
                Conditional::End { version } => {
                    let done = state.as_ref().is_some_and(|found| found.version == version);
                    let outcome = if done { Outcome::Done } else { Outcome::Conflict };
                    asked = (one.version == of).then_some(outcome).or(asked);
                    if done {
                        self.lose(state.take().map(|found| found.value));
                        (gone, source) = (one.version, one.source);
                    }
                }
            }
        }
        let version = state.as_ref().map_or(gone, |found| found.version);
        self.set_end(index, state.as_ref().map_or(NEVER, |found| found.end));
        let kept = state.map_or(Kept::Gone, |found| self.keep_stored(found.value));
        if let Some(entry) = self.entries.get_mut(index as usize) {
            (entry.value, entry.version, entry.source) = (kept, version, source);
        }
        asked
    }
}
