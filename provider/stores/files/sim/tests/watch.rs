//! Watching a bucket while it is written to, compacted, split, and cut off.

use kvfuse_core::watch::From;
use kvfuse_core::{Bucket, Change, Changes, Kind, Store, Swap, Watch};
use kvfuse_files::{Config, Durability, FileStore};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::{Plain, mix};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

fn open(disk: &Disk, seed: u64, config: Config) -> Rc<dyn Bucket> {
    FileStore::new(Ok(disk.root(Plain::new(seed))), config).open("bucket").unwrap()
}

fn small() -> Config {
    Config { segment: 1 << 10, split: 4 << 10, index: 512, small: 100, blob: 2000, ..Config::default() }
}

fn next(watch: &mut dyn Watch) -> Changes {
    watch.next(Duration::ZERO).unwrap()
}

/// Everything that is there to be delivered, with the last position, and whether something was said to be missed.
fn drain(watch: &mut dyn Watch) -> (Vec<Change>, String, bool) {
    let (mut all, mut missed) = (Vec::new(), false);
    loop {
        let more = next(watch);
        missed |= more.missed.is_some();
        if more.changes.is_empty() {
            return (all, more.position.unwrap(), missed);
        }
        all.extend(more.changes);
    }
}

fn set(key: &str, value: &[u8]) -> Change {
    Change::Set { key: key.into(), value: value.into() }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.into() }
}

fn by_key(changes: impl IntoIterator<Item = Change>) -> BTreeMap<String, Vec<Change>> {
    let mut keys: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    changes.into_iter().for_each(|change| keys.entry(change.key().into()).or_default().push(change));
    keys
}

/// Makes one change of a few keys, by chance, and tells what it was.
fn change(bucket: &dyn Bucket, draw: &mut impl FnMut(u64) -> u64) -> Option<Change> {
    let key = format!("k{}", draw(40));
    let exists = bucket.exists(&key).unwrap();
    match draw(10) {
        0 if exists => {
            bucket.delete(&key).unwrap();
            Some(delete(&key))
        }
        1 => match bucket.increment(&key, 1, i64::MIN) {
            Ok(sum) => Some(set(&key, sum.to_string().as_bytes())),
            Err(_) => None,
        },
        2 => {
            let seen = bucket.snapshot(&key).unwrap();
            // Half of them come too late.
            let other = (draw(2) == 0).then(|| bucket.set(&key, b"7").unwrap());
            match bucket.swap(&key, &seen.version, b"12").unwrap() {
                Swap::Done => Some(set(&key, b"12")),
                Swap::Conflict(_) => other.map(|()| set(&key, b"7")),
            }
        }
        3 => {
            let value = vec![b'x'; draw(5000) as usize];
            bucket.set(&key, &value).unwrap();
            Some(set(&key, &value))
        }
        4 => {
            let key = format!("{key}{}", "long".repeat(1200));
            bucket.set(&key, b"far").unwrap();
            Some(set(&key, b"far"))
        }
        n => {
            let value = format!("{n}");
            bucket.set(&key, value.as_bytes()).unwrap();
            Some(set(&key, value.as_bytes()))
        }
    }
}

fn chance(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = mix(state);
        state % below
    }
}

#[test]
fn a_watch_that_keeps_up_delivers_every_change_once_through_compactions_and_splits() {
    for seed in 0..20 {
        // A generation takes more than is changed from one look to the next, and has all values: a file that was replaced may be
        // gone before it was read.
        let config = Config { segment: 8 << 10, split: 5 << 10, blob: 8000, ..small() };
        let disk = Disk::default();
        let mut draw = chance(seed + 1);
        let writers = [open(&disk, 100 + seed, config), open(&disk, 200 + seed, config)];
        let mut watch = open(&disk, 300 + seed, config).watch("", From::Now).unwrap();
        let (mut made, mut heard) = (Vec::new(), Vec::new());
        for _ in 0..2500 {
            made.extend(change(&*writers[draw(2) as usize], &mut draw));
            if draw(3) == 0 {
                let (changes, _, missed) = drain(&mut *watch);
                assert!(!missed, "seed {seed}");
                heard.extend(changes);
            }
        }
        let (changes, _, missed) = drain(&mut *watch);
        heard.extend(changes);
        assert!(!missed, "seed {seed}");
        let files: Vec<String> = disk.files().into_iter().map(|(name, _)| name).collect();
        assert!(
            files.iter().any(|name| name.starts_with("b-bucket/s") && !name.contains("/s.")),
            "it never split: {files:?}"
        );
        let (made, heard) = (by_key(made), by_key(heard));
        for (key, made) in &made {
            let heard = heard.get(key).map_or(&[][..], Vec::as_slice);
            let differs = (0..made.len().max(heard.len())).find(|n| made.get(*n) != heard.get(*n));
            if let Some(n) = differs {
                let short = |changes: &[Change]| format!("{:.60?}", format!("{:?}", changes.get(n)));
                panic!("seed {seed}, change {n} of {key:.10}: {} not {}", short(made), short(heard));
            }
        }
        assert_eq!(made.len(), heard.len(), "seed {seed}");
    }
}

#[test]
fn from_each_position_on_nothing_is_missed_unless_it_is_said() {
    let (mut silent, mut said) = (0, 0);
    for seed in 0..60 {
        // In half of the runs, generations last long enough to be watched again.
        let config = Config { segment: if seed % 2 == 0 { 64 << 10 } else { 1 << 10 }, ..small() };
        let disk = Disk::default();
        let mut draw = chance(seed + 1);
        let writer = open(&disk, 100 + seed, config);
        let mut watch = open(&disk, 300 + seed, config).watch("", From::Beginning).unwrap();
        let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut missed = false;
        for round in 0..40 {
            for _ in 0..draw(if seed % 2 == 0 { 12 } else { 120 }) {
                change(&*writer, &mut draw);
            }
            let (changes, position, more) = drain(&mut *watch);
            missed |= more;
            for change in changes {
                match change {
                    Change::Set { key, value } => drop(model.insert(key, value)),
                    Change::Delete { key } => drop(model.remove(&key)),
                }
            }
            if round % 3 == 0 {
                // Another instance goes on, after some more changes that nobody watches.
                for _ in 0..draw(if seed % 2 == 0 { 3 } else { 60 }) {
                    change(&*writer, &mut draw);
                }
                let instance = open(&disk, 1000 + seed * 100 + round, config);
                watch = instance.watch("", From::Position(&position)).unwrap();
            }
        }
        let (changes, _, more) = drain(&mut *watch);
        missed |= more;
        for change in changes {
            match change {
                Change::Set { key, value } => drop(model.insert(key, value)),
                Change::Delete { key } => drop(model.remove(&key)),
            }
        }
        for key in writer.list(None).unwrap().keys {
            assert_eq!(model.remove(&key), writer.get(&key).unwrap(), "seed {seed}: a set of {key:.10} was missed");
        }
        match missed {
            true => said += 1,
            false => {
                silent += 1;
                assert!(model.is_empty(), "seed {seed}: deletions were missed and nobody said so: {:?}", model.keys());
            }
        }
    }
    assert!(silent > 3 && said > 3, "{silent} {said}");
}

#[test]
fn an_answer_is_bounded_and_the_position_in_it_is_behind_what_it_has() {
    let disk = Disk::default();
    let writer = open(&disk, 1, Config::default());
    writer.set("before", b"").unwrap();
    let mut watch = writer.watch("", From::Now).unwrap();
    for n in 0..1200 {
        writer.set(&format!("{n}"), b"value").unwrap();
    }
    let first = next(&mut *watch);
    assert_eq!(first.changes.len(), 500);
    let mut again = open(&disk, 2, Config::default()).watch("", From::Position(&first.position.unwrap())).unwrap();
    let (rest, _, missed) = drain(&mut *again);
    assert!(!missed);
    assert_eq!(first.changes.len() + rest.len(), 1200);
    assert_eq!(by_key(first.changes.into_iter().chain(rest)).len(), 1200);
    writer.set("large", &vec![1; 3 << 20]).unwrap();
    writer.set("larger", &vec![2; 3 << 20]).unwrap();
    writer.set("small", b"").unwrap();
    drain(&mut *watch);
    let sizes = |changes: &Changes| changes.changes.iter().map(Change::size).collect::<Vec<_>>();
    let first = next(&mut *again);
    assert_eq!(sizes(&first), [5 + (3 << 20), 6 + (3 << 20)]);
    assert_eq!(next(&mut *again).changes, [set("small", b"")]);
}

#[test]
fn the_prefix_the_beginning_and_a_bucket_that_is_not_there_yet() {
    let disk = Disk::default();
    let writer = open(&disk, 1, small());
    let mut early = writer.watch("a/", From::Now).unwrap();
    let none = next(&mut *early);
    assert_eq!((none.changes, none.position.as_deref()), (vec![], Some("new")));
    assert!(disk.files().is_empty(), "watching made something");
    for key in ["a/1", "b/1", "a/2"] {
        writer.set(key, b"1").unwrap();
    }
    let keys = |watch: &mut dyn Watch| by_key(drain(watch).0).into_keys().collect::<Vec<_>>();
    assert_eq!(keys(&mut *early), ["a/1", "a/2"]);
    assert_eq!(keys(&mut *writer.watch("a/", From::Beginning).unwrap()), ["a/1", "a/2"]);
    assert_eq!(keys(&mut *writer.watch("", From::Position("new")).unwrap()), ["a/1", "a/2", "b/1"]);
    assert!(keys(&mut *writer.watch("", From::Now).unwrap()).is_empty());
}

#[test]
fn deletions_that_went_with_a_compaction_are_said_to_be_missing() {
    let disk = Disk::default();
    let writer = open(&disk, 1, small());
    writer.set("gone", b"1").unwrap();
    writer.set("kept", b"1").unwrap();
    let (_, position, _) = drain(&mut *writer.watch("", From::Now).unwrap());
    writer.delete("gone").unwrap();
    writer.set("kept", b"2").unwrap();
    let (changes, _, missed) = drain(&mut *writer.watch("", From::Position(&position)).unwrap());
    assert_eq!((changes, missed), (vec![delete("gone"), set("kept", b"2")], false));
    for n in 0..100 {
        writer.set("other", format!("{n}").as_bytes()).unwrap();
    }
    let (changes, _, missed) = drain(&mut *writer.watch("", From::Position(&position)).unwrap());
    let mut changes = by_key(changes);
    assert!(missed);
    // It was compacted before the last of the others.
    let last = changes.remove("other").unwrap();
    assert_eq!(last.last(), Some(&set("other", b"99")));
    assert_eq!(changes.into_values().collect::<Vec<_>>(), [[set("kept", b"2")]]);
}

#[test]
fn a_position_of_another_bucket_is_refused() {
    let disk = Disk::default();
    let store = FileStore::new(Ok(disk.root(Plain::new(1))), small());
    let (one, other) = (store.open("one").unwrap(), store.open("other").unwrap());
    one.set("k", b"").unwrap();
    let (_, position, _) = drain(&mut *one.watch("", From::Now).unwrap());
    let refused = |bucket: &dyn Bucket, position: &str| {
        let error = bucket.watch("", From::Position(position)).err().unwrap();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("not from a watch of this bucket"), "{error}");
    };
    refused(&*other, &position);
    other.set("k", b"").unwrap();
    refused(&*other, &position);
    refused(&*one, &position[2..]);
    refused(&*one, "");
}

#[test]
fn what_a_power_cut_took_back_after_it_was_delivered_is_said() {
    let disk = Disk::default();
    let writer = open(&disk, 1, small());
    writer.set("k", b"1").unwrap();
    let before = disk.fork();
    writer.set("k", b"2").unwrap();
    let (_, position, _) = drain(&mut *writer.watch("", From::Now).unwrap());
    // The disk as it was before, and with another history from there on.
    let shorter = open(&before, 2, small());
    let (changes, _, missed) = drain(&mut *shorter.watch("", From::Position(&position)).unwrap());
    assert_eq!((changes, missed), (vec![set("k", b"1")], true));

    // As long as the one that was watched, so only the records' own numbers tell them apart.
    let mut watch = writer.watch("", From::Now).unwrap();
    writer.set("k", b"3").unwrap();
    let (_, position, _) = drain(&mut *watch);
    shorter.set("k", b"4").unwrap();
    shorter.set("k", b"5").unwrap();
    let (changes, _, missed) = drain(&mut *shorter.watch("", From::Position(&position)).unwrap());
    assert_eq!((changes, missed), (vec![set("k", b"5")], true));
}

#[test]
fn in_full_durability_nothing_is_delivered_that_a_power_cut_takes_back() {
    let mut delivered = 0;
    for seed in 0..20 {
        let disk = Disk::default();
        let relaxed = open(&disk, 1 + seed, small());
        let full = open(&disk, 100 + seed, Config { durability: Durability::Full, ..small() });
        full.set("first", b"0").unwrap();
        let mut watch = full.watch("", From::Beginning).unwrap();
        let mut draw = chance(seed + 1);
        let mut heard = BTreeMap::new();
        for number in 1..100 + draw(20) {
            relaxed.set(&format!("k{}", draw(5)), number.to_string().as_bytes()).unwrap();
            if draw(3) == 0 {
                for change in drain(&mut *watch).0 {
                    let Change::Set { key, value } = change else { panic!("nothing was deleted") };
                    heard.insert(key, String::from_utf8(value).unwrap().parse::<u64>().unwrap());
                }
            }
        }
        // Nothing that was not synced survives.
        disk.power_cut(&mut |_| 0);
        let after = open(&disk, 200 + seed, small());
        for (key, number) in heard {
            let now = after.get(&key).unwrap().map(|value| String::from_utf8(value).unwrap().parse::<u64>().unwrap());
            assert!(now >= Some(number), "seed {seed}, {key}: {number} was delivered, and {now:?} is there");
            delivered += 1;
        }
    }
    assert!(delivered > 60);
}
