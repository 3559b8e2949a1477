//! The inspector tells the truth: what it calls whole can be read, all of it.

use kvfuse_core::{Result, Store};
use kvfuse_files::FileStore;
use kvfuse_files::survey::Bucket;
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::fuzz::{config, survey, written};
use kvfuse_files_sim::plain::Plain;
use std::collections::BTreeMap;

/// All pairs, read by a store that has just been opened.
fn pairs(disk: &Disk) -> Result<BTreeMap<String, Option<Vec<u8>>>> {
    let bucket = FileStore::new(Ok(disk.root(Plain::new(1))), config()).open("bucket")?;
    let mut pairs = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = bucket.list(cursor.as_deref())?;
        for key in page.keys {
            let value = bucket.get(&key)?;
            pairs.insert(key, value);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(pairs);
        }
    }
}

fn look(disk: &Disk) -> Bucket {
    survey(disk, Plain::new(1)).expect("nothing in it is of another format")
}

/// Nothing is reported, not even a torn record.
fn clean(bucket: &Bucket) -> bool {
    bucket.damage.is_empty() && bucket.segments.iter().all(|part| part.torn == 0)
}

#[test]
fn a_store_with_splits_and_compactions_behind_it_is_told_as_it_is() {
    let disk = written();
    let bucket = look(&disk);
    assert!(clean(&bucket), "{bucket:?}");
    assert!(bucket.segments.len() > 1);
    assert_eq!(bucket.segments.iter().map(|part| part.keys).sum::<u64>(), pairs(&disk).unwrap().len() as u64);
    let sizes: usize = disk.files().iter().filter(|(path, _)| path.contains("/s")).map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(bucket.segments.iter().map(|part| part.bytes).sum::<u64>(), sizes as u64);
    let values: usize = disk.files().iter().filter(|(path, _)| path.contains("/v")).map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(bucket.values.bytes + bucket.leftover.bytes, values as u64);
}

#[test]
fn a_flipped_bit_or_a_cut_anywhere_is_reported_unless_every_pair_can_be_read_all_the_same() {
    let disk = written();
    let whole = pairs(&disk).unwrap();
    let mut reported = 0;
    let mut check = |damaged: &Disk, what: &str| match clean(&look(damaged)) {
        true => assert!(pairs(damaged).as_ref() == Ok(&whole), "{what}"),
        false => reported += 1,
    };
    let cut = |path: &str, at: usize| {
        let damaged = disk.fork();
        damaged.change(path, |file| file.truncate(at));
        damaged
    };
    for (path, bytes) in disk.files() {
        // The content of value files is checked when it is read, not here.
        let flipped = if path.contains("/v") { 0 } else { bytes.len() };
        for at in 0..flipped {
            let damaged = disk.fork();
            damaged.change(&path, |file| file[at] ^= 1 << (at % 8));
            check(&damaged, &format!("{path} at {at}"));
        }
        for at in 0..bytes.len() {
            // Between two records nothing tells that there was another; so what is one byte longer is reported.
            if path.contains("/s") && clean(&look(&cut(&path, at))) {
                assert!(!clean(&look(&cut(&path, at + 1))) || at + 1 == bytes.len(), "{path} cut at {at}");
                continue;
            }
            check(&cut(&path, at), &format!("{path} cut at {at}"));
        }
        let damaged = disk.fork();
        damaged.remove(&path);
        check(&damaged, &format!("{path} removed"));
    }
    assert!(reported > 1000, "{reported}");
}
