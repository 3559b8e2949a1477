//! `kvfuse copy --follow`, and lifetimes in copies and dumps.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::Folder;
use support::data::bucket;

const PATIENCE: Duration = Duration::from_secs(120);

#[track_caller]
fn until(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "it never happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Following(Child);

impl Following {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
        command.arg("copy").args(arguments).arg("--follow").current_dir(folder.path(""));
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Ctrl-C, and what it says then.
    fn end(mut self) -> (Option<i32>, String, String) {
        assert!(Command::new("kill").args(["-s", "INT", &self.0.id().to_string()]).status().unwrap().success());
        let status = self.0.wait().unwrap();
        let read = |from: Option<&mut dyn std::io::Read>| {
            let mut text = String::new();
            from.unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let (out, err) =
            (read(self.0.stdout.as_mut().map(|out| out as _)), read(self.0.stderr.as_mut().map(|err| err as _)));
        (status.code(), out, err)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn what_an_app_writes_during_the_copy_and_after_it_arrives_deletions_included() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    let source = bucket(&folder, "data", "default");
    for n in 0..5000 {
        source.set(&format!("key {n}"), b"old").unwrap();
    }
    let following = Following::start(&folder, &["--from", "files:data", "--to", &redis.url()]);
    let get = |key: &str| redis.command(&["GET", &format!("default:{key}")]);
    // Written while it may be copying.
    let mut round = 0;
    until(|| {
        round += 1;
        for n in 0..50 {
            source.set(&format!("key {n}"), format!("new {round}").as_bytes()).unwrap();
        }
        get("key 4999") == "old"
    });
    source.delete("key 1").unwrap();
    source.increment("counter", 7, 0).unwrap();
    source.set("last", b"1").unwrap();
    until(|| get("last") == "1" && get("counter") == "7");
    for n in 2..50 {
        assert_eq!(get(&format!("key {n}")), format!("new {round}"), "{n}");
    }
    assert_eq!(redis.command(&["EXISTS", "default:key 1"]).trim_start_matches(':').trim(), "0");
    let (code, out, err) = following.end();
    assert_eq!(code, Some(0), "{err}");
    // The deleted key may have been listed before.
    let copied = ["5000 keys copied", "4999 keys copied"].iter().any(|copied| out.contains(copied));
    assert!(copied && out.contains("changes followed"), "{out}\n{err}");
    assert!(!err.contains("missing"), "{err}");
    folder.kvfuse(&["copy", "--from", "files:data", "--to", &redis.url(), "--verify"]).ok();
}

#[test]
fn what_is_written_to_a_table_of_dynamodb_arrives_deletions_included() {
    let folder = Folder::new();
    let (dynamodb, redis) = (DynamoDb::streaming("NEW_IMAGE"), Redis::start(&[]));
    let at = format!("dynamodb:{}", dynamodb.endpoint());
    let keys = ["AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=any"];
    let with = |option: &'static str| keys.iter().flat_map(move |setting| [option, setting]);
    let kv = |words: &[&str]| {
        let settings: Vec<&str> = with("--env").collect();
        folder.kvfuse(&[&["kv", "--store", &at], words, &settings].concat()).ok()
    };
    kv(&["put", "gone", "1"]);
    kv(&["put", "kept", "1"]);
    let words = ["--from", &at, "--bucket", "default", "--to", &redis.url()];
    let following = Following::start(&folder, &words.into_iter().chain(with("--from-env")).collect::<Vec<_>>());
    let get = |key: &str| redis.command(&["GET", &format!("default:{key}")]);
    until(|| get("gone") == "1" && get("kept") == "1");
    kv(&["delete", "gone"]);
    kv(&["incr", "kept"]);
    kv(&["put", "new", "1"]);
    until(|| get("new") == "1" && get("kept") == "2");
    assert_eq!(redis.command(&["EXISTS", "default:gone"]).trim_start_matches(':').trim(), "0");
    let (code, out, err) = following.end();
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("3 changes followed") && !err.contains("missing"), "{out}\n{err}");
}

#[test]
fn a_target_that_is_gone_for_a_while_gets_everything_afterwards() {
    let folder = Folder::new();
    let mut redis = Redis::start(&["--appendonly", "yes"]);
    let source = bucket(&folder, "data", "default");
    source.set("first", b"1").unwrap();
    let following = Following::start(&folder, &["--from", "files:data", "--to", &redis.url()]);
    let get = |redis: &Redis, key: &str| redis.command(&["GET", &format!("default:{key}")]);
    source.set("second", b"1").unwrap();
    until(|| {
        source.increment("beat", 1, 0).unwrap();
        get(&redis, "beat").parse::<u64>().is_ok_and(|beat| beat > 1) && get(&redis, "second") == "1"
    });
    redis.kill();
    source.set("meanwhile", b"1").unwrap();
    source.delete("first").unwrap();
    redis.resume();
    until(|| get(&redis, "meanwhile") == "1");
    until(|| redis.command(&["EXISTS", "default:first"]).trim_start_matches(':').trim() == "0");
    let (code, out, err) = following.end();
    assert_eq!(code, Some(0), "{out}\n{err}");
}

#[test]
fn what_cannot_be_followed_is_refused_before_anything_is_copied() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    let words = ["copy", "--from", &redis.url(), "--bucket", "b", "--from-env", "KEYVALUE_REDIS_LAYOUT=hash"];
    redis.command(&["HSET", "b", "k", "v"]);
    let ran = folder.kvfuse(&[&words[..], &["--to", "files:data", "--follow"]].concat());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("layout `hash`"), "{}", ran.stderr);
    assert!(!folder.path("data").exists());
}

#[test]
fn lifetimes_are_kept_between_stores_and_in_dumps() {
    let folder = Folder::new();
    let (redis, etcd) = (Redis::start(&[]), Etcd::start(1, &[]));
    let (from, to) = (redis.url(), format!("etcd:{}", etcd.endpoints()));
    let kv = |store: &str, words: &[&str]| folder.kvfuse(&[&["kv", "--store", store], words].concat()).ok();
    kv(&from, &["put", "lasting", "1"]);
    kv(&from, &["put", "ending", "2", "--ttl", "1000"]);
    kv(&from, &["put", "short", "3", "--ttl", "1000"]);
    // Before anything is written.
    let dry = folder.kvfuse(&["copy", "--from", &from, "--bucket", "default", "--to", "files:data", "--dry-run"]).ok();
    assert!(dry.contains("with lifetimes, which are kept: 2 keys") && !folder.path("data").exists(), "{dry}");
    let said = folder.kvfuse(&["copy", "--from", &from, "--bucket", "default", "--to", "files:data", "--verify"]).ok();
    assert!(said.contains("verified: 3 keys"), "{said}");
    // To files and back.
    redis.command(&["FLUSHALL"]);
    folder.kvfuse(&["copy", "--from", "files:data", "--bucket", "default", "--to", &from]).ok();
    let left = |key: &str| -> i64 {
        redis.command(&["TTL", &format!("default:{key}")]).trim_start_matches(':').trim().parse().unwrap()
    };
    assert!((800..=1000).contains(&left("ending")) && left("lasting") == -1, "{}", left("ending"));
    // From server to server.
    folder.kvfuse(&["copy", "--from", &from, "--bucket", "default", "--to", &to, "--dry-run"]).ok();
    folder.kvfuse(&["copy", "--from", &from, "--bucket", "default", "--to", &to, "--verify"]).ok();
    // Through a dump, during which one of them ends.
    folder.kvfuse(&["dump", "all.dump", "--store", &from, "--bucket", "default"]).ok();
    redis.command(&["PEXPIRE", "default:short", "400"]);
    folder.kvfuse(&["dump", "soon.dump", "--store", &from, "--bucket", "default"]).ok();
    until(|| redis.command(&["EXISTS", "default:short"]).trim_start_matches(':').trim() == "0");
    redis.command(&["FLUSHALL"]);
    folder.kvfuse(&["load", "soon.dump", "--store", &from]).ok();
    assert_eq!(kv(&from, &["list"]).lines().count(), 2, "one had ended");
    folder.kvfuse(&["load", "all.dump", "--store", &from, "--verify"]).ok();
    assert_eq!(kv(&from, &["get", "short"]), "3");
    // What it has left after all that.
    folder.kvfuse(&["copy", "--from", &to, "--bucket", "default", "--to", &from]).ok();
    assert!((800..=1000).contains(&left("ending")), "{}", left("ending"));
    assert_eq!(left("lasting"), -1);
}
