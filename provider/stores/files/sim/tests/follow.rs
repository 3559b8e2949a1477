//! Several instances at a segment that is sealed: one makes what follows, the others go on in it.

use kvfuse_core::Bucket;
use kvfuse_files::{Config, Durability};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::lockstep;
use kvfuse_files_sim::plain::Plain;
use kvfuse_files_sim::steps::{Opened, fresh};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

const SMALL: Config = Config {
    segment: 512,
    split: 1 << 20,
    index: 1 << 20,
    small: 4096,
    blob: 1 << 20,
    memory: 1 << 20,
    durability: Durability::Relaxed,
    flaw: None,
};

fn segments(disk: &Disk) -> Vec<String> {
    disk.files().into_iter().map(|(path, _)| path).filter(|path| path.contains("/s.")).collect()
}

/// The number of the root's generation, of which there has to be one segment.
fn generation(disk: &Disk) -> usize {
    let segments = segments(disk);
    assert_eq!(segments.len(), 1, "{segments:?}");
    segments[0].rsplit('.').next().and_then(|digits| digits.parse().ok()).expect("a generation")
}

fn increment(bucket: &dyn Bucket) -> i64 {
    bucket.increment("counter", 1, i64::MIN).expect("an increment")
}

/// Appends to the log of the root.
fn raises(director: &Plain) -> usize {
    director
        .calls
        .borrow()
        .iter()
        .filter(|(call, path)| matches!(call, Call::Append(_)) && path.ends_with("/n"))
        .count()
}

#[test]
fn each_successor_is_made_and_logged_by_one_of_the_instances() {
    let disk = Disk::default();
    let directors: Vec<_> = (1..=4).map(Plain::new).collect();
    let instances: Vec<_> = directors.iter().map(|director| Opened::new(&disk, director.clone(), SMALL)).collect();
    for n in 1..=400 {
        assert_eq!(increment(&*instances[n as usize % 4]), n);
    }
    let logged: Vec<_> = directors.iter().map(|director| raises(director)).collect();
    let made = generation(&disk);
    assert!(made > 20, "{made} generations");
    assert_eq!(logged.iter().sum::<usize>(), made, "{logged:?} for {made} generations");
    assert!(logged.iter().all(|logged| *logged > 0), "{logged:?}");
}

#[test]
fn instances_that_seal_in_step_wait_for_the_one_whose_seal_counts() {
    let disk = Disk::default();
    let last = lockstep::run(&disk, SMALL, usize::MAX, 4, |store, _| {
        let bucket = kvfuse_core::Store::open(store, "bucket").expect("a bucket");
        (0..100).fold(0, |_, _| increment(&*bucket))
    });
    assert_eq!(last.into_iter().max(), Some(400));
    let (made, log) = (generation(&disk), disk.files().into_iter().find(|(path, _)| path.ends_with("/n")));
    let one = Plain::new(9);
    let sole = Disk::default();
    let bucket = Opened::new(&sole, one.clone(), SMALL);
    (0..400).for_each(|_| assert!(increment(&*bucket) > 0));
    let record = sole.files().into_iter().find(|(path, _)| path.ends_with("/n")).map_or(0, |(_, log)| log.len());
    let raised = log.map_or(0, |(_, log)| log.len()) / (record / raises(&one));
    // An instance that waits for too long makes it as well.
    assert!(raised <= made * 2, "{raised} times for {made} generations");
}

/// Dies at one call.
struct Dies {
    at: Cell<Option<usize>>,
    plain: Rc<Plain>,
}

impl Director for Dies {
    fn judge(&self, _: Call, _: &str) -> Verdict {
        match self.at.get() {
            Some(0) => Verdict::Kill,
            left => {
                self.at.set(left.map(|left| left - 1));
                Verdict::Go
            }
        }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

#[test]
fn wherever_the_one_that_makes_it_dies_the_others_go_on_and_the_next_ones_clear_up() {
    let large = [7u8; 100];
    let mut deaths = 0;
    for at in 0.. {
        let disk = Disk::default();
        let (maker, other) = (Rc::new(Dies { at: Cell::new(None), plain: Plain::new(1) }), fresh(&disk, SMALL, 2));
        // A value in a file of its own, which the segment that is sealed replaces.
        let config = Config { blob: 50, ..SMALL };
        let first = Opened::new(&disk, maker.clone(), config);
        first.set("large", &large).expect("a set");
        first.set("large", &large).expect("a set");
        let mut count = 0;
        // Up to just before the seal, which the twin of this loop below tells.
        while disk.files().iter().all(|(path, bytes)| !path.contains("/s.") || bytes.len() < 640) {
            count = increment(&*first);
            assert_eq!(increment(&*other), count + 1);
            count += 1;
        }
        maker.at.set(Some(at));
        let died = catch_unwind(AssertUnwindSafe(|| (0..8).fold(None, |_, _| Some(increment(&*first)))));
        let alive = match died {
            Ok(last) => last,
            Err(payload) if payload.is::<Killed>() => {
                deaths += 1;
                None
            }
            Err(payload) => std::panic::resume_unwind(payload),
        };
        let before = other.get("counter").expect("a get").expect("a value");
        let before: i64 = String::from_utf8(before).expect("digits").parse().expect("a number");
        assert!(before >= count && alive.is_none_or(|alive| alive == before), "{before} after {count}");
        // The others go through three generations.
        (1..=60).for_each(|n| assert_eq!(increment(&*other), before + n, "killed at call {at}"));
        drop(other);
        let next = fresh(&disk, SMALL, 3);
        (61..=100).for_each(|n| assert_eq!(increment(&*next), before + n, "killed at call {at}"));
        assert_eq!(next.get("large").expect("a get").as_deref(), Some(&large[..]));
        generation(&disk);
        let values = disk.files().iter().filter(|(path, _)| path.contains("/v/")).count();
        assert_eq!(
            values,
            1,
            "killed at call {at}: {:?}",
            disk.files().iter().map(|(path, _)| path).collect::<Vec<_>>()
        );
        if alive.is_some() {
            break;
        }
    }
    assert!(deaths > 30, "it was killed {deaths} times");
}

/// Dies when it is to append to a log.
struct DiesLogging(Rc<Plain>);

impl Director for DiesLogging {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        if matches!(call, Call::Append(_)) && path.ends_with("/n") { Verdict::Kill } else { Verdict::Go }
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

#[test]
fn what_several_that_died_one_after_the_other_left_is_removed() {
    let disk = Disk::default();
    let other = fresh(&disk, SMALL, 9);
    let dying = |seed| Opened::new(&disk, Rc::new(DiesLogging(Plain::new(seed))), SMALL);
    let mut alive: Vec<_> = (1..=3).map(dying).collect();
    let mut count = 0;
    while !alive.is_empty() {
        // Each of them sees each segment before it is sealed, and the other one seals none.
        count = increment(&*other);
        let there = alive.len();
        while alive.len() == there {
            alive.retain(|maker| match catch_unwind(AssertUnwindSafe(|| increment(&**maker))) {
                Ok(now) => {
                    count = now;
                    true
                }
                Err(payload) => {
                    assert!(payload.is::<Killed>());
                    false
                }
            });
        }
    }
    assert_eq!(segments(&disk).len(), 4, "{:?}", segments(&disk));
    (1..=100).for_each(|_| assert!(increment(&*other) > count));
    generation(&disk);
}
