//! Counters under load while primaries are killed whose replicas may lack the last writes.

use crate::process::wait_until;
use kvfuse_core::{Bucket, Kind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::thread;

/// What the load was told so far.
#[derive(Default)]
pub struct Window {
    stop: AtomicBool,
    known: AtomicI64,
    unknown: AtomicI64,
    /// What may have been acknowledged by a server that was killed and not have reached its replica.
    lost: AtomicI64,
    threads: i64,
}

impl Window {
    /// Waits until so many more increments were acknowledged.
    pub fn goes_on(&self, more: i64) {
        let target = self.known.load(SeqCst) + more;
        wait_until("the load goes on", || self.known.load(SeqCst) >= target);
    }

    /// Kills a server after its replica has everything that was acknowledged until now. What is acknowledged in between may be
    /// lost: Redis replicates after it has answered.
    pub fn loses(&self, replicate_and_kill: impl FnOnce()) {
        let safe = self.known.load(SeqCst);
        replicate_and_kill();
        // Each thread may have been told and not have counted it yet.
        self.lost.fetch_add(self.known.load(SeqCst) - safe + self.threads, SeqCst);
    }
}

/// Threads add to counters while something happens. Afterwards the sum of the counters is what was acknowledged, but for what
/// is unknown and what Redis itself loses. Returns these numbers for a person.
pub fn counted(
    counters: usize,
    threads: usize,
    open: impl Fn() -> Rc<dyn Bucket> + Sync,
    happens: impl FnOnce(&Window),
) -> String {
    let window = Window { threads: threads as i64, ..Window::default() };
    let names: Vec<String> = (0..counters).map(|number| format!("counter {number}")).collect();
    thread::scope(|scope| {
        for thread in 0..threads {
            let (window, names, open) = (&window, &names, &open);
            scope.spawn(move || {
                let bucket = open();
                for name in names.iter().cycle().skip(thread) {
                    if window.stop.load(SeqCst) {
                        break;
                    }
                    match bucket.increment(name, 1, i64::MIN) {
                        Ok(_) => window.known.fetch_add(1, SeqCst),
                        Err(error) if error.kind() == Kind::OutcomeUnknown => window.unknown.fetch_add(1, SeqCst),
                        Err(error) => panic!("{name}: {error:?}"),
                    };
                }
            });
        }
        let stop = Stop(&window);
        happens(&window);
        drop(stop);
    });
    let bucket = open();
    let sum: i64 = names.iter().map(|name| bucket.increment(name, 0, i64::MIN).unwrap()).sum();
    let (known, unknown, lost) = (window.known.into_inner(), window.unknown.into_inner(), window.lost.into_inner());
    let told = format!("{known} known, {unknown} unknown, {lost} perhaps not replicated, and the counters are {sum}");
    assert!(known - lost <= sum && sum <= known + unknown, "{told}");
    assert!(lost < known / 2, "{told}: the test shows nothing");
    told
}

/// Ends the load, also if what happens fails.
struct Stop<'a>(&'a Window);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, SeqCst);
    }
}
