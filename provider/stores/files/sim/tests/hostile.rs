//! Directories that this store did not write. The corpus is in `corpus/`.

use kvfuse_core::{Kind, Store};
use kvfuse_files::{Config, FileStore, forge};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::fuzz::{KEYS, config, directory, key, mutate, survey, work, written};
use kvfuse_files_sim::plain::Plain;
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut out: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
        })
        .collect();
    out.sort();
    out
}

#[test]
fn every_directory_of_the_corpus_and_many_near_it_do_no_harm() {
    let corpus = corpus();
    assert!(corpus.len() >= 20);
    for (name, input) in &corpus {
        for seed in 0..40 {
            let input = if seed == 0 { input.clone() } else { mutate(input, seed) };
            let result = std::panic::catch_unwind(|| directory(&input));
            assert!(result.is_ok(), "corpus/{name}, mutation {seed}");
        }
    }
}

#[test]
fn no_damaged_byte_of_any_file_brings_a_value_that_was_never_written() {
    let disk = written();
    for (path, bytes) in disk.files() {
        for at in (0..bytes.len()).step_by(5) {
            let damaged = disk.fork();
            damaged.change(&path, |file| file[at] ^= 1 << (at % 8));
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&damaged, false)));
            assert!(result.is_ok(), "{path} at {at}");
        }
    }
}

#[test]
fn no_file_cut_short_zeroed_or_removed_does_harm() {
    let disk = written();
    for (path, bytes) in disk.files() {
        for at in (0..bytes.len()).step_by(11) {
            for zeros in [false, true] {
                let damaged = disk.fork();
                damaged.change(&path, |file| {
                    file.truncate(at);
                    if zeros {
                        file.resize(bytes.len(), 0);
                    }
                });
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&damaged, false)));
                assert!(result.is_ok(), "{path} cut at {at}, zeros {zeros}");
            }
        }
        let damaged = disk.fork();
        damaged.remove(&path);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&damaged, false)));
        assert!(result.is_ok(), "{path} removed");
    }
}

/// Lets so many calls pass, and no more; none reads more than a host gives.
struct Few {
    left: Cell<usize>,
    plain: Rc<Plain>,
}

impl Director for Few {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or_else(|| panic!("it goes on and on, at {path}")));
        if call == Call::Read { Verdict::Short(64 << 10) } else { Verdict::Go }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// Calls that one operation may make of what is far too large: what they read takes no second.
const FEW: usize = 2000;

/// Whether some operation on a damaged directory ends in an error. Each has to come to an end soon.
fn is_told(disk: &Disk) -> bool {
    let director = Rc::new(Few { left: Cell::new(FEW), plain: Plain::new(5) });
    let store = FileStore::new(Ok(disk.root(director.clone())), config());
    let bucket = store.open("bucket").unwrap();
    let mut told = false;
    let mut note = |result: kvfuse_core::Result<()>| {
        told |= result.is_err();
        director.left.set(FEW);
    };
    for n in 0..KEYS {
        note(bucket.get(&key(n)).map(drop));
        note(bucket.exists(&key(n)).map(drop));
        note(bucket.set(&key(n), b"new"));
        note(bucket.increment("counter", 1, 0).map(drop));
        note(bucket.get(&key(n)).map(drop));
    }
    note(bucket.list(None).map(drop));
    note(survey(disk, director.clone()).map(drop));
    told
}

#[test]

fn a_file_of_a_hundred_gibibytes_of_anything_is_an_error_soon() {
    let disk = written();
    let files = disk.files();
    let anchor = files.iter().find(|(path, _)| path.ends_with("anchor")).map(|(_, bytes)| bytes.clone()).unwrap();
    let told_without = |path: &str| {
        let damaged = disk.fork();
        damaged.remove(path);
        is_told(&damaged)
    };
    for (path, bytes) in &files {
        // Zeros, the file again and again, what may be the headers of records, and records that say nothing.
        let nothing = forge::frame(&anchor, b's', (0, 0), 0, &[1, 0, 0, 0, 0, 0, 0, 0, 0], b"");
        for pattern in [&[0][..], bytes, &bytes[..bytes.len().min(20)], &nothing] {
            let damaged = disk.fork();
            damaged.sparse(path, 100 << 30, pattern);
            let told = is_told(&damaged);
            // Of a log or an anchor, what is at the beginning or the end may be enough.
            let enough = !path.contains("/s") && pattern == bytes;
            assert!(told || enough || !told_without(path), "{path} of {} bytes again and again", pattern.len());
        }
    }
}

#[test]
fn a_bucket_whose_roots_log_is_damaged_is_damaged_and_not_empty() {
    let disk = written();
    let bucket = FileStore::new(Ok(disk.root(Plain::new(1))), Config::default()).open("bucket").expect("it opens");
    let (right, keys) = (bucket.get("key 1").expect("it reads"), bucket.list(None).expect("it lists").keys.len());
    assert!(right.is_some());
    // A byte of each of its records, of 39 bytes.
    for at in 0..39 {
        let damaged = disk.fork();
        damaged.change("b-bucket/n", |file| file.iter_mut().skip(at).step_by(39).for_each(|byte| *byte ^= 1));
        let store = FileStore::new(Ok(damaged.root(Plain::new(1))), Config::default());
        let bucket = store.open("bucket").expect("opening looks at nothing");
        // The anchor may lead past it.
        let is_damaged = |error: &kvfuse_core::Error| error.kind() == Kind::Damaged;
        match bucket.get("key 1") {
            Ok(found) => assert_eq!(found, right, "{at}"),
            Err(error) => assert!(is_damaged(&error), "{at}: {error:?}"),
        }
        match bucket.list(None) {
            Ok(page) => assert_eq!(page.keys.len(), keys, "{at}"),
            Err(error) => assert!(is_damaged(&error), "{at}: {error:?}"),
        }
        if let Err(error) = bucket.set("key 1", b"new") {
            assert!(is_damaged(&error), "{at}: {error:?}");
        }
    }
}
