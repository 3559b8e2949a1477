//! `kvfuse repair`, `kvfuse upgrade` and `kvfuse stat --verify` on directories of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_core::{Bucket, Store};
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::{Native, ReadWrite};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use support::{Folder, Ran, root};

fn small() -> Config {
    Config { segment: 1000, split: 4000, index: 500, small: 60, blob: 200, ..Config::default() }
}

/// A name that is not in the bucket's directory.
fn long_name() -> String {
    "A name. ".repeat(50)
}

fn open(folder: &Folder, config: Config, name: &str) -> Rc<dyn Bucket> {
    std::fs::create_dir_all(folder.path("data")).unwrap();
    let directory = ReadWrite::open(&folder.path("data")).unwrap();
    FileStore::new(Ok(directory), config).open(name).unwrap()
}

fn fill(bucket: &dyn Bucket, keys: usize) {
    for n in 0..keys {
        bucket.set(&format!("key {n}"), format!("value {n}").as_bytes()).unwrap();
    }
}

fn pairs(path: &Path, name: &str) -> BTreeMap<String, Vec<u8>> {
    let bucket = FileStore::new(Ok(Native::open(path).unwrap()), Config::default()).open(name).unwrap();
    let (mut pairs, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = bucket.list(cursor.as_deref()).unwrap();
        for key in page.keys {
            let value = bucket.get(&key).unwrap().unwrap();
            pairs.insert(key, value);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return pairs;
        }
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

/// Where some bytes are in a file, the last time.
fn find(path: &Path, bytes: &[u8]) -> usize {
    std::fs::read(path).unwrap().windows(bytes.len()).rposition(|found| found == bytes).unwrap()
}

fn only(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[track_caller]
fn report(ran: Ran, code: i32) -> Value {
    assert_eq!(ran.code, Some(code), "{}\n{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_whole_store_is_copied_whole_also_buckets_whose_names_are_not_known() {
    let folder = Folder::new();
    fill(&*open(&folder, small(), "default"), 300);
    let bucket = open(&folder, Config::default(), &long_name());
    bucket.set("large", &[7; 200_000]).unwrap();
    bucket.set(&"far".repeat(3000), b"of a far key").unwrap();
    assert_eq!(bucket.increment("counter", 5, 0), Ok(5));
    let said = folder.kvfuse(&["repair", "data", "--to", "copy"]).ok();
    assert!(said.starts_with("bucket \"default\": 300 keys copied, 2590 bytes\nbucket h-"), "{said}");
    assert!(said.ends_with("\ndata: 303 keys copied to copy; everything could be read\n"), "{said}");
    for name in ["default", &long_name()] {
        assert_eq!(pairs(&folder.path("data"), name), pairs(&folder.path("copy"), name));
    }
    assert_eq!(folder.names(), ["copy", "data"]);
    // The copy is a store like any other.
    assert_eq!(folder.kvfuse(&["stat", "copy", "--verify"]).code, Some(0));
    // An empty directory may be there.
    std::fs::create_dir(folder.path("empty")).unwrap();
    let report = report(folder.kvfuse(&["repair", "data", "--to", "empty", "--json"]), 0);
    assert_eq!((&report["whole"], &report["to"]), (&json!(true), &json!("empty")));
    assert_eq!(report["buckets"][1]["bucket"], Value::Null);
    assert_eq!(report["buckets"][1]["keys"], json!(3));
}

#[test]
fn of_a_store_with_every_kind_of_damage_exactly_what_can_be_read_is_copied() {
    let folder = Folder::new();
    let bucket = |name: &str, config| open(&folder, config, name);
    let path = |name: &str, file: &str| folder.path(&format!("data/b-{name}/{file}"));
    // One copy of the anchor is enough, and without any nothing can be read.
    for name in ["anchor", "anchorless"] {
        fill(&*bucket(name, Config::default()), 10);
    }
    flip(&path("anchor", "anchor"), 20);
    std::fs::write(path("anchorless", "anchor"), [0; 120]).unwrap();
    // A record: its key is lost, and what came before it is in doubt.
    let record = bucket("record", Config::default());
    fill(&*record, 5);
    record.set("damaged", b"in its record").unwrap();
    record.set("behind it", b"certain").unwrap();
    flip(&path("record", "s.0"), find(&path("record", "s.0"), b"in its record"));
    // A value outside its record: only it.
    let blob = bucket("blob", Config::default());
    fill(&*blob, 5);
    blob.set("blob", &[b'b'; 10_000]).unwrap();
    flip(&path("blob", "s.0"), find(&path("blob", "s.0"), &[b'b'; 5000]));
    // A value file.
    let file = bucket("file", Config::default());
    file.set("file", &[b'f'; 150_000]).unwrap();
    file.set("other", b"kept").unwrap();
    flip(&only(&path("file", "v")), 77);
    // A page of a base.
    let page = bucket("page", Config { segment: 30_000, ..Config::default() });
    fill(&*page, 2000);
    let segment = only_segment(&path("page", ""));
    flip(&segment, std::fs::read(&segment).unwrap().windows(6).position(|found| found == b"value ").unwrap());
    // The log that says which segment counts.
    fill(&*bucket("log", Config { segment: 3000, ..Config::default() }), 200);
    std::fs::write(path("log", "n"), [7; 300]).unwrap();

    let ran = folder.kvfuse(&["stat", "data", "--verify"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stdout);
    let before = folder.read("data/b-page/anchor");
    let report = report(folder.kvfuse(&["repair", "data", "--to", "copy", "--json"]), 4);
    assert_eq!(folder.read("data/b-page/anchor"), before);
    let entry = |name: &str| {
        report["buckets"].as_array().unwrap().iter().find(|entry| entry["bucket"] == json!(name)).unwrap().clone()
    };
    let copied = |name: &str| pairs(&folder.path("copy"), name);
    let doubt = ["key 0", "key 1", "key 2", "key 3", "key 4"];

    assert_eq!((copied("anchor").len(), &entry("anchor")["damage"]), (10, &json!([])));
    assert_eq!((copied("anchorless").len(), &entry("anchorless")["unreadable"]), (0, &json!([[0.0, 1.0]])));
    assert_eq!((copied("record").len(), &entry("record")["uncertain"]), (6, &json!(doubt)));
    assert_eq!((copied("blob").len(), &entry("blob")["uncertain"]), (5, &json!([])));
    assert_eq!(entry("blob")["lost"][0]["key"], json!("blob"));
    assert_eq!((copied("file").len(), &entry("file")["lost"][0]["key"]), (1, &json!("file")));
    let pages = entry("page");
    assert_eq!(pages["unreadable"].as_array().unwrap().len(), 1, "{pages}");
    let keys = copied("page").len();
    assert!((1800..2000).contains(&keys) && pages["keys"] == json!(keys), "{keys} {pages}");
    assert!(copied("page").iter().all(|(key, value)| key.replace("key", "value").as_bytes() == value));
    assert_eq!((copied("log").len(), &entry("log")["uncertain"]), (200, &json!([])));
    assert_eq!(report["whole"], json!(false));
    assert_eq!(folder.kvfuse(&["stat", "copy", "--verify"]).code, Some(0));

    let said = folder.kvfuse(&["repair", "data", "--to", "again"]).stdout;
    assert!(said.contains("bucket \"file\": one key copied, 4 bytes\n  lost: \"file\": the value file v/"), "{said}");
    assert!(said.contains("  unreadable: 100.00 % of the key space, from 0.00 % on\n"), "{said}");
    assert!(said.contains("  uncertain: \"key 4\"\n"), "{said}");
    assert!(said.ends_with("is damaged; not everything could be read\n"), "{said}");
}

fn only_segment(bucket: &Path) -> PathBuf {
    let segments = std::fs::read_dir(bucket).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        segments.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('s')).collect();
    assert_eq!(segments.len(), 1);
    segments.remove(0)
}

#[test]
fn a_copy_is_refused_where_it_could_harm_something() {
    let folder = Folder::new();
    fill(&*open(&folder, Config::default(), "default"), 3);
    std::fs::create_dir(folder.path("used")).unwrap();
    folder.write("used/file", "there").write("file", "there");
    let way = "   = help: name a new directory: the copy is never made in place\n";
    let place = |to: &str, what: &str| format!("error: {what}\n  --> {to}\n{way}");
    let refuses = |to: &str, what: &str| folder.refuses(&["repair", "data", "--to", to], 1, &place(to, what));
    refuses("used", "this directory is not empty");
    refuses("data", "this directory is not empty");
    refuses("file", "this is not a directory");
    refuses("data/copy", "this directory is inside the one that is to be repaired");
    refuses("used/../data/b-default/copy", "this directory is inside the one that is to be repaired");
    assert_eq!(folder.kvfuse(&["repair", "data", "--to", "nowhere/copy"]).code, Some(3));
    assert_eq!(folder.kvfuse(&["repair", "data"]).code, Some(2));
    assert_eq!(folder.kvfuse(&["repair", "nowhere", "--to", "copy"]).code, Some(3));
    let ran = folder.kvfuse(&["repair", "used", "--to", "copy"]);
    assert!(ran.stderr.starts_with("error: there is no store in this directory\n  --> used\n"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(1));
    // What an interrupted repair left is not taken for a copy.
    std::fs::create_dir(folder.path("copy.partial")).unwrap();
    folder.refuses(
        &["repair", "data", "--to", "copy"],
        1,
        "\
error: another repair is running here, or one was interrupted
  --> copy.partial
   = help: if none is running, remove this directory
",
    );
    assert_eq!(folder.names(), ["copy.partial", "data", "file", "used"]);
}

/// The golden directory of format 2 as `data`.
fn golden() -> Folder {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                std::fs::copy(&from, &to).unwrap();
            }
        }
    }
    let folder = Folder::new();
    copy(&root().join("provider/stores/files/golden/format-2/store"), &folder.path("data"));
    folder
}

#[test]
fn an_upgrade_says_what_it_did_and_to_do_nothing_is_a_success() {
    let folder = golden();
    let before = pairs(&folder.path("data"), "split");
    let said = folder.kvfuse(&["upgrade", "data"]).ok();
    assert!(said.contains("bucket \"default\": one segment upgraded, ") && said.contains("bucket h-"), "{said}");
    assert!(!said.contains("only an anchor") && said.ends_with("\ndata: upgraded\n"), "{said}");
    assert_eq!(pairs(&folder.path("data"), "split"), before);
    assert_eq!(folder.kvfuse(&["upgrade", "data"]).ok(), "data: nothing to upgrade\n");
    let again = report(folder.kvfuse(&["upgrade", "data", "--json"]), 0);
    assert!(again["buckets"].as_array().unwrap().iter().all(|bucket| bucket["upgraded"] == json!(0)), "{again}");
    assert_eq!(folder.kvfuse(&["stat", "data", "--verify"]).code, Some(0));
}

#[test]
fn an_upgrade_of_what_is_no_store_is_refused() {
    let folder = Folder::new();
    let way = "   = help: kvfuse upgrade takes the directory that was granted: data after `kvfuse run app.wasm`, or after \
               `wasmtime run --dir data::/`\n";
    folder.refuses(&["upgrade", "nowhere"], 3, &format!("error: there is no such directory\n  --> nowhere\n{way}"));
    std::fs::create_dir(folder.path("empty")).unwrap();
    let ran = folder.kvfuse(&["upgrade", "empty"]);
    assert!(ran.stderr.contains("there is no store in this directory"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn stat_reads_value_files_only_when_asked_to_verify_them() {
    let folder = Folder::new();
    let bucket = open(&folder, Config::default(), "default");
    bucket.set("file", &[b'f'; 150_000]).unwrap();
    bucket.set(&"far".repeat(3000), b"of a far key").unwrap();
    let entry = |ran, code| report(ran, code)["buckets"][0].clone();
    let whole = entry(folder.kvfuse(&["stat", "data", "--verify", "--json"]), 0);
    assert_eq!(whole["verified_files"], json!({ "files": 2, "bytes": 159_000 }));
    assert_eq!(whole["unverified_files"], json!({ "files": 0, "bytes": 0 }));
    let said = folder.kvfuse(&["stat", "data", "--verify"]).ok();
    assert!(said.contains("    verified               2      159000\n"), "{said}");
    let files: Vec<_> =
        std::fs::read_dir(folder.path("data/b-default/v")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for file in files {
        flip(&file, 100);
        assert_eq!(entry(folder.kvfuse(&["stat", "data", "--json"]), 0)["verified_files"], Value::Null);
        let damaged = entry(folder.kvfuse(&["stat", "data", "--verify", "--json"]), 4);
        assert_eq!(damaged["damage"].as_array().unwrap().len(), 1, "{damaged}");
        assert_eq!(damaged["verified_files"]["files"], json!(1));
        flip(&file, 100);
    }
}
