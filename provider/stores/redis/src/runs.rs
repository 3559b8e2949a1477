//! The listings in progress: which keys each of them has returned.
//!
//! Redis promises that a scan returns every key that is there all the time, and may return one twice (when its table
//! shrinks meanwhile). So the instance that returned a key remembers its fingerprint.

use siphasher::sip128::SipHasher13;
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

/// Listings in progress that an instance remembers.
const RUNS: usize = 8;
/// Keys that it remembers of each, in a table of up to 140 MiB. In a larger bucket, later keys may be returned twice.
const REMEMBERED: usize = 4 << 20;

/// The listings in progress, oldest first.
pub struct Runs {
    last: Cell<u64>,
    kept: RefCell<VecDeque<Run>>,
}

/// One listing in progress.
pub struct Run {
    pub id: u64,
    /// Whether this instance has returned every page so far, and so knows every key that was returned.
    pub is_complete: bool,
    returned: HashSet<u128>,
}

impl Runs {
    /// The seed keeps the runs of different instances apart.
    pub fn new(seed: u64) -> Self {
        Self { last: Cell::new(fingerprint(&seed.to_le_bytes()) as u64), kept: RefCell::default() }
    }

    pub fn begin(&self) -> Run {
        self.last.set(self.last.get().wrapping_add(1));
        Run { id: self.last.get(), is_complete: true, returned: HashSet::new() }
    }

    /// The run with this id, of which another instance may have returned the pages so far.
    pub fn resume(&self, id: u64) -> Run {
        let mut kept = self.kept.borrow_mut();
        let known = kept.iter().position(|run| run.id == id).and_then(|at| kept.remove(at));
        known.unwrap_or_else(|| Run { id, is_complete: false, returned: HashSet::new() })
    }

    /// Keeps a run for its next page, in place of the oldest one if there are too many.
    pub fn keep(&self, run: Run) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= RUNS {
            kept.pop_front();
        }
        kept.push_back(run);
    }
}

impl Run {
    pub fn can_remember(&self) -> bool {
        self.returned.len() < REMEMBERED
    }

    pub fn has_returned(&self, key: &[u8]) -> bool {
        self.returned.contains(&fingerprint(key))
    }

    /// Remembers a key as returned. Returns whether it is the first time.
    pub fn insert(&mut self, key: &[u8]) -> bool {
        if self.can_remember() { self.returned.insert(fingerprint(key)) } else { !self.has_returned(key) }
    }

    /// Forgets keys of a page that was not returned after all.
    pub fn forget(&mut self, keys: &[String]) {
        for key in keys {
            self.returned.remove(&fingerprint(key.as_bytes()));
        }
    }
}

/// 128 bits: of 4 million keys, two share one with a probability of 1 in 10^25.
pub fn fingerprint(bytes: &[u8]) -> u128 {
    SipHasher13::new().hash(bytes).as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_returns_each_key_once_and_old_runs_are_forgotten() {
        let runs = Runs::new(1);
        let mut first = runs.begin();
        assert!(first.insert(b"a") && first.insert(b"b") && !first.insert(b"a"));
        let id = first.id;
        runs.keep(first);
        for _ in 1..RUNS {
            runs.keep(runs.begin());
        }
        let mut first = runs.resume(id);
        assert!(first.is_complete && !first.insert(b"b"));
        runs.keep(first);
        for _ in 0..RUNS {
            runs.keep(runs.begin());
        }
        let mut first = runs.resume(id);
        assert!(!first.is_complete && first.insert(b"b"));
    }

    #[test]
    fn the_keys_of_a_page_that_failed_are_still_to_come() {
        let mut run = Runs::new(1).begin();
        run.insert(b"before");
        run.insert(b"failed");
        run.forget(&["failed".to_string()]);
        assert!(run.has_returned(b"before") && run.insert(b"failed"));
    }

    #[test]
    fn a_run_that_another_instance_began_never_becomes_complete() {
        let runs = Runs::new(2);
        let id = Runs::new(1).begin().id;
        runs.keep(runs.resume(id));
        assert!(!runs.resume(id).is_complete);
    }
}
