//! `kvfuse stat` on a store's files as the fused demo left them, and torn, damaged or made by an attacker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_core::Store;
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::ReadWrite;
use serde_json::{Value, json};
use siphasher::sip::SipHasher13;
use std::path::Path;
use support::{Folder, Ran, built, wasmtime};

/// A folder with a store in `data` that the fused demo made by these commands.
fn stored(commands: &[&[&str]]) -> Folder {
    let folder = Folder::new();
    folder.write("demo.wasm", built("kv_demo.fused.wasm"));
    std::fs::create_dir(folder.path("data")).unwrap();
    commands.iter().for_each(|command| drop(demo(&folder, command)));
    folder
}

fn demo(folder: &Folder, arguments: &[&str]) -> String {
    folder.run(wasmtime().args(["run", "--dir", "data::/", "demo.wasm"]).args(arguments)).ok()
}

/// Sets a value that is too large for a command line, and so for the demo.
fn set_large(folder: &Folder, bucket: &str, key: &str, bytes: usize) {
    let directory = ReadWrite::open(&folder.path("data")).unwrap();
    let store = FileStore::new(Ok(directory), Config::default());
    store.open(bucket).unwrap().set(key, &vec![b'x'; bytes]).unwrap();
}

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{}\n{}", ran.stdout, ran.stderr))
}

/// Everything below a directory, to show that nothing was changed.
fn content(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(content(&path)) } else { out.push((path.clone(), std::fs::read(path).unwrap())) }
    }
    out.sort();
    out
}

#[test]
fn a_store_is_described_bucket_by_bucket_and_nothing_in_it_changes() {
    let folder = stored(&[&["set", "one", "1"], &["set", "one", "2"]]);
    (0..2).for_each(|_| set_large(&folder, "Carts/2026", "large", 150_000));
    let before = content(&folder.path("data"));
    let said = folder.kvfuse(&["stat", "data"]).ok();
    let report = json(folder.kvfuse(&["stat", "data", "--json"]));
    assert_eq!(before, content(&folder.path("data")));

    assert_eq!(report["damaged"], json!(false));
    assert_eq!(report["buckets"].as_array().unwrap().len(), 2);
    let [carts, default] = [&report["buckets"][0], &report["buckets"][1]];
    assert_eq!((&carts["bucket"], &carts["directory"]), (&json!("Carts/2026"), &json!("b-%43arts%2f2026")));
    assert_eq!((&carts["keys"], &carts["value_files"]), (&json!(1), &json!({ "files": 1, "bytes": 150_000 })));
    assert_eq!(carts["leftover_files"], json!({ "files": 1, "bytes": 150_000 }));
    let size = std::fs::metadata(folder.path("data/b-default/s.0")).unwrap().len();
    assert_eq!((&default["bucket"], &default["keys"], &default["bytes"]), (&json!("default"), &json!(1), &json!(size)));
    let number = |name: &str| default[name].as_u64().unwrap();
    assert_eq!(number("live") + number("dead"), size);
    assert!(number("live") > 0 && number("dead") > number("live"), "{default}");
    assert_eq!((number("torn"), number("damaged")), (0, 0));

    assert!(said.contains("bucket \"Carts/2026\"\n  segment "), "{said}");
    assert!(said.contains("  value files              1      150000\n"), "{said}");
    assert!(said.ends_with("\ndata: 2 buckets; no damage found\n"), "{said}");
}

#[test]
fn a_torn_record_is_reported_and_is_not_damage() {
    let folder = stored(&[&["set", "whole", "kept"], &["set", "torn", "its writer dies"]]);
    let segment = folder.path("data/b-default/s.0");
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    let torn = |folder: &Folder| {
        let report = json(folder.kvfuse(&["stat", "data", "--json"]));
        assert_eq!((&report["damaged"], &report["buckets"][0]["damaged"]), (&json!(false), &json!(0)));
        report["buckets"][0]["torn"].as_u64().unwrap()
    };
    let at_the_end = torn(&folder);
    assert!(at_the_end > 20, "{at_the_end}");
    demo(&folder, &["set", "after", "kept too"]);
    assert_eq!(torn(&folder), at_the_end);
    assert_eq!(folder.kvfuse(&["stat", "data"]).code, Some(0));
}

#[test]
fn a_flipped_bit_in_a_record_is_damage_and_the_exit_code_says_so() {
    let folder = stored(&[&["set", "key", "a value"], &["set", "next", "another"]]);
    let mut bytes = folder.read("data/b-default/s.0");
    let at = bytes.windows(7).position(|found| found == b"a value").unwrap();
    bytes[at] ^= 4;
    folder.write("data/b-default/s.0", bytes);
    let ran = folder.kvfuse(&["stat", "data"]);
    assert!(ran.stdout.contains("  damage: the file s.0 has "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("data: one bucket; damaged\n"), "{}", ran.stdout);
    assert_eq!(
        ran.stderr,
        "\
error: this store is damaged
  --> data
   = note: 2 problems, listed under their buckets
   = help: stop everything that uses the store; `kvfuse repair` copies what can be read to a new directory, and lists what cannot
           undamaged pairs can still be read: with the component that wrote them, or with the demo's list and get
"
    );
    assert_eq!(ran.code, Some(4));
}

#[test]
fn missing_and_short_files_are_damage() {
    let folder = stored(&[&["--bucket", "b", "set", "k", "v"]]);
    ["one", "two"].iter().for_each(|key| set_large(&folder, "default", key, 150_000));
    let values = folder.path("data/b-default/v");
    let mut files: Vec<_> = std::fs::read_dir(&values).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::OpenOptions::new().write(true).open(&files[1]).unwrap().set_len(5).unwrap();
    // A segment whose base is damaged, though records are behind it.
    let mut bytes = folder.read("data/b-b/s.0");
    bytes[60] ^= 1;
    folder.write("data/b-b/s.0", bytes);
    let ran = folder.kvfuse(&["stat", "data", "--json"]);
    assert_eq!(ran.code, Some(4));
    let report = json(ran);
    let said = format!("{} {}", report["buckets"][0]["damage"], report["buckets"][1]["damage"]);
    assert!(said.contains("is missing\"") && said.contains("has 5 bytes of 150000"), "{said}");
    assert!(said.contains("the file s.0 has no valid beginning"), "{said}");

    std::fs::remove_file(folder.path("data/b-b/anchor")).unwrap();
    let ran = folder.kvfuse(&["stat", "data"]);
    assert!(ran.stdout.contains("damage: the file anchor is damaged: it is missing"), "{}", ran.stdout);
}

#[cfg(unix)]
#[test]
fn hostile_files_are_reported_and_do_no_harm() {
    use std::os::unix::fs::symlink;
    let folder = stored(&[&["set", "key", "value"]]);
    let data = folder.path("data");
    let anchor = folder.read("data/b-default/anchor");
    let bucket = |name: &str| {
        std::fs::create_dir(data.join(name)).unwrap();
        std::fs::write(data.join(name).join("anchor"), &anchor).unwrap();
        data.join(name)
    };
    let pipe = |path: std::path::PathBuf| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    // Opening it would block forever.
    pipe(bucket("b-pipe").join("s.0"));
    pipe(bucket("b-log").join("n"));
    symlink("/etc/passwd", bucket("b-link").join("s.0")).unwrap();
    symlink("b-default", data.join("b-alias")).unwrap();
    std::fs::create_dir(bucket("b-folder").join("s.0")).unwrap();
    let file = std::fs::File::create(bucket("b-zeros").join("s.0")).unwrap();
    file.set_len(1 << 40).unwrap();
    std::fs::write(bucket("b-noise").join("s.0"), [&anchor[..], &[0xff; 5000]].concat()).unwrap();
    std::fs::write(bucket("b-copies").join("s.0"), folder.read("data/b-default/s.0").repeat(1000)).unwrap();
    std::fs::write(data.join("b-file"), "no directory").unwrap();
    std::fs::write(data.join("notes.txt"), "not the store's").unwrap();

    let ran = folder.kvfuse(&["stat", "data", "--json"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    let report = json(ran);
    assert_eq!(report["foreign"], json!(["notes.txt"]));
    for bucket in report["buckets"].as_array().unwrap() {
        let damage = bucket["damage"].as_array().unwrap().len();
        let whole = matches!(bucket["bucket"].as_str().unwrap(), "default" | "copies");
        assert_eq!(damage == 0, whole, "{bucket}");
    }
}

#[test]
fn a_directory_without_a_store_is_refused_with_what_to_do() {
    let folder = stored(&[&["set", "key", "value"]]);
    let way = "   = help: kvfuse stat takes the directory that was granted: data after `kvfuse run app.wasm`, or after \
               `wasmtime run --dir data::/`\n";
    folder.refuses(&["stat", "nowhere"], 3, &format!("error: there is no such directory\n  --> nowhere\n{way}"));
    folder.refuses(&["stat", "demo.wasm"], 3, &format!("error: this is not a directory\n  --> demo.wasm\n{way}"));
    folder.refuses(
        &["stat", "."],
        1,
        "\
error: there is no store in this directory
  --> .
   = note: it contains no bucket, that is, no directory called b-…; it contains \"data\", among other things
   = help: name the directory that was granted, or the one in it that KEYVALUE_DIR names
",
    );
    folder.refuses(
        &["stat", "data/b-default"],
        1,
        "\
error: there is no store in this directory
  --> data/b-default
   = note: this is one bucket of a store
   = help: name the directory above it
",
    );
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.refuses(
        &["stat", "empty"],
        1,
        "\
error: there is no store in this directory
  --> empty
   = note: it is empty
   = help: a bucket is created by its first write: run the component first
",
    );
}

#[test]
fn a_format_of_the_future_is_refused_with_its_number() {
    let folder = stored(&[&["set", "key", "value"]]);
    // As in docs/files.md.
    let mut anchor = folder.read("data/b-default/anchor")[..32].to_vec();
    anchor[8..10].copy_from_slice(&7u16.to_le_bytes());
    let sum = SipHasher13::new_with_keys(0, 0).hash(&anchor);
    anchor.extend(sum.to_le_bytes());
    folder.write("data/b-default/anchor", anchor);
    folder.refuses(
        &["stat", "data"],
        1,
        "\
error: this version of kvfuse does not know the format of this store
  --> data/b-default
   = note: the bucket was written in format 7 of this store, and this version knows formats 2 to 4; use the version \
that wrote it
   = help: use the version of kvfuse whose provider wrote it
",
    );
}
