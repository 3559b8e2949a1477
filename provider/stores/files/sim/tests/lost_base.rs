//! The first segment's base is lost with a failed sync, and making its successor takes more than one attempt.

use kvfuse_core::Store;
use kvfuse_files::{Config, FileStore};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::Plain;
use kvfuse_transport::files::FileError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Drops one sync of the first segment, fails one call, and dies before a later one.
#[derive(Default)]
struct Maker {
    syncs: Cell<usize>,
    dropped: usize,
    calls: Cell<usize>,
    failed: usize,
    killed: usize,
    /// What another instance does right after the sync, which this one does not survive.
    after: Option<Box<dyn Fn()>>,
    plain: Rc<Plain>,
}

impl Director for Maker {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        self.calls.set(self.calls.get() + 1);
        if let Some(after) = self.after.as_ref().filter(|_| self.syncs.get() == self.dropped) {
            after();
            return Verdict::Kill;
        }
        if call == Call::Sync && path.ends_with("s.0") {
            self.syncs.set(self.syncs.get() + 1);
            if self.syncs.get() == self.dropped {
                return Verdict::Drop(FileError::Io);
            }
        }
        match self.calls.get() {
            calls if calls == self.failed => Verdict::Fail(FileError::NoSpace),
            calls if calls == self.killed => Verdict::Kill,
            _ => Verdict::Go,
        }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// A life of an instance that sets and reads a key three times. Whether it was over before it was killed.
fn live(disk: &Disk, maker: Maker) -> bool {
    let life = catch_unwind(AssertUnwindSafe(|| {
        let store = FileStore::new(Ok(disk.root(Rc::new(maker))), Config::default());
        let bucket = store.open("b").unwrap();
        for _ in 0..3 {
            let _ = bucket.set("key", b"1");
            // What reads goes on as soon as there is a successor.
            let _ = bucket.get("key");
        }
    }));
    life.is_ok()
}

#[test]
fn a_bucket_whose_first_base_failed_syncs_dropped_is_never_said_to_be_damaged() {
    for failed in 1..100 {
        for killed in failed + 1.. {
            let disk = Disk::default();
            let ended = Rc::new(Cell::new(false));
            let other = {
                let (disk, ended) = (disk.clone(), ended.clone());
                move || {
                    let maker = Maker { dropped: 1, failed, killed, plain: Plain::new(2), ..Maker::default() };
                    ended.set(live(&disk, maker));
                }
            };
            // The pages are synced, and the base is not.
            live(&disk, Maker { dropped: 2, after: Some(Box::new(other)), plain: Plain::new(1), ..Maker::default() });
            disk.power_cut(&mut |_| 0);
            disk.forget_failures();
            let fresh = FileStore::new(Ok(disk.root(Plain::new(3))), Config::default()).open("b").unwrap();
            let place = format!("call {failed} failed, killed before call {killed}");
            let found = fresh.get("key").unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(found.is_none_or(|value| value == b"1"), "{place}");
            fresh.set("key", b"2").unwrap_or_else(|error| panic!("{place}: {error}"));
            if ended.get() {
                break;
            }
        }
    }
}
