//! `kvfuse copy`, `kvfuse dump` and `kvfuse load`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_core::{Bucket, Store};
use kvfuse_files::{Config, FileStore};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::redis::Redis;
use kvfuse_transport::files::native::ReadWrite;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use support::{Folder, Ran};

type Pair = (String, Vec<u8>);

/// A bucket of a files store, natively: what the tests compare with.
fn bucket(folder: &Folder, directory: &str, name: &str) -> Rc<dyn Bucket> {
    std::fs::create_dir_all(folder.path(directory)).unwrap();
    FileStore::new(Ok(ReadWrite::open(&folder.path(directory)).unwrap()), Config::default()).open(name).unwrap()
}

fn set(bucket: &dyn Bucket, pairs: &[Pair]) {
    for pairs in pairs.chunks(1000) {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        bucket.set_many(&pairs).unwrap();
    }
}

/// Keys and values of all sorts.
fn strange() -> Vec<Pair> {
    let mut pairs: Vec<Pair> = vec![
        (String::new(), b"of the empty key".to_vec()),
        ("empty".into(), Vec::new()),
        ("line\nfeed\0zero\x1b[31m".into(), b"\xff\0\xfe\n".to_vec()),
        ("\u{10ffff}ü".into(), (0..=255).collect()),
        ("far".repeat(3000), b"of a key of 9000 bytes".to_vec()),
        ("counter".into(), b"-42".to_vec()),
    ];
    pairs.extend((0..3).map(|n| (format!("large {n}"), vec![n; 400_000])));
    pairs.extend((0..3000).map(|n| (format!("key {n}"), format!("value {n}").into_bytes())));
    pairs
}

fn many(count: usize) -> Vec<Pair> {
    (0..count).map(|n| (format!("key {n}"), format!("{n:0100}").into_bytes())).collect()
}

#[track_caller]
fn has(bucket: &dyn Bucket, pairs: &[Pair]) {
    for (key, value) in pairs {
        assert!(bucket.get(key).unwrap().as_ref() == Some(value), "{key:?}");
    }
}

#[track_caller]
fn says(ran: &Ran, code: i32, text: &str) {
    assert_eq!(ran.code, Some(code), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(text) || ran.stdout.contains(text), "{}\n{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains('\x1b') && !ran.stdout.contains('\x1b'), "{}", ran.stderr);
}

fn start(folder: &Folder, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kvfuse"))
        .args(arguments)
        .current_dir(folder.path(""))
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills it, which it must not have ended before.
#[track_caller]
fn kill(mut child: Child) {
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended before it was killed");
}

fn size(redis: &Redis) -> u64 {
    redis.command(&["DBSIZE"]).trim_start_matches(':').parse().unwrap()
}

/// From files to a store, and from there to other files.
fn there_and_back(store: &str) {
    let folder = Folder::new();
    for name in ["default", "x:/%ü"] {
        set(&*bucket(&folder, "data", name), &strange());
    }
    let there = folder.kvfuse(&["copy", "--from", "files:data", "--to", store, "--verify"]);
    says(&there, 0, "bucket \"x:/%ü\": 3009 keys copied to ");
    says(&there, 0, "verified: 6018 keys are the same in ");
    // That store does not know its buckets.
    says(&folder.kvfuse(&["copy", "--from", store, "--to", "files:back"]), 1, "does not know its buckets");
    let named = ["--bucket", "default", "--bucket", "x:/%ü"];
    folder.kvfuse(&[&["copy", "--from", store, "--to", "files:back"][..], &named].concat()).ok();
    folder.kvfuse(&[&["dump", "--store", store, "all.dump", "--verify"][..], &named].concat()).ok();
    folder.kvfuse(&["load", "--store", "files:loaded", "all.dump", "--verify"]).ok();
    for directory in ["back", "loaded"] {
        for name in ["default", "x:/%ü"] {
            has(&*bucket(&folder, directory, name), &strange());
        }
    }
    assert_eq!(folder.kvfuse(&["kv", "incr", "counter", "--store", store]).ok(), "-41\n");
}

#[test]
fn what_is_copied_to_redis_and_back_is_the_same() {
    let redis = Redis::start(&[]);
    there_and_back(&redis.url());
}

#[test]
fn what_is_copied_to_etcd_and_back_is_the_same() {
    let etcd = Etcd::start(1, &[]);
    there_and_back(&format!("etcd:{}", etcd.endpoints()));
}

#[test]
fn a_copy_that_is_killed_and_run_again_misses_nothing() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    let pairs = many(40_000);
    set(&*bucket(&folder, "data", "default"), &pairs);
    let (url, arguments) = (redis.url(), ["copy", "--from", "files:data", "--to"]);
    for above in [0, 2000, 10_000] {
        let child = start(&folder, &[&arguments[..], &[&url]].concat());
        if above > 0 {
            redis.command(&["FLUSHALL"]);
            wait_until("it has copied some", || size(&redis) > above);
        }
        kill(child);
        assert!(size(&redis) < 40_000);
    }
    folder.kvfuse(&[&arguments[..], &[&url, "--verify"]].concat()).ok();
    assert_eq!(size(&redis), 40_000);
    for (key, value) in pairs.iter().step_by(997) {
        assert_eq!(redis.command(&["GET", &format!("default:{key}")]).as_bytes(), value);
    }
}

#[test]
fn verifying_finds_what_differs() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    // With this layout, all buckets are one.
    for (name, pairs) in [("a", many(700)), ("b", vec![("key 5".into(), b"short".to_vec())])] {
        set(&*bucket(&folder, "data", name), &pairs);
    }
    let url = redis.url();
    let copy = ["copy", "--from", "files:data", "--to", &url, "--verify", "--to-env"];
    let ran = folder.kvfuse(&[&copy[..], &["KEYVALUE_REDIS_LAYOUT=raw"]].concat());
    says(&ran, 4, "bucket \"a\": key \"key 5\": a value of 5 bytes, not the one of 100 bytes\n");
    says(&ran, 4, "of 701 keys, 1 are not the same in redis at 127.0.0.1:");
    says(
        &folder.kvfuse(&[&copy[..], &["KEYVALUE_REDIS_LAYOUT=prefix"]].concat()),
        0,
        "verified: 701 keys are the same",
    );
}

#[test]
fn a_copy_leaves_other_keys_and_a_refused_one_says_that_it_is_not_whole() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    set(&*bucket(&folder, "data", "default"), &many(700));
    redis.command(&["SET", "default:other", "stays"]);
    folder.kvfuse(&["copy", "--from", "files:data", "--to", &redis.url()]).ok();
    assert_eq!((redis.command(&["GET", "default:other"]).as_str(), size(&redis)), ("stays", 701));
    redis.command(&["ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@read", "+@connection"]);
    let reader = format!("redis://reader:any@127.0.0.1:{}", redis.port());
    let refused = folder.kvfuse(&["copy", "--from", "files:data", "--to", &reader]);
    says(&refused, 1, "not everything was copied");
    says(&refused, 1, "access is denied");
}

#[test]
fn a_dry_run_names_what_the_target_would_not_take_and_writes_nothing() {
    let folder = Folder::new();
    let etcd = Etcd::start(1, &[]);
    let source = bucket(&folder, "data", "default");
    set(&*source, &[("fits".into(), vec![1; 1_400_000]), ("small".into(), b"1".to_vec())]);
    let to = format!("etcd:{}", etcd.endpoints());
    let copy = |more: &[&str]| folder.kvfuse(&[&["copy", "--from", "files:data", "--to", &to], more].concat());
    says(&copy(&["--dry-run"]), 0, "would not take: 0 keys");
    set(&*source, &[("large".into(), vec![1; 1_600_000]), ("larger".into(), vec![1; 3_000_000])]);
    let revision = etcd.revision();
    let dry = copy(&["--dry-run"]);
    says(&dry, 4, "would not take: 2 keys");
    assert!(
        dry.stdout.contains("key \"large\": 1600000 bytes") && dry.stdout.contains("key \"larger\""),
        "{}",
        dry.stdout
    );
    assert!(!dry.stdout.contains("\"fits\"") && !dry.stdout.contains("\"small\""), "{}", dry.stdout);
    assert_eq!(etcd.revision(), revision);
    // It is as it was said.
    says(&copy(&[]), 1, "the key \"large");
    source.delete("large").unwrap();
    source.delete("larger").unwrap();
    copy(&["--verify"]).ok();
    // The limit of the settings, and a dump.
    folder.kvfuse(&["dump", "d"]).ok();
    let dry = folder.kvfuse(&["load", "d", "--store", "files:new", "--env", "KEYVALUE_MAX_VALUE=1M", "--dry-run"]);
    says(&dry, 4, "key \"fits\": a value of 1400000 bytes is larger than the limit of 1048576 bytes");
    assert!(!folder.path("new").exists());
}

#[test]
fn a_dump_that_is_killed_goes_on_where_it_was() {
    let folder = Folder::new();
    let pairs = many(40_000);
    for name in ["a", "b"] {
        set(&*bucket(&folder, "data", name), &pairs);
    }
    let grown = |size: u64| std::fs::metadata(folder.path("d.partial")).is_ok_and(|file| file.len() >= size);
    let child = start(&folder, &["dump", "d"]);
    wait_until("it has dumped some", || grown(1_500_000));
    kill(child);
    assert!(!folder.path("d").exists());
    says(&folder.kvfuse(&["dump", "d"]), 3, "--resume goes on with it");
    says(&folder.kvfuse(&["load", "d.partial", "--store", "files:x"]), 4, "this dump is cut off");
    let kept = folder.read("d.partial");
    let second = start(&folder, &["dump", "d", "--resume"]);
    wait_until("it goes on", || grown(6_000_000));
    kill(second);
    assert_eq!(folder.read("d.partial")[..1_000_000], kept[..1_000_000]);
    folder.kvfuse(&["dump", "d", "--resume", "--verify"]).ok();
    assert!(!folder.path("d.partial").exists());
    assert_eq!(folder.read("d")[..1_000_000], kept[..1_000_000]);
    folder.kvfuse(&["load", "d", "--store", "files:loaded"]).ok();
    for name in ["a", "b"] {
        has(&*bucket(&folder, "loaded", name), &pairs);
    }
}

#[test]
fn a_load_that_is_killed_goes_on_where_it_was() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    let pairs = many(20_000);
    set(&*bucket(&folder, "data", "default"), &pairs);
    folder.kvfuse(&["dump", "d"]).ok();
    let dump = folder.read("d");
    let url = redis.url();
    let mut child = start(&folder, &["load", "-", "--store", &url, "--progress", "position"]);
    // Half of the dump, and the rest never comes.
    child.stdin.as_mut().unwrap().write_all(&dump[..dump.len() / 2]).unwrap();
    wait_until("all that came is loaded", || size(&redis) >= 9_000 && folder.path("position").exists());
    kill(child);
    // What was loaded is not loaded again.
    let early = (0..20_000).find(|n| redis.command(&["EXISTS", &format!("default:key {n}")]) == ":1").unwrap();
    redis.command(&["DEL", &format!("default:key {early}")]);
    let load = |file: &str, more: &[&str]| {
        folder.kvfuse(&[&["load", file, "--store", &url, "--progress", "position"], more].concat())
    };
    // The position is of this dump and of this store.
    set(&*bucket(&folder, "data2", "default"), &many(20_001));
    folder.kvfuse(&["dump", "other", "--store", "files:data2"]).ok();
    says(&load("other", &[]), 1, "the file of --progress is about another dump");
    let elsewhere = folder.kvfuse(&["load", "d", "--store", "files:x", "--progress", "position"]);
    says(&elsewhere, 1, "into another store");
    let verified = load("d", &["--verify"]);
    says(&verified, 4, &format!("key \"key {early}\": missing"));
    assert_eq!(size(&redis), 19_999);
    assert!(!folder.path("position").exists());
    folder.kvfuse(&["load", "d", "--store", &url, "--verify"]).ok();
    assert_eq!(size(&redis), 20_000);
}

#[test]
fn a_dump_that_is_cut_or_changed_is_refused_with_the_place() {
    let folder = Folder::new();
    set(&*bucket(&folder, "data", "default"), &many(3000));
    folder.kvfuse(&["dump", "d"]).ok();
    let dump = folder.read("d");
    let load = |bytes: &[u8]| {
        folder.write("bad", bytes);
        folder.kvfuse(&["load", "bad", "--store", "files:x"])
    };
    says(&load(&dump[..dump.len() - 1]), 4, "this dump is cut off\n  --> bad: block ");
    says(&load(&dump[..dump.len() - 80]), 4, "this dump is cut off");
    // Exactly before the last block, of which nothing is there.
    says(&load(&dump[..dump.len() - 64]), 4, "the end of the dump is missing");
    let mut flipped = dump.clone();
    flipped[200] ^= 4;
    says(&load(&flipped), 4, "this dump is damaged\n  --> bad: block 1, at byte 71\n");
    says(&load(&[&dump[..], b"\n"].concat()), 4, "something follows the end");
    says(&load(b"{}"), 1, "this is not a dump of kvfuse");
    let mut later = dump.clone();
    later[11] = 2;
    says(&load(&later), 1, "does not know the format");
    says(&folder.kvfuse(&["load", "nowhere"]), 3, "nowhere");
    says(&folder.kvfuse(&["load", "d", "--bucket", "sessions", "--store", "files:y"]), 1, "has no bucket \"sessions\"");
    says(&load(&dump), 0, "3000 keys loaded");
}

#[test]
fn a_dump_passes_through_a_pipe() {
    let folder = Folder::new();
    set(&*bucket(&folder, "data", "default"), &strange());
    let kvfuse = env!("CARGO_BIN_EXE_kvfuse");
    let line = format!("set -o pipefail; '{kvfuse}' dump - | '{kvfuse}' load - --store files:copy");
    let ran = folder.run(Command::new("bash").args(["-c", &line]));
    says(&ran, 0, "bucket \"default\": 3009 keys loaded into files:copy");
    says(&ran, 0, "bucket \"default\": 3009 keys dumped");
    has(&*bucket(&folder, "copy", "default"), &strange());
}

/// The most memory that a process has had, in bytes.
#[cfg(target_os = "linux")]
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[cfg(target_os = "linux")]
#[test]
fn moving_takes_the_memory_of_a_few_batches() {
    let folder = Folder::new();
    let source = bucket(&folder, "data", "default");
    let size: u64 = 300 << 20;
    // Small ones first, so that batches have as many keys as they ever do.
    set(&*source, &many(2000));
    for n in 0..size >> 17 {
        source.set(&format!("large {n}"), &vec![n as u8; 128 << 10]).unwrap();
    }
    // Compiling the provider takes more.
    folder.kvfuse(&["kv", "get", "key 1"]).ok();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kvfuse"))
        .args(["dump", "-"])
        .current_dir(folder.path(""))
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    // All but what a pipe holds, so that it still runs.
    let read = std::io::copy(&mut out.by_ref().take(size), &mut std::io::sink()).unwrap();
    let peak = peak(&child);
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(read == size && peak < size * 2 / 3, "{peak} bytes");
}

#[test]
fn what_cannot_be_moved_is_refused() {
    let folder = Folder::new();
    let copy = |from: &str, to: &str| folder.kvfuse(&["copy", "--from", from, "--to", to]);
    says(&copy("files:nowhere", "files:x"), 3, "there is no such directory");
    std::fs::create_dir(folder.path("empty")).unwrap();
    says(&copy("files:empty", "files:x"), 1, "there is no bucket in this store");
    set(&*bucket(&folder, "data", "default"), &many(1));
    says(&copy("files:data", "files:./data"), 1, "this is the store that is copied from");
    says(&copy("redis://h:1/2", "redis://h:1/2"), 1, "this is the store that is copied from");
    says(&copy("files:data", "tape"), 1, "there is no store called \"tape\"");
    says(&copy("files:data", "redis://127.0.0.1:1"), 1, "cannot be reached");
    says(&folder.kvfuse(&["copy", "--from", "files"]), 2, "--to");
    says(&folder.kvfuse(&["load", "-", "--verify"]), 1, "cannot be read twice");
    set(&*bucket(&folder, "data", &"long".repeat(50)), &many(1));
    says(&copy("files:data", "files:x"), 1, "the name of a bucket is not known");
}
