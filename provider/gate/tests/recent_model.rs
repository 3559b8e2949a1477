//! Bounded staleness against an independent model: the history of every key, and what each instance may know of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{BOUND, Shared, bytes, instance};
use kvfuse_core::{Bucket, Kind, Store, Swap, counter};
use std::collections::HashMap;
use std::rc::Rc;

/// A small deterministic generator (splitmix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A state of a key, and since when.
type State = (u64, Option<Vec<u8>>);

/// The model: the states that each key has had, each from some moment on, and for each instance and key the first of them
/// that it may still return.
struct Model {
    history: HashMap<&'static str, Vec<State>>,
    floors: HashMap<(usize, &'static str), usize>,
}

impl Model {
    fn of(keys: &[&'static str]) -> Self {
        Self { history: keys.iter().map(|key| (*key, vec![(0, None)])).collect(), floors: HashMap::new() }
    }

    /// The state before any other operation, for a write that depends on it.
    fn now(&self, key: &str) -> Option<Vec<u8>> {
        self.history[key].last().unwrap().1.clone()
    }

    /// An instance wrote a key, at this moment.
    fn wrote(&mut self, instance: usize, key: &'static str, at: u64, state: Option<Vec<u8>>) {
        let states = self.history.get_mut(key).unwrap();
        states.push((at, state));
        self.floors.insert((instance, key), states.len() - 1);
    }

    /// An instance was told the present state of a key.
    fn was_told(&mut self, instance: usize, key: &'static str) {
        self.floors.insert((instance, key), self.history[key].len() - 1);
    }

    /// An instance read a key, in a call that began at this moment. `is` says which states that may have been.
    fn read(&mut self, instance: usize, key: &'static str, began: u64, is: impl Fn(&Option<Vec<u8>>) -> bool) {
        let states = &self.history[key];
        let floor = self.floors.get(&(instance, key)).copied().unwrap_or(0);
        // A state lasts until the next one. It may have been seen if it lasted to within the bound, or still does.
        let until = |n: usize| states.get(n + 1).map_or(u64::MAX, |(at, _)| *at);
        let found = (floor..states.len()).find(|n| until(*n) >= began.saturating_sub(BOUND) && is(&states[*n].1));
        let found = found.unwrap_or_else(|| {
            panic!("{key} in instance {instance} at {began} is not among {:?}", &states[floor..]);
        });
        self.floors.insert((instance, key), found);
    }
}

/// Two instances with the bound and a third without, at random.
#[test]
fn no_read_is_older_than_the_bound_the_own_last_write_or_the_read_before() {
    let keys = ["a", "b", "c"];
    let mut answered = 0;
    for seed in 0..300 {
        let mut random = Random(seed);
        let shared = Shared::default();
        let buckets: Vec<Rc<dyn Bucket>> =
            ["5", "5", ""].iter().map(|setting| instance(&shared, setting).open("b").unwrap()).collect();
        let mut model = Model::of(&keys);
        for step in 0..400 {
            shared.0.clock.advance([0, 1, BOUND / 10, BOUND / 2, BOUND - 1][random.below(5) as usize]);
            shared.0.takes.set((random.below(BOUND / 4), random.below(BOUND / 4)));
            let instance = random.below(3) as usize;
            let (bucket, key) = (&buckets[instance], keys[random.below(3) as usize]);
            let began = shared.0.clock.0.get();
            let effect = || shared.0.effect.get();
            // Values are counters, and nearly all different.
            let value = counter::format(1_000_000 + step * 1000);
            match random.below(15) {
                0..=3 => {
                    let found = bucket.get(key).unwrap();
                    answered += usize::from(shared.calls().is_empty());
                    model.read(instance, key, began, |state| *state == found);
                }
                4 => {
                    let exists = bucket.exists(key).unwrap();
                    answered += usize::from(shared.calls().is_empty());
                    model.read(instance, key, began, |state| state.is_some() == exists);
                }
                5 => {
                    let found = bucket.get_many(&keys).unwrap();
                    for (key, found) in keys.iter().zip(found) {
                        model.read(instance, key, began, |state| *state == found);
                    }
                }
                6 | 7 => {
                    bucket.set(key, &value).unwrap();
                    model.wrote(instance, key, effect(), Some(value));
                }
                8 => {
                    bucket.delete(key).unwrap();
                    model.wrote(instance, key, effect(), None);
                }
                9 => {
                    let sum = bucket.increment(key, 1, 0).unwrap();
                    let before = model.now(key).map_or(0, |value| counter::parse(&value).unwrap());
                    assert_eq!(sum, before + 1, "an increment is of the present counter");
                    model.wrote(instance, key, effect(), Some(counter::format(sum)));
                }
                10 => {
                    let snapshot = bucket.snapshot(key).unwrap();
                    assert_eq!(snapshot.value, model.now(key), "a snapshot is of the present state");
                    model.was_told(instance, key);
                    // Another instance may come in between.
                    if random.below(2) == 0 {
                        let (other, written) = ((instance + 1) % 3, counter::format(1_000_500 + step * 1000));
                        buckets[other].set(key, &written).unwrap();
                        model.wrote(other, key, effect(), Some(written));
                    }
                    match bucket.swap(key, &snapshot.version, &value).unwrap() {
                        Swap::Done => model.wrote(instance, key, effect(), Some(value)),
                        Swap::Conflict(now) => {
                            assert_eq!(now.value, model.now(key));
                            model.was_told(instance, key);
                        }
                    }
                }
                11 => {
                    bucket.set_many(&[(keys[0], &value), (keys[1], b"7")]).unwrap();
                    model.wrote(instance, keys[0], effect(), Some(value));
                    model.wrote(instance, keys[1], effect(), bytes("7"));
                }
                12 => {
                    bucket.delete_many(&keys[1..]).unwrap();
                    model.wrote(instance, keys[1], effect(), None);
                    model.wrote(instance, keys[2], effect(), None);
                }
                13 => {
                    bucket.list(None).unwrap();
                    keys.iter().for_each(|key| model.was_told(instance, key));
                }
                _ => {
                    shared.0.fails.set(Some((random.below(2) == 0, Kind::OutcomeUnknown)));
                    let happens = shared.0.fails.get().unwrap().0;
                    bucket.set(key, &value).unwrap_err();
                    if happens {
                        // It may show or not: it counts as one of somebody else.
                        let (at, states) = (effect(), model.history.get_mut(key).unwrap());
                        states.push((at, Some(value)));
                    }
                }
            }
            shared.calls();
        }
    }
    assert!(answered > 1000, "{answered} reads were answered from what was kept");
}
