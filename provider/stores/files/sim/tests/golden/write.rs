//! Makes a golden directory of the format that this version writes.

mod lifetimes;
mod stages;

use kvfuse_core::{Bucket, Store, Swap};
use kvfuse_files::{Config, FileStore};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::golden::{self, Buckets, Expected};
use kvfuse_files_sim::open::SimStream;
use kvfuse_files_sim::plain::Plain;
use kvfuse_transport::files::FileError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;

/// What is done to a call: given what it is, its path, and how often such a call was seen before.
type Judge = fn(Call, &str, usize) -> Verdict;

struct Staged {
    judge: Judge,
    /// Calls that were not let pass.
    hits: Cell<usize>,
    seen: Cell<usize>,
    watch: fn(Call, &str) -> bool,
    plain: Rc<Plain>,
}

impl Director for Staged {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        // In the bucket's directory.
        let path = path.split_once('/').map_or(path, |(_, path)| path);
        if !(self.watch)(call, path) {
            return Verdict::Go;
        }
        let seen = self.seen.get();
        self.seen.set(seen + 1);
        let verdict = (self.judge)(call, path, seen);
        if verdict != Verdict::Go {
            self.hits.set(self.hits.get() + 1);
        }
        verdict
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// A bucket on the way to be written.
struct Writing<'a> {
    disk: &'a Disk,
    name: &'a str,
    seed: u64,
    expected: Expected,
}

const SMALL: Config = Config {
    durability: kvfuse_files::Durability::Relaxed,
    memory: 1 << 20,
    segment: 512,
    split: 2048,
    index: 256,
    small: 60,
    blob: 200,
    flaw: None,
};
/// In which [`Writing::mixed`] alone does not split.
const MEDIUM: Config = Config { segment: 4096, ..SMALL };
/// In which large segments get indices, and are compacted late.
const INDEXED: Config = Config { segment: 1000, index: 600, split: 1 << 20, ..SMALL };
/// In which nothing splits.
const WIDE: Config = Config { split: 1 << 20, ..SMALL };

impl Writing<'_> {
    fn open(&mut self, director: Rc<dyn Director>, config: Config) -> Rc<dyn Bucket> {
        FileStore::new(Ok(self.disk.root(director)), config).open(self.name).unwrap()
    }

    fn plain(&mut self, config: Config) -> Rc<dyn Bucket> {
        self.seed += 1;
        let plain = Plain::new(self.seed);
        self.open(plain, config)
    }

    fn set(&mut self, bucket: &dyn Bucket, key: &str, value: &[u8]) {
        // Written down first: a writer that is killed while it maintains its segment has set its key before.
        self.expected.values.insert(key.into(), value.to_vec());
        self.expected.absent.remove(key);
        bucket.set(key, value).unwrap();
    }

    fn delete(&mut self, bucket: &dyn Bucket, key: &str) {
        bucket.delete(key).unwrap();
        self.expected.values.remove(key);
        self.expected.absent.insert(key.into());
    }

    fn increment(&mut self, bucket: &dyn Bucket, key: &str, delta: i64) {
        let number = bucket.increment(key, delta, i64::MIN).unwrap();
        let counter = self.expected.counters.entry(key.into()).or_default();
        *counter += delta;
        assert_eq!(*counter, number);
    }

    /// Values of every kind, and some that are deleted again.
    fn mixed(&mut self, config: Config) {
        let bucket = self.plain(config);
        self.set(&*bucket, "", b"the empty key");
        self.set(&*bucket, "empty value", b"");
        self.set(&*bucket, "Grüße, 世界 🦀", "in every script: Ω".as_bytes());
        self.set(&*bucket, "control \u{0} \t \n \u{7f}", &(0..=255).collect::<Vec<u8>>());
        self.set(&*bucket, "small", b"small");
        self.set(&*bucket, "blob", &[b'b'; 150]);
        self.set(&*bucket, "file", &(0..1000u32).map(|n| b'a' + (n % 26) as u8).collect::<Vec<_>>());
        self.set(&*bucket, "deleted", b"deleted");
        self.delete(&*bucket, "deleted");
        let seen = bucket.snapshot("small").unwrap();
        assert_eq!(bucket.swap("small", &seen.version, b"swapped"), Ok(Swap::Done));
        self.expected.values.insert("small".into(), b"swapped".to_vec());
        self.increment(&*bucket, "counter", 41);
        self.increment(&*bucket, "counter", 1);
        self.increment(&*bucket, "counter below zero", -7);
        self.increment(&*bucket, "largest counter", i64::MAX - 1);
        self.increment(&*bucket, "least counter", i64::MIN);
        let pairs: Vec<_> = (0..8).map(|n| (format!("many {n}"), vec![b'0' + n as u8; n * 9])).collect();
        bucket.set_many(&pairs.iter().map(|(key, value)| (key.as_str(), &value[..])).collect::<Vec<_>>()).unwrap();
        self.expected.values.extend(pairs);
    }

    /// Keys that are too long for a record.
    fn far(&mut self, config: Config) {
        let bucket = self.plain(config);
        self.set(&*bucket, &"far_key_".repeat(513), b"the value of a far key");
        self.set(&*bucket, &"far_key_with_a_file_".repeat(206), &[b'f'; 400]);
        self.set(&*bucket, &"deleted_far_key_".repeat(257), b"deleted");
        self.delete(&*bucket, &"deleted_far_key_".repeat(257));
    }

    /// Sets keys again and again, so that segments are compacted; few enough not to split.
    fn compact(&mut self, bucket: &dyn Bucket, rounds: u8) {
        for round in 0..rounds {
            (0..4).for_each(|n| self.set(bucket, &format!("again {n}"), &[b'a' + round; 50]));
        }
    }

    fn grow(&mut self, bucket: &dyn Bucket, keys: usize) {
        (0..keys).for_each(|n| self.set(bucket, &format!("key {n}"), format!("{n:.>30}").as_bytes()));
    }

    /// Changes values until the segment gets an index.
    fn index(&mut self, round: usize) {
        // What opens files is a compaction.
        self.change_until(round, |calls| calls.contains(&Call::Sync) && !calls.contains(&Call::Open));
    }

    /// Changes values until the segment is compacted.
    fn compacted(&mut self) {
        self.change_until(9, |calls| calls.contains(&Call::Unlink));
    }

    fn change_until(&mut self, round: usize, until: fn(&[Call]) -> bool) {
        self.seed += 1;
        let plain = Plain::new(self.seed);
        let bucket = self.open(plain.clone(), INDEXED);
        bucket.get("").unwrap();
        for n in 0..200 {
            plain.calls.borrow_mut().clear();
            self.set(&*bucket, &format!("key {}", 7 * n % 100), format!("changed in round {round}").as_bytes());
            let calls: Vec<_> = plain.calls.borrow().iter().map(|(call, _)| *call).collect();
            if until(&calls) {
                return;
            }
        }
        panic!("{}: it did not happen", self.name);
    }

    /// Runs `action` with a director that is to act; a kill ends it.
    fn staged(
        &mut self,
        config: Config,
        watch: fn(Call, &str) -> bool,
        judge: Judge,
        action: impl FnOnce(&mut Self, &dyn Bucket),
    ) {
        self.seed += 1;
        let plain = Plain::new(self.seed);
        let director = Rc::new(Staged { judge, hits: Cell::new(0), seen: Cell::new(0), watch, plain });
        let bucket = self.open(director.clone(), config);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| action(self, &*bucket)))
            && !payload.is::<Killed>()
        {
            resume_unwind(payload);
        }
        assert!(director.hits.get() > 0, "{}: what was to go wrong did not", self.name);
    }
}

/// A text of so many bytes, which does not look the same from anywhere else in it.
fn text(length: usize) -> Vec<u8> {
    b"the quick brown fox jumps over!".iter().copied().cycle().take(length).collect()
}

fn kill(_: Call, _: &str, _: usize) -> Verdict {
    Verdict::Kill
}

fn half(call: Call, _: &str, _: usize) -> Verdict {
    match call {
        Call::Append(length) => Verdict::KillAfter(length / 2),
        _ => Verdict::Go,
    }
}

fn is_segment(path: &str) -> bool {
    path.starts_with("s.")
}

/// The golden directory's files and what they hold.
fn written(format: &str) -> (Disk, Buckets) {
    let disk = Disk::default();
    let mut buckets = Buckets::new();
    // Format 4 is format 3 with lifetimes, so its directory has only those.
    let stages = stages::STAGES.iter().filter(|_| format != "format-4").chain(&lifetimes::STAGES);
    for (place, (name, stage)) in stages.copied().enumerate() {
        let mut writing = Writing { disk: &disk, name, seed: 1000 * place as u64, expected: Expected::default() };
        stage(&mut writing);
        buckets.insert(name.to_string(), writing.expected);
    }
    // A value that was arriving as a stream when its instance was killed.
    disk.put("bodies/0123456789abcdef", b"the beginning of a val");
    (disk, buckets)
}

#[test]
#[ignore = "makes a golden directory, for a new format: GOLDEN=format-5 cargo test … -- --ignored golden"]
fn write_a_golden_directory_of_the_present_format() {
    let name = std::env::var("GOLDEN").expect("GOLDEN names the new directory, such as format-5");
    let (disk, buckets) = written(&name);
    let folder = golden::folder().join(name);
    assert!(!folder.exists(), "{} is there already, and golden directories are never changed", folder.display());
    let put = |path: &Path, bytes: &[u8]| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for (path, bytes) in disk.files() {
        put(&golden::store(&folder).join(path), &bytes);
    }
    put(&folder.join("expected.txt"), golden::format(&buckets).as_bytes());
}
