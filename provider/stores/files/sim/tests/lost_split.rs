//! One schedule that random ones hardly meet: the power cut takes back a split whose children have gone on.

use kvfuse_core::{Bucket, Store};
use kvfuse_files::{Config, Durability, FileStore, Flaw};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::Plain;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// Kills the instance before it syncs the root's log, once it has made the root's children.
struct BeforeRootLog {
    plain: Rc<Plain>,
    splits: Cell<bool>,
}

impl Director for BeforeRootLog {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        let file = path.rsplit('/').next().unwrap_or(path);
        self.splits.set(self.splits.get() || call == Call::Open && file.starts_with("s0."));
        if self.splits.get() && call == Call::Sync && file == "n" { Verdict::Kill } else { Verdict::Go }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

fn open(disk: &Disk, director: Rc<dyn Director>, config: Config) -> Rc<dyn Bucket> {
    FileStore::new(Ok(disk.root(director)), config).open("bucket").unwrap()
}

/// What a key has at the end, whose last acknowledged value is `new`.
fn after_the_split_was_lost(flaw: Option<Flaw>) -> Option<Vec<u8>> {
    let config = Config { segment: 1024, split: 8 << 10, index: 512, flaw, ..Config::default() };
    let disk = Disk::default();
    // What is there before lasts.
    let durable = Config { durability: Durability::Full, ..config };
    open(&disk, Plain::new(1), durable).set("key", b"old").unwrap();
    // One instance splits the root, and dies with the root's log written and not synced.
    let splitting = open(&disk, Rc::new(BeforeRootLog { plain: Plain::new(2), splits: Cell::new(false) }), config);
    let fill = || (0..1000).for_each(|n| splitting.set(&format!("filler {n}"), &[b'.'; 50]).unwrap());
    match catch_unwind(AssertUnwindSafe(fill)) {
        Err(payload) if payload.is::<Killed>() => {}
        Err(payload) => resume_unwind(payload),
        Ok(()) => panic!("the root never split"),
    }
    // Another finds the split, and compacts the child that has the key.
    let next = open(&disk, Plain::new(3), config);
    (0..200).for_each(|n| next.set("key", format!("{n:0>200}").as_bytes()).unwrap());
    disk.power_cut(&mut |_| 0);
    let last = open(&disk, Plain::new(4), config);
    last.set("key", b"new").unwrap();
    // Should the root not be split any more, it splits again.
    (0..100).for_each(|n| last.set(&format!("filler {n}"), &[b'.'; 50]).unwrap());
    open(&disk, Plain::new(5), config).get("key").unwrap()
}

#[test]
fn what_is_written_after_a_lost_split_is_not_replaced_by_what_was_there_before() {
    assert_eq!(after_the_split_was_lost(None).as_deref(), Some(&b"new"[..]));
}

#[test]
fn the_mistake_of_raising_a_nodes_log_before_its_parents_lasts_is_noticed() {
    assert_ne!(after_the_split_was_lost(Some(Flaw::ParentNotSynced)).as_deref(), Some(&b"new"[..]));
}
