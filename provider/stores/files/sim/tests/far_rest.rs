//! A host that sleeps between the two parts of an append, while others go on.

use kvfuse_core::{Bucket, Store};
use kvfuse_files::{Config, FileStore, repair};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::Plain;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Cuts the next append once it is armed, and does something else between its parts.
struct Sleeper {
    armed: Cell<bool>,
    /// Whether the writer is killed when it is whole.
    kills: bool,
    woken: Cell<bool>,
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
    plain: Rc<Plain>,
}

impl Director for Sleeper {
    fn judge(&self, call: Call, _: &str) -> Verdict {
        match call {
            Call::Append(_) if self.armed.replace(false) => Verdict::Cut(18),
            _ if self.kills && self.woken.get() => Verdict::Kill,
            _ => Verdict::Go,
        }
    }

    fn pause(&self) {
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
            self.woken.set(true);
        }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

fn config() -> Config {
    Config { segment: 64 << 20, ..Config::default() }
}

/// A bucket whose writer's host will sleep in the middle of the next append, so that another instance, which is
/// returned too, appends `between` bytes in between.
fn sleeper(disk: &Disk, between: usize, kills: bool) -> (Rc<dyn Bucket>, Rc<dyn Bucket>) {
    let other = FileStore::new(Ok(disk.root(Plain::new(1))), config()).open("b").unwrap();
    other.set("before", b"there").unwrap();
    let (armed, woken) = (Cell::new(false), Cell::new(false));
    let sleeper = Rc::new(Sleeper { armed, kills, woken, meanwhile: RefCell::default(), plain: Plain::new(2) });
    let bucket = FileStore::new(Ok(disk.root(sleeper.clone())), config()).open("b").unwrap();
    bucket.set("cut", b"old").unwrap();
    let writer = other.clone();
    sleeper.meanwhile.replace(Some(Box::new(move || {
        (0..between.div_ceil(4000)).for_each(|n| writer.set(&format!("{}", n % 100), &[b'x'; 4000]).unwrap());
    })));
    sleeper.armed.set(true);
    (bucket, other)
}

#[test]
fn the_rest_of_a_cut_record_may_come_after_megabytes_of_others() {
    for between in [400 << 10, 3 << 20, 12 << 20] {
        let disk = Disk::default();
        let (bucket, other) = sleeper(&disk, between, false);
        // It is written again after the parts, as no reader finds it.
        bucket.set("cut", b"new").unwrap();
        let fresh = FileStore::new(Ok(disk.root(Plain::new(3))), config()).open("b").unwrap();
        for (who, bucket) in [("the writer", &bucket), ("the other", &other), ("the next", &fresh)] {
            for (key, value) in [("before", &b"there"[..]), ("cut", b"new"), ("99", &[b'x'; 4000])] {
                assert_eq!(bucket.get(key).unwrap().as_deref(), Some(value), "{who}, {key}, {between} bytes");
            }
            bucket.set("before", b"there").unwrap();
        }
    }
}

#[test]
fn a_rest_that_stays_at_the_end_is_looked_into_once() {
    let disk = Disk::default();
    let (bucket, _other) = sleeper(&disk, 3 << 20, true);
    let killed = catch_unwind(AssertUnwindSafe(|| bucket.set("cut", b"new"))).unwrap_err();
    assert!(killed.is::<Killed>());
    let director = Plain::new(3);
    let fresh = FileStore::new(Ok(disk.root(director.clone())), config()).open("b").unwrap();
    for round in 0..3 {
        director.calls.borrow_mut().clear();
        assert_eq!(fresh.get("cut").unwrap().as_deref(), Some(&b"old"[..]));
        let calls = director.calls.borrow().len();
        // The rest, and that nothing follows it.
        assert!(round == 0 || calls <= 2, "{calls} calls in round {round}");
    }
}

#[test]
fn a_power_cut_may_take_the_front_of_a_cut_record_and_leave_its_rest() {
    let disk = Disk::default();
    let (bucket, _other) = sleeper(&disk, 12 << 10, true);
    let killed = catch_unwind(AssertUnwindSafe(|| bucket.set("cut", b"new"))).unwrap_err();
    assert!(killed.is::<Killed>());
    // Each page in turn is lost.
    for lost in 0..12 {
        let disk = disk.fork();
        let mut page = 0;
        disk.power_cut_by_pages(&mut |n| {
            page += usize::from(n == 2);
            if n == 2 && page == lost { 0 } else { n }
        });
        let fresh = FileStore::new(Ok(disk.root(Plain::new(3))), config()).open("b").unwrap();
        for (key, values) in [("before", [&b"there"[..]; 2]), ("cut", [b"old", b"new"]), ("0", [&[b'x'; 4000]; 2])] {
            let value = fresh.get(key).unwrap_or_else(|error| panic!("{key}, page {lost}: {error}"));
            assert!(value.is_none_or(|value| values.contains(&value.as_slice())), "{key}, page {lost}");
        }
        let (from, to) = (Rc::new(disk.root(Plain::new(5))), Disk::default());
        let to = FileStore::new(Ok(to.root(Plain::new(6))), config());
        let repaired = repair::bucket(&from, "b-b", &to, &mut |_| {}).unwrap();
        assert!(repaired.is_whole(), "page {lost}: {repaired:?}");
        fresh.set("cut", b"after").unwrap();
        let next = FileStore::new(Ok(disk.root(Plain::new(4))), config()).open("b").unwrap();
        assert_eq!(next.get("cut").unwrap().as_deref(), Some(&b"after"[..]), "page {lost}");
    }
}
