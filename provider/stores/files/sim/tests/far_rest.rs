//! A host that sleeps between the two parts of an append, while others go on.

use kvfuse_core::Store;
use kvfuse_files::{Config, FileStore};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::Plain;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Cuts the next append once it is armed, and does something else between its parts.
struct Sleeper {
    armed: Cell<bool>,
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
    plain: Rc<Plain>,
}

impl Director for Sleeper {
    fn judge(&self, call: Call, _: &str) -> Verdict {
        match call {
            Call::Append(_) if self.armed.replace(false) => Verdict::Cut(18),
            _ => Verdict::Go,
        }
    }

    fn pause(&self) {
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// Sets a key while the host sleeps in the middle of it, so that another instance appends `between` bytes in between.
fn slept_for(between: usize) {
    let config = Config { segment: 64 << 20, ..Config::default() };
    let disk = Disk::default();
    let other = FileStore::new(Ok(disk.root(Plain::new(1))), config).open("b").unwrap();
    other.set("before", b"there").unwrap();
    let sleeper = Rc::new(Sleeper { armed: Cell::new(false), meanwhile: RefCell::default(), plain: Plain::new(2) });
    let bucket = FileStore::new(Ok(disk.root(sleeper.clone())), config).open("b").unwrap();
    bucket.set("cut", b"old").unwrap();
    let writer = other.clone();
    sleeper.meanwhile.replace(Some(Box::new(move || {
        (0..between.div_ceil(4000)).for_each(|n| writer.set(&format!("{}", n % 100), &[b'x'; 4000]).unwrap());
    })));
    sleeper.armed.set(true);
    // It is written again after the parts, as no reader finds it.
    bucket.set("cut", b"new").unwrap();
    let fresh = FileStore::new(Ok(disk.root(Plain::new(3))), config).open("b").unwrap();
    for (who, bucket) in [("the writer", &bucket), ("the other", &other), ("the next", &fresh)] {
        for (key, value) in [("before", &b"there"[..]), ("cut", b"new"), ("99", &[b'x'; 4000])] {
            assert_eq!(bucket.get(key).unwrap().as_deref(), Some(value), "{who}, {key}, {between} bytes");
        }
        bucket.set("before", b"there").unwrap();
    }
}

#[test]
fn the_rest_of_a_cut_record_may_come_after_megabytes_of_others() {
    for between in [400 << 10, 3 << 20, 12 << 20] {
        slept_for(between);
    }
}
