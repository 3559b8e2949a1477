//! A repair copies what can be read, all of it, and says what it could not.

use kvfuse_core::{Bucket, Store};
use kvfuse_files::repair::{self, Repaired};
use kvfuse_files::{Config, Durability, FileStore, survey};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::golden;
use kvfuse_files_sim::open::SimStream;
use kvfuse_files_sim::plain::Plain;
use kvfuse_files_sim::steps::list;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

type Pairs = BTreeMap<String, Vec<u8>>;

/// Segments that split and are compacted; one with an index and many records; and one with several pages.
const CONFIGS: [Config; 3] = [
    Config {
        durability: Durability::Relaxed,
        memory: 1 << 20,
        segment: 64,
        split: 400,
        index: 100,
        small: 60,
        blob: 100,
        flaw: None,
    },
    Config {
        durability: Durability::Relaxed,
        memory: 1 << 20,
        segment: 1 << 20,
        split: 1 << 20,
        index: 700,
        small: 60,
        blob: 100,
        flaw: None,
    },
    Config {
        durability: Durability::Relaxed,
        memory: 1 << 20,
        segment: 3000,
        split: 1 << 20,
        index: 400,
        small: 60,
        blob: 100,
        flaw: None,
    },
];
const BUCKET: &str = "b-bucket";

struct Written {
    disk: Disk,
    now: Pairs,
    /// All values that each key ever had.
    ever: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Written {
    fn new(config: Config, rounds: usize) -> Self {
        let disk = Disk::default();
        let store = FileStore::new(Ok(disk.root(Plain::new(3))), config);
        let bucket = store.open("bucket").unwrap();
        let mut written = Self { disk, now: Pairs::new(), ever: BTreeMap::new() };
        for round in 0..rounds {
            for n in 0..9 {
                written.set(&*bucket, &format!("key {n}"), format!("{round} {}", "v".repeat(3 + 7 * n)).as_bytes());
            }
            let sum = bucket.increment("counter", 5, 0).unwrap();
            written.note("counter", sum.to_string().into_bytes());
        }
        written.set(&*bucket, "blob", &[b'b'; 90]);
        written.set(&*bucket, "file", &[b'f'; 130]);
        written.set(&*bucket, &"far_key".repeat(600), b"of a far key");
        bucket.delete("key 3").unwrap();
        written.now.remove("key 3");
        let mut body = store.create_body().unwrap();
        let mut stream = *body.take_stream().unwrap().downcast::<SimStream>().unwrap();
        stream.write(&[b's'; 150]).unwrap();
        bucket.set_body("stream", &mut *body).unwrap();
        written.note("stream", vec![b's'; 150]);
        let sum = bucket.increment("counter", 7, 0).unwrap();
        written.note("counter", sum.to_string().into_bytes());
        written
    }

    fn set(&mut self, bucket: &dyn Bucket, key: &str, value: &[u8]) {
        bucket.set(key, value).unwrap();
        self.note(key, value.to_vec());
    }

    fn note(&mut self, key: &str, value: Vec<u8>) {
        self.ever.entry(key.into()).or_default().insert(value.clone());
        self.now.insert(key.into(), value);
    }
}

fn pairs(disk: &Disk, name: &str) -> Pairs {
    let bucket = FileStore::new(Ok(disk.root(Plain::new(5))), Config::default()).open(name).unwrap();
    let value = |key: String| (key.clone(), bucket.get(&key).unwrap().unwrap());
    list(&*bucket).unwrap().into_iter().map(value).collect()
}

fn repair(disk: &Disk, directory: &str) -> (Disk, Repaired) {
    let (to, before) = (Disk::default(), disk.files());
    let store = FileStore::new(Ok(to.root(Plain::new(4))), Config::default());
    let report = repair::bucket(&Rc::new(disk.root(Plain::new(6))), directory, &store, &mut |_| {}).unwrap();
    assert!(disk.files() == before, "the damaged directory was changed");
    let looked = survey::verify(&Rc::new(to.root(Plain::new(7))), directory).unwrap();
    assert_eq!(looked.damage, [""; 0]);
    assert_eq!(report.keys, looked.segments.iter().map(|part| part.keys).sum::<u64>());
    (to, report)
}

/// Repairs a damaged copy of a store, and checks that the report tells the truth. Gives the keys that are missing and the
/// uncertain ones.
fn check(written: &Written, damaged: &Disk, what: &str) -> (usize, usize, Repaired) {
    let (copy, report) = repair(damaged, BUCKET);
    let found = pairs(&copy, "bucket");
    let uncertain: BTreeSet<&String> = report.uncertain.iter().collect();
    for (key, value) in &found {
        // A value that came as a stream has no check.
        let right = written.now.get(key) == Some(value) || key == "stream" && what.contains("/v");
        if uncertain.contains(key) {
            assert!(
                written.ever.get(key).is_some_and(|ever| ever.contains(value)) || key == "counter",
                "{what}: {key:.20}"
            );
        } else {
            assert!(right, "{what}: {key:.20} is {value:?}\n{report:#?}");
        }
    }
    let missing = written.now.keys().filter(|key| !found.contains_key(*key)).count();
    if missing > 0 {
        assert!(
            !report.damage.is_empty() || !report.lost.is_empty(),
            "{what}: {missing} keys are missing\n{report:#?}"
        );
        let told = report.lost.len() as u64 + report.nameless;
        let somewhere = !report.parts.is_empty() || report.damage.iter().any(|line| line.contains("a record"));
        assert!(told >= missing as u64 || somewhere, "{what}: {missing} keys are missing\n{report:#?}");
    }
    if report.is_whole() {
        let is_right = |key: &String| found.get(key) == written.now.get(key) || key == "stream" && what.contains("/v");
        assert!(found.len() == written.now.len() && found.keys().all(is_right), "{what}");
    }
    // What the store itself can read is in the copy.
    let bucket = FileStore::new(Ok(damaged.root(Plain::new(8))), Config::default()).open("bucket").unwrap();
    for key in written.ever.keys() {
        // A client that has a far key can ask for it; a copy needs the file that has its text.
        let nameless = key.starts_with("far") && report.nameless > 0;
        if let (Ok(Some(value)), false) = (bucket.get(key), nameless) {
            assert!(found.get(key) == Some(&value), "{what}: {key:.20} can be read and was not copied\n{report:#?}");
        }
    }
    (missing, uncertain.len(), report)
}

#[test]
fn a_whole_store_is_copied_whole() {
    for (at, config) in CONFIGS.into_iter().enumerate() {
        let written = Written::new(config, 4);
        let (missing, uncertain, report) = check(&written, &written.disk, &format!("settings {at}"));
        assert_eq!((missing, uncertain), (0, 0));
        assert!(report.is_whole(), "{report:#?}");
        assert_eq!(report.keys as usize, written.now.len());
    }
}

#[test]
fn whatever_bit_is_flipped_everything_else_is_copied_and_the_report_tells_the_truth() {
    for (at, config) in CONFIGS.into_iter().enumerate() {
        let written = Written::new(config, if at == 1 { 2 } else { 3 });
        let (mut flips, mut lost, mut doubted) = (0, 0, 0);
        for (path, bytes) in written.disk.files() {
            for place in 0..bytes.len() {
                let damaged = written.disk.fork();
                damaged.change(&path, |file| file[place] ^= 1 << (place * 5 % 8));
                let (missing, uncertain, _) = check(&written, &damaged, &format!("settings {at}, {path} at {place}"));
                // A page of a base has about 1 KiB of short pairs, everything else one.
                let most = if path.contains("/s") { 20 } else { 1 };
                assert!(missing <= most, "settings {at}, {path} at {place}: {missing} keys are missing");
                flips += 1;
                lost += missing;
                doubted += uncertain;
            }
        }
        println!("settings {at}: {flips} flips, {lost} keys lost, {doubted} uncertain");
        assert!(
            lost < 3 * flips && doubted < 8 * flips,
            "settings {at}: {flips} flips, {lost} lost, {doubted} doubted"
        );
    }
}

#[test]
fn a_file_that_is_missing_costs_no_more_than_what_was_in_it() {
    for (at, config) in CONFIGS.into_iter().enumerate() {
        let written = Written::new(config, 4);
        for (path, _) in written.disk.files() {
            let damaged = written.disk.fork();
            damaged.remove(&path);
            let (missing, _, report) = check(&written, &damaged, &format!("settings {at}, without {path}"));
            let name = path.rsplit('/').next().unwrap();
            match name.as_bytes()[0] {
                b'a' => assert_eq!((missing, report.parts.clone()), (written.now.len(), vec![(0.0, 1.0)])),
                b's' if at > 0 => assert_eq!(report.parts, [(0.0, 1.0)]),
                b's' => assert!(report.parts.iter().map(|(from, to)| to - from).sum::<f64>() <= 0.25, "{report:#?}"),
                // Without logs, the files themselves tell.
                b'n' => assert_eq!(missing, 0, "settings {at}, without {path}: {report:#?}"),
                _ => assert!(missing <= 1, "settings {at}, without {path}: {missing}"),
            }
        }
    }
}

#[test]
fn golden_directories_of_every_format_are_copied_whole() {
    for path in golden::all() {
        let (disk, buckets) = golden::load(&path);
        let directories = survey::store(&disk.root(Plain::new(1))).unwrap().buckets;
        assert_eq!(directories.len(), buckets.len());
        for directory in directories {
            let (copy, report) = repair(&disk, &directory);
            assert!(report.is_whole(), "{directory}: {report:#?}");
            let found = buckets
                .iter()
                .find(|(name, expected)| pairs(&copy, name) == expected.pairs() && !expected.pairs().is_empty());
            assert!(found.is_some() || report.keys == 0, "{directory}: {report:?}");
        }
    }
}
