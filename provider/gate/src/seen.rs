//! What an instance has seen of its keys recently, in bounded memory.

use kvfuse_transport::clock::Moment;
use std::collections::HashMap;
use std::rc::Rc;

/// The longest key and value together that are kept, in bytes.
pub const LARGEST: usize = 64 << 10;
/// The size of everything that is kept, in bytes.
pub const BUDGET: usize = 4 << 20;
/// The size of an entry besides its key and value: its places in a table that may be half empty, and two allocations.
const OVERHEAD: usize = 160;

/// The state of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Absent,
    /// It exists, with a value that is not kept.
    Exists,
    Value(Box<[u8]>),
}

impl State {
    pub fn of(value: Option<&[u8]>) -> Self {
        value.map_or(Self::Absent, |value| Self::Value(value.into()))
    }
}

struct Entry {
    at: Moment,
    state: State,
}

/// The states that were seen last, by name space and key.
///
/// There are two halves. New states go into the young half. Once that is full, the old half is dropped and the young
/// one takes its place. So at least the last half of the budget is kept, and nothing has to be sorted.
#[derive(Default)]
pub struct Seen {
    young: Half,
    old: Half,
}

#[derive(Default)]
struct Half {
    spaces: HashMap<Rc<str>, HashMap<Box<str>, Entry>>,
    bytes: usize,
}

impl Seen {
    /// The state of a key, if it was seen at `since` or later.
    pub fn get(&self, space: &str, key: &str, since: Moment) -> Option<&State> {
        let entry = self.young.get(space, key).or_else(|| self.old.get(space, key))?;
        (entry.at >= since).then_some(&entry.state)
    }

    /// Keeps the state of a key, which was its state at `at` or later.
    pub fn keep(&mut self, space: &Rc<str>, key: &str, at: Moment, state: State) {
        let length = match &state {
            State::Value(value) => value.len(),
            _ => 0,
        };
        self.forget(space, key);
        if key.len().saturating_add(length) > LARGEST {
            return;
        }
        let bytes = cost(key, &state);
        if self.young.bytes + bytes > BUDGET / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(space, key, Entry { at, state }, bytes);
    }

    /// Forgets the state of a key.
    pub fn forget(&mut self, space: &str, key: &str) {
        self.young.forget(space, key);
        self.old.forget(space, key);
    }

    /// Forgets all keys of a name space.
    pub fn forget_all(&mut self, space: &str) {
        self.young.forget_all(space);
        self.old.forget_all(space);
    }
}

impl Half {
    fn get(&self, space: &str, key: &str) -> Option<&Entry> {
        self.spaces.get(space)?.get(key)
    }

    fn insert(&mut self, space: &Rc<str>, key: &str, entry: Entry, bytes: usize) {
        if !self.spaces.contains_key(space) {
            self.bytes += space_cost(space);
        }
        self.spaces.entry(space.clone()).or_default().insert(key.into(), entry);
        self.bytes += bytes;
    }

    fn forget(&mut self, space: &str, key: &str) {
        if let Some(entry) = self.spaces.get_mut(space).and_then(|keys| keys.remove(key)) {
            self.bytes -= cost(key, &entry.state);
        }
    }

    fn forget_all(&mut self, space: &str) {
        if let Some(keys) = self.spaces.remove(space) {
            let bytes: usize = keys.iter().map(|(key, entry)| cost(key, &entry.state)).sum();
            self.bytes -= bytes + space_cost(space);
        }
    }
}

/// The size of an entry, in bytes.
fn cost(key: &str, state: &State) -> usize {
    let value = match state {
        State::Value(value) => value.len(),
        _ => 0,
    };
    key.len() + value + OVERHEAD
}

/// The additional size of the first key of a name space: the name, and a table.
fn space_cost(space: &str) -> usize {
    space.len() + 4 * OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::allocated::{Allocated, Counting};

    #[global_allocator]
    static COUNTING: Counting = Counting;

    const ALWAYS: Moment = Moment(0);

    fn value(bytes: &[u8]) -> State {
        State::of(Some(bytes))
    }

    #[test]
    fn a_state_is_kept_until_it_is_too_old_or_forgotten() {
        let mut seen = Seen::default();
        let (a, b): (Rc<str>, Rc<str>) = ("a".into(), "b".into());
        seen.keep(&a, "k", Moment(10), value(b"1"));
        seen.keep(&b, "k", Moment(10), State::Absent);
        assert_eq!(seen.get("a", "k", Moment(10)), Some(&value(b"1")));
        assert_eq!(seen.get("b", "k", Moment(10)), Some(&State::Absent));
        assert_eq!(seen.get("a", "k", Moment(11)), None);
        assert_eq!((seen.get("a", "x", ALWAYS), seen.get("x", "k", ALWAYS)), (None, None));
        seen.keep(&a, "k", Moment(20), State::Exists);
        assert_eq!(seen.get("a", "k", Moment(11)), Some(&State::Exists));
        seen.forget("a", "k");
        assert_eq!((seen.get("a", "k", ALWAYS), seen.get("b", "k", ALWAYS)), (None, Some(&State::Absent)));
        seen.forget_all("b");
        assert_eq!(seen.get("b", "k", ALWAYS), None);
    }

    #[test]
    fn what_is_large_is_not_kept_and_takes_the_place_of_nothing() {
        let mut seen = Seen::default();
        let space: Rc<str> = "s".into();
        seen.keep(&space, "k", ALWAYS, value(&vec![0; LARGEST - 1]));
        assert!(seen.get("s", "k", ALWAYS).is_some());
        seen.keep(&space, "k", ALWAYS, value(&vec![0; LARGEST]));
        assert_eq!(seen.get("s", "k", ALWAYS), None, "neither the new one nor the one before");
    }

    #[test]
    fn the_last_half_of_the_budget_is_kept_in_the_memory_of_the_budget() {
        // Small entries, large ones, and each in a name space of its own.
        for (length, spaces) in [(0, 1), (100, 1), (60 << 10, 1), (10, 100_000)] {
            Allocated::forget_peak();
            let before = Allocated::now();
            let mut seen = Seen::default();
            let spaces: Vec<Rc<str>> = (0..spaces).map(|n| format!("{n}").into()).collect();
            let names = Allocated::now() - before;
            let count = 3 * BUDGET / (length + OVERHEAD);
            for n in 0..count {
                seen.keep(&spaces[n % spaces.len()], &format!("key {n}"), ALWAYS, value(&vec![0; length]));
            }
            let kept = Allocated::now() - before - names;
            assert!(kept <= BUDGET, "{kept} bytes with values of {length}");
            let last = BUDGET / 2 / (length + 8 * OVERHEAD);
            for n in count - last..count {
                assert!(seen.get(&spaces[n % spaces.len()], &format!("key {n}"), ALWAYS).is_some(), "{n} of {count}");
            }
            for n in 0..count {
                seen.forget(&spaces[n % spaces.len()], &format!("key {n}"));
            }
            spaces.iter().for_each(|space| seen.forget_all(space));
            assert_eq!((seen.young.bytes, seen.old.bytes), (0, 0));
        }
    }
}
