//! `kvfuse copy`, `kvfuse dump` and `kvfuse load`, killed and run again.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::process::wait_until;
use kvfuse_servers::redis::Redis;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use support::data::{bucket, has, many, set, start};
use support::{Folder, Ran};

#[track_caller]
fn says(ran: &Ran, code: i32, text: &str) {
    assert_eq!(ran.code, Some(code), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(text) || ran.stdout.contains(text), "{}\n{}", ran.stdout, ran.stderr);
}

/// Kills it, which it must not have ended before.
#[track_caller]
fn kill(mut child: Child) {
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended before it was killed");
}

/// Runs it again and again, and kills it at once, and then each time that it has got further by a step, until it ends by itself. It has
/// to be killed so often.
#[track_caller]
fn killed_again_and_again(folder: &Folder, arguments: &[&str], done: impl Fn() -> u64, step: u64, least: u64) {
    let mut kills = 0;
    let mut goal = 0;
    loop {
        let mut child = start(folder, arguments, Stdio::null());
        let mut ended = None;
        wait_until("it gets further", || {
            ended = child.try_wait().unwrap();
            ended.is_some() || done() >= goal
        });
        if let Some(status) = ended {
            assert!(status.success(), "{status} after {kills} kills");
            assert!(kills >= least, "it was killed only {kills} times");
            return;
        }
        child.kill().unwrap();
        kills += u64::from(child.wait().unwrap().signal() == Some(9));
        // The steps grow, because the store may need more than one of them to get anything done.
        goal = done() + step * (1 + kills / least);
    }
}

fn size(redis: &Redis) -> u64 {
    redis.command(&["DBSIZE"]).trim_start_matches(':').parse().unwrap()
}

/// The bytes of all files in a folder, or of a file.
fn bytes(path: &Path) -> u64 {
    let Ok(about) = std::fs::metadata(path) else { return 0 };
    match std::fs::read_dir(path) {
        Ok(inside) => inside.filter_map(|entry| Some(bytes(&entry.ok()?.path()))).sum(),
        Err(_) => about.len(),
    }
}

#[test]
fn a_copy_that_is_killed_again_and_again_misses_nothing_in_the_end() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    let pairs = many(20_000);
    set(&*bucket(&folder, "data", "default"), &pairs);
    let copy = ["copy", "--from", "files:data", "--to", &redis.url()];
    killed_again_and_again(&folder, &copy, || size(&redis), 2000, 5);
    assert_eq!(size(&redis), 20_000);
    for (key, value) in pairs.iter().step_by(97) {
        assert_eq!(redis.command(&["GET", &format!("default:{key}")]).as_bytes(), value);
    }
    folder.kvfuse(&[&copy[..], &["--verify"]].concat()).ok();
}

#[test]
fn a_dump_and_a_load_that_are_killed_again_and_again_go_on_and_miss_nothing_in_the_end() {
    let folder = Folder::new();
    let pairs = many(20_000);
    for name in ["a", "b"] {
        set(&*bucket(&folder, "data", name), &pairs);
    }
    let written = || bytes(&folder.path("d.partial"));
    killed_again_and_again(&folder, &["dump", "d", "--resume"], written, 300_000, 5);
    // Into files, which are as they were left by the one that was killed.
    let load = ["load", "d", "--store", "files:loaded", "--progress", "position"];
    let written = || bytes(&folder.path("loaded"));
    killed_again_and_again(&folder, &load, written, 500_000, 5);
    for name in ["a", "b"] {
        has(&*bucket(&folder, "loaded", name), &pairs);
    }
    says(&folder.kvfuse(&["stat", "loaded", "--verify"]), 0, "no damage found");
    says(&folder.kvfuse(&["load", "d", "--store", "files:loaded", "--verify"]), 0, "verified: 40000 keys");
}

#[test]
fn a_dump_that_is_killed_is_not_taken_for_a_whole_one_and_keeps_what_it_has() {
    let folder = Folder::new();
    for name in ["a", "b"] {
        set(&*bucket(&folder, "data", name), &many(40_000));
    }
    let child = start(&folder, &["dump", "d"], Stdio::null());
    wait_until("it has dumped some", || bytes(&folder.path("d.partial")) >= 1_500_000);
    kill(child);
    assert!(!folder.path("d").exists());
    for again in [&["dump", "d"][..], &["dump", "d", "--dry-run"]] {
        says(&folder.kvfuse(again), 3, "--resume goes on with it");
    }
    says(&folder.kvfuse(&["load", "d.partial", "--store", "files:x"]), 4, "this dump is cut off");
    let kept = folder.read("d.partial");
    folder.kvfuse(&["dump", "d", "--resume", "--verify"]).ok();
    assert!(!folder.path("d.partial").exists());
    assert_eq!(folder.read("d")[..1_000_000], kept[..1_000_000]);
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
    let mut child = start(&folder, &["load", "-", "--store", &url, "--progress", "position"], Stdio::null());
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
