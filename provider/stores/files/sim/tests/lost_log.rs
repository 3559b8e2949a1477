//! A failed sync drops a record of a node's log or of the anchor, which everyone sees until the power is cut.

use kvfuse_core::Store;
use kvfuse_files::{Config, Durability, FileStore};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::Plain;
use kvfuse_transport::files::{Directory, File, FileError, Open};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

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

/// Drops one sync of the anchor, and cuts the append to it after that, with another instance's bytes in between.
struct Cuts {
    disk: Disk,
    armed: Cell<bool>,
    dropped: Cell<bool>,
    cut: Cell<bool>,
    plain: Rc<Plain>,
}

impl Director for Cuts {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        match call {
            Call::Sync if path.ends_with("/anchor") && self.armed.get() && !self.dropped.replace(true) => {
                Verdict::Drop(FileError::Io)
            }
            Call::Append(_) if path.ends_with("/anchor") && self.dropped.get() && !self.cut.replace(true) => {
                Verdict::Cut(20)
            }
            _ => Verdict::Go,
        }
    }

    fn pause(&self) {
        let other = self.disk.root(Plain::new(2)).directory("b-b").unwrap();
        other.open("anchor", Open::Write).unwrap().append(b"another instance's").unwrap();
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// Whether the anchor says that there may be lifetimes, which keeps away versions that know none.
fn notes_lifetimes(disk: &Disk) -> bool {
    let files = disk.files();
    let (_, anchor) = files.iter().find(|(path, _)| path.ends_with("anchor")).unwrap();
    let whole = |at: &[u8]| at.starts_with(b"kvfuse\0L\x04\0\x01") && !at.windows(7).any(|part| part == b"another");
    anchor.windows(40).any(whole)
}

#[test]
fn a_note_in_the_anchor_that_a_failed_sync_dropped_is_not_trusted_when_a_host_cuts_the_next_one() {
    let disk = Disk::default();
    let (armed, dropped, cut) = Default::default();
    let cuts = Rc::new(Cuts { disk: disk.clone(), armed, dropped, cut, plain: Plain::new(1) });
    let config = Config { durability: Durability::Full, ..Config::default() };
    let bucket = FileStore::new(Ok(disk.root(cuts.clone())), config).open("b").unwrap();
    bucket.set("key", b"1").unwrap();
    cuts.armed.set(true);
    let hour = Duration::from_secs(3600);
    let _ = bucket.set_expiring("key", b"2", hour);
    bucket.set_expiring("key", b"2", hour).unwrap();
    assert!(cuts.cut.get(), "no append was cut");
    disk.power_cut(&mut |_| 0);
    assert!(notes_lifetimes(&disk));
}
