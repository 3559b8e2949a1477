//! What every format version wrote is read by this one, and can be written to.

mod upgrade;
mod write;

use kvfuse_core::{Bucket, Store, Swap};
use kvfuse_files::{Config, Durability, FileStore};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::golden::{self, Buckets, Expected};
use kvfuse_files_sim::plain::{Plain, mix};
use kvfuse_files_sim::steps::list;
use kvfuse_transport::files::Directory;
use kvfuse_transport::files::native::Native;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Compares all of a bucket with what it has to hold.
fn check(bucket: &dyn Bucket, expected: &Expected, told: &str) {
    let pairs = expected.pairs();
    let mut listed = list(bucket).unwrap_or_else(|error| panic!("{told}: {error:?}"));
    listed.sort();
    let keys: Vec<_> = pairs.keys().cloned().collect();
    assert!(listed == keys, "{told}: {} listed, {} expected", listed.len(), keys.len());
    let mut found = BTreeMap::new();
    for key in listed {
        let value = bucket.get(&key).unwrap_or_else(|error| panic!("{told}: {key:.40}: {error:?}"));
        assert!(bucket.exists(&key).unwrap());
        found.insert(key, value.unwrap_or_else(|| panic!("{told}: a key was listed and is not there")));
    }
    for (key, value) in &pairs {
        assert!(found.get(key) == Some(value), "{told}: {key:.40}");
    }
    for key in &expected.absent {
        assert_eq!(bucket.get(key), Ok(None), "{told}: {key:.40}");
    }
}

fn check_all<D: Directory>(root: impl Fn() -> D, config: Config, buckets: &Buckets, told: &str) {
    let store = FileStore::new(Ok(root()), config);
    for (name, expected) in buckets {
        check(&*store.open(name).unwrap(), expected, &format!("{told}, bucket {name:.40}"));
    }
}

fn configs() -> [Config; 3] {
    let small = Config { segment: 300, split: 1200, index: 150, small: 60, blob: 150, ..Config::default() };
    [Config::default(), small, Config { durability: Durability::Full, ..small }]
}

/// Changes a bucket in every way there is.
fn work(bucket: &dyn Bucket, expected: &mut Expected, round: usize) {
    for (key, number) in &mut expected.counters {
        let delta = if *number > 0 { -3 } else { 3 };
        *number += delta;
        assert_eq!(bucket.increment(key, delta, i64::MIN), Ok(*number));
    }
    // All that is there is changed in some way, little by little.
    let keys: Vec<_> = expected.values.keys().cloned().collect();
    for key in keys.iter().skip(round).step_by(5) {
        match round % 3 {
            0 => {
                bucket.delete(key).unwrap();
                expected.values.remove(key);
                expected.absent.insert(key.clone());
            }
            1 => {
                let seen = bucket.snapshot(key).unwrap();
                assert_eq!(bucket.swap(key, &seen.version, b"swapped"), Ok(Swap::Done));
                expected.values.insert(key.clone(), b"swapped".to_vec());
            }
            _ => {
                bucket.set(key, &[7; 100]).unwrap();
                expected.values.insert(key.clone(), vec![7; 100]);
            }
        }
    }
    for n in 0..20 {
        let (key, value) = (format!("new {round} {n}"), vec![n as u8; n * 20]);
        bucket.set(&key, &value).unwrap();
        expected.absent.remove(&key);
        expected.values.insert(key, value);
    }
    for key in &expected.absent {
        assert_eq!(bucket.get(key), Ok(None));
    }
}

#[test]
fn golden_directories_of_every_format_read_as_they_were_written() {
    let all = golden::all();
    assert!(!all.is_empty());
    for path in all {
        let (disk, buckets) = golden::load(&path);
        let told = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(buckets.len() >= if told == "format-4" { 5 } else { 12 }, "{told}");
        for (at, config) in configs().into_iter().enumerate() {
            check_all(|| disk.fork().root(Plain::new(at as u64)), config, &buckets, &told);
        }
        // In place, where nothing can be written.
        check_all(|| Native::open(&golden::store(&path)).unwrap(), Config::default(), &buckets, &told);
    }
}

#[test]
fn a_golden_directory_is_written_to_and_nothing_in_it_is_lost() {
    for path in golden::all() {
        for (at, config) in configs().into_iter().enumerate() {
            let (disk, mut buckets) = golden::load(&path);
            for round in 0..5 {
                // Two instances by turns, and a fresh one that looks.
                let stores = [1, 2].map(|n| FileStore::new(Ok(disk.root(Plain::new(n + 10 * round))), config));
                for (name, expected) in &mut buckets {
                    for (place, store) in stores.iter().enumerate() {
                        work(&*store.open(name).unwrap(), expected, (round as usize * 2 + place) % 5);
                    }
                }
                let told = format!("{}, settings {at}, round {round}", path.display());
                check_all(|| disk.root(Plain::new(99 + round)), config, &buckets, &told);
            }
        }
    }
}

/// Kills at one call.
struct At {
    place: usize,
    calls: Cell<usize>,
    seed: Cell<u64>,
}

impl Director for At {
    fn judge(&self, call: Call, _: &str) -> Verdict {
        let place = self.calls.get();
        self.calls.set(place + 1);
        match call {
            _ if place != self.place => Verdict::Go,
            Call::Append(length) | Call::Write(length) if place.is_multiple_of(2) => Verdict::KillAfter(length / 2),
            _ => Verdict::Kill,
        }
    }

    fn random(&self) -> u64 {
        self.seed.set(self.seed.get() + 1);
        mix(self.seed.get())
    }
}

/// Kills the first writer of a bucket at a call, cuts the power or not, and looks; gives whether it was killed.
fn killed(disk: &Disk, name: &str, expected: &Expected, config: Config, place: usize, keep: Option<usize>) -> bool {
    let disk = disk.fork();
    let director = Rc::new(At { place, calls: Cell::new(0), seed: Cell::new(5) });
    let store = FileStore::new(Ok(disk.root(director)), config);
    let life =
        catch_unwind(AssertUnwindSafe(|| store.open(name).and_then(|bucket| bucket.set("new", b"new")).unwrap()));
    let killed = match life {
        Ok(()) => false,
        Err(payload) => {
            assert!(payload.is::<Killed>());
            true
        }
    };
    if let Some(keep) = keep {
        disk.power_cut(&mut |n| n * keep / 2);
    }
    let told = format!("{name:.40} killed at call {place}, kept {keep:?}");
    // The new value may be there or not.
    let bucket = FileStore::new(Ok(disk.root(Plain::new(7))), config).open(name).unwrap();
    let mut expected = expected.clone();
    match bucket.get("new").unwrap_or_else(|error| panic!("{told}: {error:?}")) {
        None => assert!(killed || keep.is_some(), "{told}"),
        Some(value) => drop(expected.values.insert("new".into(), value)),
    }
    check(&*bucket, &expected, &told);
    // The next writer goes on.
    bucket.set("next", b"next").unwrap_or_else(|error| panic!("{told}: {error:?}"));
    expected.values.insert("next".into(), b"next".to_vec());
    check(&*FileStore::new(Ok(disk.root(Plain::new(8))), config).open(name).unwrap(), &expected, &told);
    killed
}

#[test]
fn the_first_writer_in_a_golden_directory_may_be_killed_anywhere_and_nothing_is_lost() {
    for path in golden::all() {
        let (disk, buckets) = golden::load(&path);
        let [default, small, _] = configs();
        for (config, keep) in [(default, None), (default, Some(0)), (default, Some(1)), (small, None), (small, Some(0))]
        {
            for (name, expected) in &buckets {
                let killed = |place: &usize| killed(&disk, name, expected, config, *place, keep);
                assert!((0..2000).find(|place| !killed(place)).is_some_and(|calls| calls > 3), "{name:.40}");
            }
        }
    }
}
