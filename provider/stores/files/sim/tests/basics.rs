//! One instance, nothing going wrong.

use kvfuse_core::{Bucket, Kind, Store, Swap, Version};
use kvfuse_files::config::Durability;
use kvfuse_files::{Config, FileStore};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::{Plain, mix};
use kvfuse_transport::files::FileError;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

fn open(disk: &Disk, seed: u64, config: Config) -> Rc<dyn Bucket> {
    FileStore::new(Ok(disk.root(Plain::new(seed))), config).open("bucket").unwrap()
}

fn small() -> Config {
    Config { segment: 1 << 10, split: 4 << 10, index: 512, small: 100, blob: 2000, ..Config::default() }
}

fn all_keys(bucket: &dyn Bucket) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let page = bucket.list(cursor.as_deref()).unwrap();
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return keys;
        }
    }
}

#[test]
fn what_was_written_is_read_back_by_this_and_by_a_fresh_instance() {
    let disk = Disk::default();
    let bucket = open(&disk, 1, Config::default());
    assert_eq!(bucket.get("k"), Ok(None));
    assert!(disk.files().is_empty(), "reading made something");
    let huge_key = "key".repeat(300_000);
    let values: [(&str, Vec<u8>); 6] = [
        ("", b"empty key".to_vec()),
        ("empty value", Vec::new()),
        ("every byte", (0..=255).collect()),
        ("blob", vec![7; 20_000]),
        ("file", (0..3_000_000u32).map(|n| n as u8).collect()),
        (&huge_key, b"huge key".to_vec()),
    ];
    for (key, value) in &values {
        bucket.set(key, value).unwrap();
    }
    for bucket in [bucket, open(&disk, 2, Config::default())] {
        for (key, value) in &values {
            assert_eq!(bucket.get(key).unwrap().as_ref(), Some(value), "{:.20}", key);
            assert_eq!(bucket.exists(key), Ok(true));
        }
        let keys: HashSet<_> = all_keys(&*bucket).into_iter().collect();
        assert_eq!(keys, values.iter().map(|(key, _)| key.to_string()).collect());
    }
    let bucket = open(&disk, 3, Config::default());
    for (key, _) in &values {
        bucket.delete(key).unwrap();
        assert_eq!(bucket.get(key), Ok(None));
    }
    assert_eq!(all_keys(&*bucket), Vec::<String>::new());
}

#[test]
fn a_steady_set_takes_two_calls_and_a_steady_get_one() {
    let disk = Disk::default();
    let director = Plain::new(1);
    let bucket = FileStore::new(Ok(disk.root(director.clone())), Config::default()).open("b").unwrap();
    bucket.set("k", b"0").unwrap();
    bucket.increment("n", 1, 0).unwrap();
    let count = |action: &dyn Fn()| {
        director.calls.borrow_mut().clear();
        action();
        director.calls.borrow().iter().map(|(call, _)| *call).collect::<Vec<_>>()
    };
    assert!(matches!(count(&|| bucket.set("k", b"1").unwrap())[..], [Call::Append(_), Call::Read]));
    assert!(matches!(count(&|| assert!(bucket.increment("n", 1, 0).is_ok()))[..], [Call::Append(_), Call::Read]));
    assert!(matches!(count(&|| assert!(bucket.get("k").is_ok()))[..], [Call::Read]));
    let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), &b"value"[..])).collect();
    assert!(matches!(count(&|| bucket.set_many(&pairs).unwrap())[..], [Call::Append(_), Call::Read]));
}

#[test]
fn a_swap_is_not_fooled_by_a_value_that_came_back() {
    let bucket = open(&Disk::default(), 1, small());
    assert_eq!(bucket.swap("k", &Version::Absent, b"a"), Ok(Swap::Done));
    let first = bucket.snapshot("k").unwrap();
    assert_eq!(first.value.as_deref(), Some(&b"a"[..]));
    bucket.delete("k").unwrap();
    bucket.set("k", b"a").unwrap();
    let Ok(Swap::Conflict(now)) = bucket.swap("k", &first.version, b"b") else { panic!("fooled") };
    assert_eq!((now.value.as_deref(), now.version != first.version), (Some(&b"a"[..]), true));
    assert_eq!(bucket.swap("k", &now.version, b"b"), Ok(Swap::Done));
    assert!(matches!(bucket.swap("k", &Version::Absent, b"c"), Ok(Swap::Conflict(_))));
}

#[test]
fn counters_keep_to_their_range_and_leave_other_values_alone() {
    let bucket = open(&Disk::default(), 1, small());
    assert_eq!(bucket.increment("n", i64::MAX, i64::MIN), Ok(i64::MAX));
    assert_eq!(bucket.increment("n", 1, i64::MIN).unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(bucket.get("n"), Ok(Some(i64::MAX.to_string().into_bytes())));
    for value in [&b"text"[..], &[b'1'; 5000], &[b'1'; 100_000]] {
        bucket.set("text", value).unwrap();
        assert_eq!(bucket.increment("text", 1, 0).unwrap_err().kind(), Kind::InvalidArgument);
        assert_eq!(bucket.get("text").unwrap().as_deref(), Some(value));
    }
}

#[test]
fn a_long_random_history_agrees_with_a_map_through_compactions_and_splits() {
    for seed in 0..20 {
        let disk = Disk::default();
        let mut buckets = [open(&disk, seed, small()), open(&disk, seed + 1000, small())];
        let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut state = seed;
        let mut random = |n: u64| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state) % n
        };
        for step in 0..3000 {
            let bucket = &buckets[random(2) as usize];
            let key = match random(20) {
                0 => format!("long {}", "x".repeat(5000)),
                _ => format!("key {}", random(200)),
            };
            match random(12) {
                0..5 => {
                    let size = match random(60) {
                        0 => 70_000,
                        1 => 5_000,
                        n => n * 3,
                    };
                    let value: Vec<u8> = (0..size).map(|n| (n + step) as u8).collect();
                    bucket.set(&key, &value).unwrap();
                    model.insert(key, value);
                }
                5 | 6 => {
                    bucket.delete(&key).unwrap();
                    model.remove(&key);
                }
                7 => {
                    let key = format!("counter {}", random(5));
                    let expected = model.get(&key).map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap()) + 3;
                    assert_eq!(bucket.increment(&key, 3, i64::MIN), Ok(expected), "seed {seed} step {step}");
                    model.insert(key, expected.to_string().into_bytes());
                }
                8 => {
                    let snapshot = bucket.snapshot(&key).unwrap();
                    assert_eq!(snapshot.value.as_ref(), model.get(&key), "seed {seed} step {step}");
                    assert_eq!(bucket.swap(&key, &snapshot.version, b"swapped"), Ok(Swap::Done));
                    model.insert(key, b"swapped".to_vec());
                }
                9 if random(40) == 0 => {
                    let mut expected: Vec<_> = model.keys().cloned().collect();
                    let mut found = all_keys(&**bucket);
                    found.sort();
                    expected.sort();
                    assert_eq!(found, expected, "seed {seed} step {step}");
                }
                10 if random(30) == 0 => buckets[0] = open(&disk, seed * 7919 + step, small()),
                _ => assert_eq!(bucket.get(&key).unwrap().as_ref(), model.get(&key), "seed {seed} step {step}"),
            }
        }
        let fresh = open(&disk, 77, small());
        for (key, value) in &model {
            assert_eq!(fresh.get(key).unwrap().as_ref(), Some(value), "seed {seed} {:.20}", key);
        }
        let files = disk.files();
        assert!(files.iter().filter(|(path, _)| path.contains("/s")).count() > 4, "it never split");
    }
}

#[test]
fn many_buckets_share_one_budget_and_each_finds_what_it_wrote() {
    let disk = Disk::default();
    let config = Config { memory: 64 << 10, ..small() };
    let store = FileStore::new(Ok(disk.root(Plain::new(5))), config);
    let buckets: Vec<_> = (0..20).map(|n| store.open(&format!("bucket {n}")).unwrap()).collect();
    let value = |bucket: usize, key: usize| format!("{bucket} {key} {}", "v".repeat(40)).into_bytes();
    for key in 0..300 {
        for (n, bucket) in buckets.iter().enumerate() {
            bucket.set(&format!("key {key}"), &value(n, key)).unwrap();
        }
    }
    // The segments of one bucket alone would fit.
    assert!(disk.open() < 100, "{} are open", disk.open());
    for (n, bucket) in buckets.iter().enumerate() {
        for key in 0..300 {
            assert_eq!(bucket.get(&format!("key {key}")).unwrap(), Some(value(n, key)), "bucket {n} key {key}");
        }
        assert_eq!(all_keys(&**bucket).len(), 300);
    }
}

/// A host that has only so many descriptors, and no code to say so.
struct Few {
    disk: Disk,
    most: usize,
    plain: Rc<Plain>,
}

impl Director for Few {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        if call == Call::Open && self.disk.open() >= self.most {
            return Verdict::Fail(FileError::Io);
        }
        self.plain.judge(call, path)
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

#[test]
fn with_few_descriptors_everything_goes_on_with_fewer_files_open() {
    for durability in [Durability::Relaxed, Durability::Full] {
        let disk = Disk::default();
        // Fewer than a split makes.
        let few = Few { disk: disk.clone(), most: 10, plain: Plain::new(3) };
        let config = Config { durability, split: 1 << 10, ..small() };
        let bucket = FileStore::new(Ok(disk.root(Rc::new(few))), config).open("bucket").unwrap();
        for round in 0..3u8 {
            for key in 0..600 {
                bucket.set(&format!("key {key}"), &[round; 60]).unwrap();
            }
            bucket.set(&"far ".repeat(2000), &[round; 5000]).unwrap();
            for key in 0..600 {
                assert_eq!(bucket.get(&format!("key {key}")).unwrap(), Some(vec![round; 60]));
                assert!(bucket.exists(&format!("key {key}")).unwrap());
            }
            assert_eq!(bucket.get(&"far ".repeat(2000)).unwrap(), Some(vec![round; 5000]));
            assert_eq!(all_keys(&*bucket).len(), 601);
        }
        assert!(disk.files().len() > 40, "it never split");
    }
}
