//! Every damage to a small store: each bit of each file flipped, each file removed, emptied of all but zeros, cut at
//! each length, swapped with each other. What was acknowledged is read as it was or is an error that names a file; it
//! is never told as "no such key", and no key has another's value or one that it never had.
//!
//! One thing cannot be told from what is allowed: a file cut behind what it began with looks as it did at an earlier
//! moment, or as if its last writer had died. Then every key has what it had at that moment. What a file begins with is
//! what was synced before anything referred to it.

use kvfuse_core::{Error, Kind, Store};
use kvfuse_files::{Config, FileStore};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::Plain;
use kvfuse_files_sim::steps::{Model, Opened, fresh, list};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

const CONFIG: Config = Config {
    durability: kvfuse_files::Durability::Relaxed,
    memory: 1 << 20,
    segment: 32,
    split: 200,
    index: 100,
    small: 60,
    blob: 100,
    flaw: None,
};

/// Notes where each file ends between any two calls, and how much of it was synced first.
struct Sizes {
    disk: Disk,
    plain: Rc<Plain>,
    seen: RefCell<BTreeMap<String, BTreeSet<usize>>>,
    synced: RefCell<BTreeMap<String, usize>>,
}

impl Sizes {
    fn note(&self, synced: Option<&str>) {
        for (path, bytes) in self.disk.files() {
            // Calls have the path from the directory that the file was opened in.
            if synced.is_some_and(|synced| path == synced || path.ends_with(&format!("/{synced}"))) {
                self.synced.borrow_mut().entry(path.clone()).or_insert(bytes.len());
            }
            self.seen.borrow_mut().entry(path).or_default().insert(bytes.len());
        }
    }
}

impl Director for Sizes {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        self.note((call == Call::Sync).then_some(path));
        Verdict::Go
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// A small store, and what it held after each operation.
struct Written {
    disk: Disk,
    models: Vec<Model>,
    sizes: Rc<Sizes>,
    names: Vec<String>,
}

impl Written {
    fn new() -> Self {
        let disk = Disk::default();
        let plain = Plain::new(11);
        let sizes = Rc::new(Sizes { disk: disk.clone(), plain, seen: RefCell::default(), synced: RefCell::default() });
        let bucket = Opened::new(&disk, sizes.clone(), CONFIG);
        let mut written = Self { disk, models: vec![Model::new()], sizes, names: Vec::new() };
        for round in 0..3 {
            for n in 0..7 {
                let value = format!("{round}{}", "v".repeat(5 + 9 * n));
                written.set(&bucket, &format!("key {n}"), value.as_bytes());
            }
        }
        written.set(&bucket, "blob", &[b'b'; 90]);
        written.set(&bucket, "file", &[b'f'; 130]);
        // Of which no two sums are the same.
        for (delta, number) in [(1, 1), (10, 11), (100, 111)] {
            assert_eq!(bucket.increment("counter", delta, 0), Ok(number));
            written.then(|model| drop(model.insert("counter".into(), number.to_string().into_bytes())));
        }
        bucket.delete("key 3").expect("it deletes");
        written.then(|model| drop(model.remove("key 3")));
        written.sizes.note(None);
        let files = written.disk.files();
        assert!(files.iter().filter(|(path, _)| path.contains("/s")).count() >= 2, "too few segments");
        let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(size < 20_000, "{size} bytes are too many to flip every bit");
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
        written.names = files.iter().map(|(path, _)| name(path)).collect();
        written
    }

    fn then(&mut self, change: impl FnOnce(&mut Model)) {
        let mut model = self.last().clone();
        change(&mut model);
        self.models.push(model);
    }

    fn set(&mut self, bucket: &Opened, key: &str, value: &[u8]) {
        bucket.set(key, value).expect("it sets");
        self.then(|model| drop(model.insert(key.into(), value.to_vec())));
    }

    fn last(&self) -> &Model {
        self.models.last().expect("there is one at least")
    }

    /// All keys that were ever there.
    fn keys(&self) -> BTreeSet<&String> {
        self.models.iter().flat_map(|model| model.keys()).collect()
    }

    /// Whether an error is one that a damaged store may answer with.
    fn is_told(&self, error: &Error) -> bool {
        matches!(error.kind(), Kind::Damaged | Kind::Unavailable | Kind::Unsupported)
            && self.names.iter().any(|name| error.message().contains(name.as_str()))
    }
}

/// What a damaged store did that it must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// A key that exists was reported as missing.
    Missing,
    /// A value that the key had before.
    Older,
    /// A key that was deleted is there again.
    Back,
    /// A value that the key never had.
    Other,
    /// An error that does not say what is damaged.
    Error,
    /// A listing without some of the keys, or with others.
    Listed,
    /// What was written on top was acknowledged and is gone.
    Lost,
}

#[derive(Default)]
struct Report {
    tried: usize,
    /// Damage that was reported by an error.
    told: usize,
    /// Files cut behind what they began with, that are an older state: at the end of a record, and within one.
    older: [usize; 2],
    wrong: BTreeMap<(String, Wrong), (usize, String)>,
}

impl Report {
    fn note(&mut self, damage: &str, what: &str, wrong: Wrong) {
        let entry = self.wrong.entry((damage.to_string(), wrong)).or_insert_with(|| (0, what.to_string()));
        entry.0 += 1;
    }

    fn text(&self) -> String {
        let mut out = format!(
            "{} damaged stores, {} told; cut files that are an older state: {} at the end of a record, {} within one\n",
            self.tried, self.told, self.older[0], self.older[1]
        );
        for ((damage, wrong), (count, what)) in &self.wrong {
            out.push_str(&format!("{count:>6} {damage}: {wrong:?}, first {what}\n"));
        }
        out
    }
}

type Found = BTreeMap<String, Result<Option<Vec<u8>>, Error>>;

fn read(written: &Written, disk: &Disk) -> Found {
    let bucket = fresh(disk, CONFIG, 21);
    written.keys().into_iter().map(|key| (key.clone(), bucket.get(key))).collect()
}

/// What is wrong with each key.
fn judge(written: &Written, found: &Found) -> BTreeSet<Wrong> {
    let mut out = BTreeSet::new();
    for (key, result) in found {
        let right = written.last().get(key);
        match result {
            Ok(value) if value.as_ref() == right => {}
            Ok(None) => drop(out.insert(Wrong::Missing)),
            Ok(Some(value)) if written.models.iter().all(|model| model.get(key) != Some(value)) => {
                out.insert(Wrong::Other);
            }
            Ok(Some(_)) => drop(out.insert(if right.is_some() { Wrong::Older } else { Wrong::Back })),
            Err(error) if written.is_told(error) => {}
            Err(_) => drop(out.insert(Wrong::Error)),
        }
    }
    out
}

/// Whether all keys are as they are now, or as they were at one moment.
fn is_older(written: &Written, found: &Found) -> bool {
    written.models.iter().any(|model| {
        found.iter().all(|(key, result)| {
            matches!(result, Ok(value) if value.as_ref() == model.get(key) || value.as_ref() == written.last().get(key))
        })
    })
}

fn check(written: &Written, disk: &Disk, damage: &str, what: &str, allowed: Option<usize>, report: &mut Report) {
    report.tried += 1;
    let found = read(written, disk);
    report.told += usize::from(found.values().any(Result::is_err));
    let wrong = judge(written, &found);
    if let (Some(kind), false) = (allowed, wrong.is_empty())
        && is_older(written, &found)
    {
        report.older[kind] += 1;
        return;
    }
    wrong.iter().for_each(|wrong| report.note(damage, what, *wrong));
    if !wrong.is_empty() {
        return;
    }
    let bucket = fresh(disk, CONFIG, 22);
    match list(&*bucket) {
        Ok(keys) => {
            let keys: BTreeSet<_> = keys.iter().collect();
            if keys != written.last().keys().collect() {
                report.note(damage, what, Wrong::Listed);
            }
        }
        Err(error) if written.is_told(&error) => {}
        Err(_) => report.note(damage, what, Wrong::Error),
    }
    // What is written on top of it stays, and what was there before is not gone for good.
    for key in ["new", "key 1"] {
        match fresh(disk, CONFIG, 23).set(key, b"new") {
            Ok(()) => {
                if fresh(disk, CONFIG, 24).get(key) != Ok(Some(b"new".to_vec())) {
                    report.note(damage, what, Wrong::Lost);
                }
            }
            Err(error) if written.is_told(&error) => {}
            Err(_) => report.note(damage, what, Wrong::Error),
        }
    }
    let mut after = read(written, disk);
    after.remove("key 1");
    judge(written, &after).iter().for_each(|wrong| report.note(&format!("{damage}, then written to"), what, *wrong));
}

/// Every damage there is.
fn damage() -> Report {
    let written = Written::new();
    let mut report = Report::default();
    check(&written, &written.disk.fork(), "none", "", None, &mut report);
    assert!(report.wrong.is_empty() && report.told == 0, "{}", report.text());
    let files = written.disk.files();
    let damaged = |path: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let disk = written.disk.fork();
        disk.change(path, change);
        disk
    };
    for (path, bytes) in &files {
        for bit in 0..bytes.len() * 8 {
            let disk = damaged(path, &|file| file[bit / 8] ^= 1 << (bit % 8));
            check(&written, &disk, "a bit is flipped", &format!("{path}, bit {bit}"), None, &mut report);
        }
        for length in 0..bytes.len() {
            let synced = written.sizes.synced.borrow().get(path).copied().unwrap_or(0);
            let border = written.sizes.seen.borrow().get(path).is_some_and(|sizes| sizes.contains(&length));
            let allowed = (length >= synced).then_some(usize::from(!border));
            let disk = damaged(path, &|file| file.truncate(length));
            check(&written, &disk, "a file is cut", &format!("{path}, {length} bytes left"), allowed, &mut report);
        }
        let disk = damaged(path, &|file| file.fill(0));
        check(&written, &disk, "a file is filled with zeros", path, None, &mut report);
        let disk = damaged(path, &|file| file.extend([0; 100]));
        check(&written, &disk, "zeros are added", path, None, &mut report);
        let disk = written.disk.fork();
        disk.remove(path);
        check(&written, &disk, "a file is removed", path, None, &mut report);
        for (other, content) in files.iter().filter(|(other, _)| other > path) {
            let disk = damaged(path, &|file| file.clone_from(content));
            disk.change(other, |file| file.clone_from(bytes));
            check(&written, &disk, "two files are swapped", &format!("{path} and {other}"), None, &mut report);
        }
    }
    report
}

#[test]
fn every_damage_to_a_small_store_is_harmless_or_told() {
    let report = damage();
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert!(report.tried > 5000 && report.told > report.tried / 5, "{}", report.text());
}

#[test]
fn a_listing_tells_that_the_file_of_a_key_is_missing() {
    let disk = Disk::default();
    let bucket = FileStore::new(Ok(disk.root(Plain::new(1))), Config::default()).open("b").unwrap();
    bucket.set("short", b"").unwrap();
    bucket.set(&"long".repeat(2000), b"").unwrap();
    let (path, _) = disk.files().into_iter().find(|(path, _)| path.contains("/v/")).unwrap();
    disk.remove(&path);
    for bucket in [bucket, FileStore::new(Ok(disk.root(Plain::new(2))), Config::default()).open("b").unwrap()] {
        let error = bucket.list(None).unwrap_err();
        assert!(error.kind() == Kind::Damaged && error.message().contains("is missing"), "{error}");
    }
}
