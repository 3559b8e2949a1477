//! `kvfuse kv`, on every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use std::io::Write;
use std::process::{Command, Stdio};
use support::{Folder, Ran};

const BINARY: &[u8] = b"\xff\0\x01\n\x1b[31m";

/// Runs it with standard input, and gives standard output byte for byte.
fn fed(folder: &Folder, arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
    command.args(arguments).current_dir(folder.path("")).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that does not read its input closes the pipe.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn says(ran: &Ran, code: i32, text: &str) {
    assert_eq!(ran.code, Some(code), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(text), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\x1b') && !ran.stdout.contains('\x1b'), "{}", ran.stderr);
}

/// What holds on every store.
fn round(store: &str) {
    let folder = Folder::new();
    let kv = |words: &[&str]| folder.kvfuse(&[&["kv", "--store", store, "--bucket", "b"], words].concat());
    let kv_fed = |words: &[&str], input: &[u8]| {
        fed(&folder, &[&["kv", "--store", store, "--bucket", "b"], words].concat(), input)
    };
    // An argument, standard input, a file; bytes are kept as they are.
    kv(&["put", "greeting", "hello"]).ok();
    assert_eq!(kv_fed(&["get", "greeting"], b"").1, b"hello");
    assert_eq!(kv_fed(&["put", "binary"], BINARY).0, Some(0));
    assert_eq!(kv_fed(&["get", "binary"], b"").1, BINARY);
    folder.write("value", BINARY);
    kv(&["put", "a\nstrange\0key".replace('\0', "\u{1}").as_str(), "--file", "value"]).ok();
    kv(&["get", "binary", "--output", "copy"]).ok();
    assert_eq!(folder.read("copy"), BINARY);
    kv(&["put", "empty", ""]).ok();
    assert_eq!(kv_fed(&["get", "empty"], b""), (Some(0), Vec::new(), String::new()));
    // A missing key can be told from one that is there, and from a failure.
    says(&kv(&["get", "nothing"]), 5, "there is no key \"nothing\"");
    assert_eq!(kv(&["exists", "greeting"]).code, Some(0));
    assert_eq!(kv(&["exists", "nothing"]).code, Some(5));
    says(&kv(&["get"]), 2, "required");
    says(&kv(&["put", "x", "--file", "nowhere"]), 3, "nowhere");
    says(&kv(&["incr", "greeting"]), 1, "not a counter");
    // Counters.
    assert_eq!(kv(&["incr", "n"]).ok(), "1\n");
    assert_eq!(kv(&["incr", "n", "41"]).ok(), "42\n");
    assert_eq!(kv(&["incr", "n", "-50"]).ok(), "-8\n");
    assert_eq!(kv(&["get", "n"]).ok(), "-8");
    // Listings.
    let mut keys: Vec<_> = kv(&["list", "--null"]).ok().split_terminator('\0').map(str::to_string).collect();
    keys.sort();
    assert_eq!(keys, ["a\nstrange\u{1}key", "binary", "empty", "greeting", "n"]);
    assert_eq!(kv(&["list", "--prefix", "gree"]).ok(), "greeting\n");
    assert_eq!(kv(&["list", "--prefix", "a", "--json"]).ok(), "{\"key\":\"a\\nstrange\\u0001key\"}\n");
    assert_eq!(kv(&["list", "--limit", "2", "--json"]).ok().lines().count(), 2);
    assert_eq!(kv(&["list", "--limit", "0"]).ok(), "");
    // What is listed can be asked for, and what is got can be put.
    let (code, all, _) = kv_fed(&["bulk-get", "--keys-from", "-"], kv(&["list", "--json"]).ok().as_bytes());
    assert_eq!((code, all.iter().filter(|byte| **byte == b'\n').count()), (Some(0), 5));
    assert_eq!(kv(&["bulk-get", "--prefix", "bin"]).ok(), "{\"key\":\"binary\",\"base64\":\"/wABChtbMzFt\"}\n");
    let some = kv(&["bulk-get", "greeting", "nothing"]);
    assert_eq!(some.code, Some(5));
    assert_eq!(some.stdout, "{\"key\":\"greeting\",\"value\":\"hello\"}\n{\"key\":\"nothing\",\"value\":null}\n");
    kv(&["delete", "binary", "nothing", "greeting"]).ok();
    assert_eq!(kv(&["get", "binary"]).code, Some(5));
    assert_eq!(kv_fed(&["bulk-put"], &all).0, Some(0));
    assert_eq!(kv_fed(&["get", "binary"], b"").1, BINARY);
    // Buckets are apart.
    assert_eq!(folder.kvfuse(&["kv", "--store", store, "--bucket", "other", "get", "n"]).code, Some(5));
    // More than one page and more than one batch.
    let many: String = (0..2500).map(|n| format!("{{\"key\":\"many/{n}\",\"value\":\"{n}\"}}\n")).collect();
    folder.write("many.jsonl", &many);
    kv(&["bulk-put", "many.jsonl"]).ok();
    let back = kv(&["bulk-get", "--prefix", "many/"]).ok();
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_string).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&back), sorted(&many));
    // A wrong line is named, and what was before it is set.
    let (code, _, told) = kv_fed(&["bulk-put"], b"{\"key\":\"one\",\"value\":\"1\"}\nnonsense\n");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("standard input:2") && told.contains("this line is not a pair"), "{told}");
    assert_eq!(kv(&["get", "one"]).ok(), "1");
}

#[test]
fn keys_of_files_are_read_and_written() {
    round("files:./here");
}

#[test]
fn keys_of_redis_are_read_and_written() {
    let redis = Redis::start(&[]);
    round(&redis.url());
    assert_eq!(redis.command(&["GET", "b:n"]), "-8");
}

#[test]
fn keys_of_etcd_are_read_and_written() {
    let etcd = Etcd::start(1, &[]);
    round(&format!("etcd:{}", etcd.endpoints()));
}

#[test]
fn a_store_is_where_kvfuse_run_has_it() {
    let folder = Folder::new();
    folder.kvfuse(&["kv", "put", "a", "1"]).ok();
    assert_eq!(folder.names(), ["data"]);
    assert_eq!(folder.kvfuse(&["kv", "get", "a", "--store", "files:data"]).ok(), "1");
    folder.kvfuse(&["kv", "put", "a", "2", "--data", "other"]).ok();
    assert_eq!(folder.kvfuse(&["kv", "get", "a", "--data", "other"]).ok(), "2");
    let redis = Redis::start(&["--requirepass", "secret"]);
    let url = format!("KEYVALUE_REDIS_URL={}", redis.url());
    let kv = |words: &[&str]| folder.kvfuse(&[&["kv"], words, &["--store", "redis", "--env", &url]].concat());
    says(&kv(&["get", "a"]), 1, "access is denied");
    kv(&["put", "a", "3", "--env", "KEYVALUE_REDIS_PASSWORD=secret"]).ok();
    let wrong = format!("redis://:wrong-secret@127.0.0.1:{}", redis.port());
    let refused = folder.kvfuse(&["kv", "--store", &wrong, "get", "a"]);
    assert_eq!(refused.code, Some(1));
    assert!(!refused.stderr.contains("wrong-secret"), "{}", refused.stderr);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let folder = Folder::new();
    says(&folder.kvfuse(&["kv", "get", "a"]), 3, "there is no such directory");
    assert_eq!(folder.names(), [""; 0], "reading makes nothing");
    says(&folder.kvfuse(&["kv", "get", "a", "--store", "tape"]), 1, "there is no store called \"tape\"");
    says(&folder.kvfuse(&["kv", "get", "a", "--store", "redis"]), 1, "KEYVALUE_REDIS_URL is not set");
    says(&folder.kvfuse(&["kv", "get", "a", "--store", "redis://127.0.0.1:1"]), 1, "cannot be reached");
    says(&folder.kvfuse(&["kv", "buckets", "--store", "redis://127.0.0.1:1"]), 1, "does not know its buckets");
    folder.kvfuse(&["kv", "put", "a", "1"]).ok();
    folder.kvfuse(&["kv", "put", "a", "1", "--bucket", "x/ü"]).ok();
    assert_eq!(folder.kvfuse(&["kv", "buckets"]).ok(), "default\nx/ü\n");
    assert_eq!(folder.kvfuse(&["kv", "buckets", "--json"]).ok(), "{\"bucket\":\"default\"}\n{\"bucket\":\"x/ü\"}\n");
    let denied = folder.kvfuse(&["kv", "get", "a", "--env", "KEYVALUE_BUCKETS=sessions"]);
    says(&denied, 1, "access is denied");
    let large = folder.kvfuse(&["kv", "put", "a", "12345", "--env", "KEYVALUE_MAX_VALUE=4"]);
    says(&large, 1, "KEYVALUE_MAX_VALUE");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = Folder::new();
    let many: String = (0..20_000).map(|n| format!("{{\"key\":\"{n:0100}\",\"value\":\"\"}}\n")).collect();
    folder.write("many.jsonl", many);
    folder.kvfuse(&["kv", "bulk-put", "many.jsonl"]).ok();
    for words in [&["list"][..], &["bulk-get"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kvfuse"))
            .arg("kv")
            .args(words)
            .current_dir(folder.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success());
    }
}
