//! A failed sync drops a record of a node's log, which everyone sees until the power is cut.

use kvfuse_core::Store;
use kvfuse_files::{Config, Durability, FileStore};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::Plain;
use kvfuse_transport::files::FileError;
use std::cell::Cell;
use std::rc::Rc;

/// Drops one sync of the root's log, and fails one of the appends to it after that.
struct Disks {
    syncs: Cell<usize>,
    dropped: usize,
    appends: Cell<usize>,
    failed: usize,
    plain: Rc<Plain>,
}

impl Director for Disks {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        if !path.ends_with("/n") {
            return Verdict::Go;
        }
        match call {
            Call::Sync => {
                self.syncs.set(self.syncs.get() + 1);
                if self.syncs.get() == self.dropped { Verdict::Drop(FileError::Io) } else { Verdict::Go }
            }
            Call::Append(_) if self.syncs.get() >= self.dropped => {
                self.appends.set(self.appends.get() + 1);
                if self.appends.get() == self.failed { Verdict::Fail(FileError::NoSpace) } else { Verdict::Go }
            }
            _ => Verdict::Go,
        }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

#[test]
fn a_record_that_a_failed_sync_dropped_is_not_trusted_when_it_cannot_be_appended_again() {
    let config = Config { segment: 64, durability: Durability::Full, ..Config::default() };
    for dropped in 1..4 {
        for failed in 1..4 {
            let disk = Disk::default();
            let (syncs, appends, plain) = (Cell::new(0), Cell::new(0), Plain::new(1));
            let disks = Rc::new(Disks { syncs, dropped, appends, failed, plain });
            let bucket = FileStore::new(Ok(disk.root(disks.clone())), config).open("b").unwrap();
            let (mut acknowledged, mut sent) = (0, 0);
            // What it reads is as durable as what it writes.
            while disks.syncs.get() < dropped + 4 {
                sent += 1;
                if bucket.set("key", format!("{sent}").as_bytes()).is_ok() {
                    acknowledged = sent;
                }
                let disk = disk.fork();
                disk.power_cut(&mut |_| 0);
                disk.forget_failures();
                let fresh = FileStore::new(Ok(disk.root(Plain::new(2))), config).open("b").unwrap();
                let found =
                    fresh.get("key").unwrap().map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap());
                let range = acknowledged..=sent;
                assert!(range.contains(&found), "sync {dropped}, append {failed}: {found} and not {range:?}");
            }
        }
    }
}
