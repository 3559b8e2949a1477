//! The listings in progress: which keys each of them has returned.
//!
//! Redis promises that a scan returns every key that is there all the time, and may return one twice (when its table
//! shrinks meanwhile). So the instance that returned a key remembers its fingerprint.
#![deny(clippy::arithmetic_side_effects)]

use siphasher::sip128::SipHasher13;
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

/// The number of listings in progress that an instance remembers.
const RUNS: usize = 8;
/// The number of keys that it remembers, of all listings together: a table of 4 Mi places, filled to 7/8. It takes 17
/// bytes per place, so at most 68 MiB, and half as much again while a table grows. A listing that needs more takes it
/// from the oldest ones; in a bucket with more keys, later ones may be returned twice.
const REMEMBERED: usize = (4 << 20) / 8 * 7;
/// The number of keys that a table has room for at first: more than a full page.
const FIRST: usize = (4 << 10) / 8 * 7;

/// The listings in progress, oldest first.
pub struct Runs {
    last: Cell<u64>,
    kept: RefCell<VecDeque<Run>>,
    /// [`REMEMBERED`], but for tests.
    remembered: usize,
}

/// One listing in progress.
pub struct Run {
    pub id: u64,
    /// Whether this instance has returned every page so far, and so knows every key that was returned.
    pub is_complete: bool,
    returned: HashSet<u128>,
    /// The keys that its table has room for.
    room: usize,
}

impl Runs {
    /// The seed keeps the runs of different instances apart.
    pub fn new(seed: u64) -> Self {
        let last = Cell::new(fingerprint(&seed.to_le_bytes()) as u64);
        Self { last, kept: RefCell::default(), remembered: REMEMBERED }
    }

    pub fn begin(&self) -> Run {
        self.last.set(self.last.get().wrapping_add(1));
        Run::new(self.last.get(), true)
    }

    /// The run with this id. Its pages so far may have been returned by another instance.
    pub fn resume(&self, id: u64) -> Run {
        let mut kept = self.kept.borrow_mut();
        let known = kept.iter().position(|run| run.id == id).and_then(|at| kept.remove(at));
        known.unwrap_or_else(|| Run::new(id, false))
    }

    /// Keeps a run for its next page, in place of the oldest one if there are too many.
    pub fn keep(&self, run: Run) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= RUNS {
            kept.pop_front();
        }
        kept.push_back(run);
    }

    /// Makes room in a run for `more` keys. Returns false if it cannot remember as many.
    fn make_room(&self, run: &mut Run, more: usize) -> bool {
        let needed = run.returned.len().saturating_add(more);
        let mut room = run.room.max(FIRST.min(self.remembered));
        while room < needed {
            room = room.saturating_mul(2);
        }
        if room == run.room {
            return true;
        }
        if room > self.remembered {
            return false;
        }
        let mut kept = self.kept.borrow_mut();
        while kept.iter().fold(room, |sum, run| sum.saturating_add(run.room)) > self.remembered {
            kept.pop_front();
        }
        let reserved = run.returned.try_reserve(room.saturating_sub(run.returned.len()));
        if reserved.is_ok() {
            run.room = room;
        }
        reserved.is_ok()
    }
}

impl Run {
    fn new(id: u64, is_complete: bool) -> Self {
        Self { id, is_complete, returned: HashSet::new(), room: 0 }
    }
}

/// The keys of a page that is being filled, beside those that its run has returned.
#[derive(Default)]
pub struct Marks(HashSet<u128>);

impl Marks {
    /// Whether there is room for one more key.
    pub fn can_remember(&self, runs: &Runs, run: &mut Run) -> bool {
        runs.make_room(run, self.0.len().saturating_add(1))
    }

    pub fn has_returned(&self, run: &Run, key: &[u8]) -> bool {
        let key = fingerprint(key);
        run.returned.contains(&key) || self.0.contains(&key)
    }

    /// Marks a key as returned. Returns whether it is the first time.
    pub fn insert(&mut self, runs: &Runs, run: &mut Run, key: &[u8]) -> bool {
        if !self.can_remember(runs, run) {
            return !self.has_returned(run, key);
        }
        let key = fingerprint(key);
        !run.returned.contains(&key) && self.0.insert(key)
    }

    /// The page is returned: the run remembers its keys, and there is room for them.
    pub fn commit(self, run: &mut Run) {
        run.returned.extend(self.0);
    }
}

/// 128 bits: of 4 million keys, two share one with a probability of 1 in 10^25.
pub fn fingerprint(bytes: &[u8]) -> u128 {
    SipHasher13::new().hash(bytes).as_u128()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests {
    use super::*;
    use kvfuse_servers::allocated::Allocated;

    /// Returns a page of these keys. Gives those that were returned before.
    fn page(runs: &Runs, run: &mut Run, keys: &[&str]) -> Vec<String> {
        let mut marks = Marks::default();
        let again = keys.iter().filter(|key| !marks.insert(runs, run, key.as_bytes()));
        let again = again.map(ToString::to_string).collect();
        marks.commit(run);
        again
    }

    #[test]
    fn a_run_returns_each_key_once_and_old_runs_are_forgotten() {
        let runs = Runs::new(1);
        let mut first = runs.begin();
        assert_eq!(page(&runs, &mut first, &["a", "b", "a"]), ["a"]);
        let id = first.id;
        runs.keep(first);
        for _ in 1..RUNS {
            runs.keep(runs.begin());
        }
        let mut first = runs.resume(id);
        assert!(first.is_complete);
        assert_eq!(page(&runs, &mut first, &["b", "c"]), ["b"]);
        runs.keep(first);
        for _ in 0..RUNS {
            runs.keep(runs.begin());
        }
        let mut first = runs.resume(id);
        assert!(!first.is_complete);
        assert_eq!(page(&runs, &mut first, &["b"]), [""; 0]);
    }

    #[test]
    fn the_keys_of_a_page_that_failed_are_still_to_come() {
        let runs = Runs::new(1);
        let mut run = runs.begin();
        page(&runs, &mut run, &["before"]);
        assert!(Marks::default().insert(&runs, &mut run, b"failed"));
        assert_eq!(page(&runs, &mut run, &["before", "failed"]), ["before"]);
    }

    #[test]
    fn a_run_that_another_instance_began_never_becomes_complete() {
        let runs = Runs::new(2);
        let id = Runs::new(1).begin().id;
        runs.keep(runs.resume(id));
        assert!(!runs.resume(id).is_complete);
    }

    /// Returns pages of a thousand of these keys.
    fn list(runs: &Runs, run: &mut Run, keys: std::ops::Range<usize>) {
        for first in keys.clone().step_by(1000) {
            let mut marks = Marks::default();
            for key in first..(first + 1000).min(keys.end) {
                assert!(marks.insert(runs, run, &key.to_le_bytes()), "{key}");
            }
            marks.commit(run);
        }
    }

    #[test]
    fn the_listings_of_an_instance_take_the_memory_that_is_written_here_and_no_more() {
        let limit = 68 << 20;
        let before = Allocated::now();
        Allocated::forget_peak();
        let runs = Runs::new(1);
        // A few that are large and then a larger one, which takes their place.
        for _ in 0..RUNS {
            let mut run = runs.begin();
            list(&runs, &mut run, 0..60_000);
            runs.keep(run);
            assert!(Allocated::now() - before <= limit + (1 << 20), "{}", Allocated::now() - before);
        }
        let mut run = runs.begin();
        list(&runs, &mut run, 0..REMEMBERED + 10_000);
        runs.keep(run);
        let (taken, peak) = (Allocated::now() - before, Allocated::peak() - before);
        // And what a page takes.
        assert!(limit / 2 < taken && taken <= limit + (1 << 20), "{taken}");
        assert!(peak <= limit / 2 * 3 + (1 << 20), "{peak}");
    }

    #[test]
    fn a_large_listing_takes_the_room_of_the_oldest_ones() {
        let runs = Runs { remembered: 4 * FIRST, ..Runs::new(1) };
        let ids: Vec<u64> = (0..3)
            .map(|_| {
                let mut run = runs.begin();
                list(&runs, &mut run, 0..10);
                let id = run.id;
                runs.keep(run);
                id
            })
            .collect();
        let mut large = runs.begin();
        list(&runs, &mut large, 0..FIRST + 1);
        assert_eq!(ids.iter().map(|id| runs.resume(*id).is_complete).collect::<Vec<_>>(), [false, true, true]);
        // With all of it, the run remembers as many as there is room for, and returns the rest without.
        list(&runs, &mut large, FIRST + 1..6 * FIRST);
        assert_eq!(large.returned.len(), 4 * FIRST);
    }
}
