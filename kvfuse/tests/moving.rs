//! `kvfuse copy`, `kvfuse dump` and `kvfuse load`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use std::io::Read;
use std::process::{Command, Stdio};
use support::data::{Pair, bucket, has, many, set};
use support::{Folder, Ran};

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

#[track_caller]
fn says(ran: &Ran, code: i32, text: &str) {
    assert_eq!(ran.code, Some(code), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(text) || ran.stdout.contains(text), "{}\n{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains('\x1b') && !ran.stdout.contains('\x1b'), "{}", ran.stderr);
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
    // S3 takes as large a value, and no such key.
    let long = "k".repeat(1100);
    set(&*source, &[(long.clone(), b"1".to_vec())]);
    let access = ["--to-env", "AWS_ACCESS_KEY_ID=a", "--to-env", "AWS_SECRET_ACCESS_KEY=b"];
    let s3 = ["copy", "--from", "files:data", "--to", "s3:http://127.0.0.1:1/bucket", "--dry-run"];
    says(&folder.kvfuse(&[&s3[..], &access].concat()), 4, "1100 bytes are more than the store takes as a key");
    source.delete(&long).unwrap();
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
fn a_dry_run_of_a_dump_or_a_load_says_what_would_be_kept_and_what_would_not_and_writes_nothing() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    let url = redis.url();
    for words in [&["SET", "default:lasting", "1"][..], &["SET", "default:ending", "22", "EX", "1000"]] {
        redis.command(words);
    }
    redis.command(&["SET", "default:large", &"x".repeat(5000)]);
    let dump = |more: &[&str]| folder.kvfuse(&[&["dump", "d", "--store", &url, "--bucket", "default"], more].concat());
    let dry = dump(&["--dry-run"]).ok();
    assert_eq!(
        dry,
        "bucket \"default\": 3 keys read, 5003 bytes\nwith lifetimes, which are kept: one key\nd would not take: 0 keys\n"
    );
    assert_eq!(folder.names(), Vec::<String>::new());
    dump(&[]).ok();
    let to = ["load", "d", "--store", "files:new", "--env", "KEYVALUE_MAX_VALUE=4K", "--dry-run"];
    let dry = folder.kvfuse(&to);
    says(&dry, 4, "files:new would not take: one key");
    says(&dry, 4, "with lifetimes, which are kept: one key");
    says(&dry, 4, "key \"large\": a value of 5000 bytes is larger than the limit of 4096 bytes");
    assert!(!dry.stdout.contains("lasting") && folder.names() == ["d"], "{}", dry.stdout);
    // Where all fit, nothing is wrong with them.
    let before = redis.statistic("total_net_input_bytes");
    says(&folder.kvfuse(&["load", "d", "--store", &url, "--dry-run"]), 0, "with lifetimes, which are kept: one key");
    assert!(redis.statistic("total_net_input_bytes") - before < 5000, "no value is sent");

    says(&dump(&["--dry-run", "--resume"]), 2, "cannot be used with");
    says(
        &folder.kvfuse(&["dump", "no/d", "--store", &url, "--bucket", "default", "--dry-run"]),
        3,
        "no such directory",
    );
    // A value that cannot be read is reported before half a dump is written.
    set(&*bucket(&folder, "data", "default"), &[("lost".into(), vec![1; 300_000])]);
    std::fs::remove_dir_all(folder.path("data/b-default/v")).unwrap();
    says(&folder.kvfuse(&["dump", "lost", "--dry-run"]), 1, "the value of the key \"lost\" cannot be read");
    assert_eq!(folder.names(), ["d", "data"]);
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
    let mut child = support::data::start(&folder, &["dump", "-"], Stdio::piped());
    let mut out = child.stdout.take().unwrap();
    // All but what a pipe holds, so that it still runs.
    let read = std::io::copy(&mut out.by_ref().take(size), &mut std::io::sink()).unwrap();
    let peak = support::data::peak(&child);
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
