//! Directories that this store did not write. The corpus is in `corpus/`.

use kvfuse_core::{Kind, Store};
use kvfuse_files::{Config, FileStore};
use kvfuse_files_sim::fuzz::{directory, mutate, work, written};
use kvfuse_files_sim::plain::Plain;
use std::path::Path;

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

#[test]
fn a_bucket_whose_roots_log_is_damaged_is_damaged_and_not_empty() {
    let disk = written();
    // A byte of each of its records, of 39 bytes.
    for at in 0..39 {
        let damaged = disk.fork();
        damaged.change("b-bucket/n", |file| file.iter_mut().skip(at).step_by(39).for_each(|byte| *byte ^= 1));
        let store = FileStore::new(Ok(damaged.root(Plain::new(1))), Config::default());
        let bucket = store.open("bucket").expect("opening looks at nothing");
        for result in [bucket.get("key 1").map(drop), bucket.set("key 1", b"new"), bucket.list(None).map(drop)] {
            assert_eq!(result.err().map(|error| error.kind()), Some(Kind::Damaged), "{at}");
        }
    }
}
