//! One instance with more data than it reads at once: what is read ahead, and what compactions collect.

use kvfuse_core::{Bucket, Store};
use kvfuse_files::{Config, FileStore};
use kvfuse_files_sim::director::Call;
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::{Plain, mix};
use std::collections::BTreeMap;
use std::rc::Rc;

const KEYS: u64 = 20_000;

fn value(n: u64, round: u64) -> Vec<u8> {
    let length = 20 + (mix(n ^ round << 32) % 160) as usize;
    format!("{n} in round {round} ").into_bytes().into_iter().cycle().take(length).collect()
}

/// A bucket in which every key was set, and a third of them again, so that its segment has an index.
fn filled(disk: &Disk, config: Config) -> BTreeMap<String, Vec<u8>> {
    let bucket = FileStore::new(Ok(disk.root(Plain::new(1))), config).open("b").unwrap();
    let mut model = BTreeMap::new();
    let mut set = |n: u64, round: u64| {
        let key = format!("key {n}");
        bucket.set(&key, &value(n, round)).unwrap();
        model.insert(key, value(n, round));
    };
    (0..KEYS).for_each(|n| set(n, 0));
    (0..KEYS / 3).for_each(|n| set(mix(n) % KEYS, 1));
    model
}

fn reads(director: &Plain, action: impl FnOnce()) -> usize {
    director.calls.borrow_mut().clear();
    action();
    director.calls.borrow().iter().filter(|(call, _)| *call == Call::Read).count()
}

#[test]
fn with_room_for_all_of_it_pages_are_read_ahead_and_then_a_get_is_one_call() {
    let disk = Disk::default();
    let model = filled(&disk, Config::default());
    let director = Plain::new(2);
    let bucket = FileStore::new(Ok(disk.root(director.clone())), Config::default()).open("b").unwrap();
    let all = |bucket: &Rc<dyn Bucket>| {
        model.iter().for_each(|(key, value)| assert_eq!(bucket.get(key).unwrap().as_ref(), Some(value), "{key}"));
    };
    // One each to look for news, those of records that only the index names, and few others.
    let (first, again) = (reads(&director, || all(&bucket)), reads(&director, || all(&bucket)));
    let renewed = KEYS as usize / 3;
    assert!(first < model.len() + renewed + 400, "{first} reads for {} gets", model.len());
    assert!(again <= model.len() + renewed, "{again} reads for {} gets", model.len());
    // Where there is no room, each page is read by itself, and no more than that.
    let config = Config { memory: 64 << 10, ..Config::default() };
    let bucket = FileStore::new(Ok(disk.root(Plain::new(3))), config).open("b").unwrap();
    all(&bucket);
}

#[test]
fn a_compaction_reads_pages_and_records_in_few_pieces_and_loses_nothing() {
    for memory in [1 << 20, Config::default().memory] {
        let config = Config { memory, ..Config::default() };
        let disk = Disk::default();
        let mut model = filled(&disk, config);
        let director = Plain::new(2);
        let bucket = FileStore::new(Ok(disk.root(director.clone())), config).open("b").unwrap();
        let mut most = 0;
        for n in 0..KEYS {
            let key = format!("key {}", mix(n) % KEYS);
            let value = value(n, 2);
            most = most.max(reads(&director, || bucket.set(&key, &value).unwrap()));
            model.insert(key, value);
        }
        // 2.5 MB in pieces of 64 KiB; the records once or, with little memory, in passes; and the successor's read-back.
        assert!((60..1500).contains(&most), "{most} reads for the set that compacted");
        let mut cursor = None;
        let mut listed = 0;
        loop {
            let page = bucket.list(cursor.as_deref()).unwrap();
            listed += page.keys.len();
            assert!(page.keys.iter().all(|key| model.contains_key(key)));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed, model.len());
        model.iter().for_each(|(key, value)| assert_eq!(bucket.get(key).unwrap().as_ref(), Some(value), "{key}"));
    }
}

#[test]
fn a_counter_that_fills_many_segments_leaves_a_base_as_small_as_itself() {
    let disk = Disk::default();
    let bucket = FileStore::new(Ok(disk.root(Plain::new(1))), Config::default()).open("b").unwrap();
    let segment =
        || disk.files().into_iter().find(|(path, _)| path.contains("/s.")).map(|(path, bytes)| (path, bytes.len()));
    let mut made = 0;
    let mut before = segment();
    for n in 1..=40_000 {
        assert_eq!(bucket.increment("counter", 1, i64::MIN).unwrap(), n);
        let now = segment();
        if now.as_ref().map(|(path, _)| path) != before.as_ref().map(|(path, _)| path) && before.is_some() {
            made += 1;
            let size = now.as_ref().map_or(0, |(_, size)| *size);
            assert!(size < 1024, "the segment begins with {size} bytes");
        }
        before = now;
    }
    assert!(made > 5, "{made} compactions");
}

#[test]
fn a_segment_whose_base_is_megabytes_before_its_end_is_opened_from_there() {
    // Nothing is compacted, and there is no index.
    let config = Config { segment: 64 << 20, index: 64 << 20, ..Config::default() };
    let disk = Disk::default();
    let model = filled(&disk, config);
    let largest = disk.files().into_iter().map(|(_, bytes)| bytes.len()).max();
    assert!(largest.is_some_and(|bytes| bytes > 3 << 20), "{largest:?}");
    let bucket = FileStore::new(Ok(disk.root(Plain::new(2))), config).open("b").unwrap();
    model.iter().for_each(|(key, value)| assert_eq!(bucket.get(key).unwrap().as_ref(), Some(value), "{key}"));
}

#[test]
fn large_values_are_set_with_few_syncs_and_read_by_a_fresh_instance_in_few_calls() {
    const LARGE: usize = 64 << 10;
    let disk = Disk::default();
    let director = Plain::new(1);
    let bucket = FileStore::new(Ok(disk.root(director.clone())), Config::default()).open("b").unwrap();
    let key = |n: u64| format!("key {}", n % 10);
    let value = |n: u64| vec![n as u8; LARGE];
    (0..100).for_each(|n| bucket.set(&key(n), &value(n)).unwrap());
    director.calls.borrow_mut().clear();
    (100..300).for_each(|n| bucket.set(&key(n), &value(n)).unwrap());
    let count = |which: Call| director.calls.borrow().iter().filter(|(call, _)| *call == which).count();
    // 13 MB: an index for each MiB, with one sync, and a compaction for each 4 MiB, with two or three.
    assert!(count(Call::Sync) < 30, "{} syncs", count(Call::Sync));
    // Three records, each read back, and a quarter for what is written again.
    assert!(count(Call::Read) < 200 * 6, "{} reads", count(Call::Read));
    let director = Plain::new(2);
    let fresh = FileStore::new(Ok(disk.root(director.clone())), Config::default()).open("b").unwrap();
    let read = reads(&director, || assert_eq!(fresh.get(&key(299)).unwrap(), Some(value(299))));
    assert!(read < 30, "{read} reads");
}
