//! `kvfuse kv watch`, and consumers that are called for each change.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::redis::Redis;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use support::{Folder, consumer};

/// Far longer than anything here takes; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// `kvfuse` at work, until it ends or is dropped.
struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            drop(send.send(line));
        }
    });
    lines
}

impl Running {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
        command.args(arguments).current_dir(folder.path("")).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, stdout, stderr }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.stdout
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|e| panic!("{e}: {:?}", self.stderr.try_iter().collect::<Vec<_>>()))
    }

    /// The next line of JSON that is no position, and the last position.
    #[track_caller]
    fn change(&self, position: &mut String) -> Value {
        loop {
            let line: Value = serde_json::from_str(&self.line()).unwrap();
            match line.get("position") {
                Some(text) => *position = text.as_str().unwrap().into(),
                None => return line,
            }
        }
    }

    /// What it says on standard error, up to the line that has this.
    #[track_caller]
    fn says(&self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            let line = self.stderr.recv_timeout(PATIENCE);
            all.push_str(&line.unwrap_or_else(|e| panic!("it did not say {text:?} ({e}), but {all:?}")));
            all.push('\n');
        }
        all
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn end(mut self) -> (Option<i32>, Option<i32>, String) {
        let status = self.child.wait().unwrap();
        (status.code(), status.signal(), self.stderr.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[track_caller]
fn refused(folder: &Folder, arguments: &[&str], code: i32, text: &str) {
    let ran = folder.kvfuse(arguments);
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    assert!(ran.stderr.contains(text), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

fn until(mut condition: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "it never happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What holds on every store. `positions`: whether it has them.
fn watched(store: &str, place: &str, positions: bool) {
    let folder = Folder::new();
    let [at, _] = places(store, place);
    let kv = |words: &[&str]| kv(&folder, &at, words);
    let at: Vec<&str> = std::iter::once("kv").chain(at.iter().map(String::as_str)).collect();
    kv(&["put", "before", "0"]);
    let words = ["watch", "--json", "--from", "beginning", "--prefix", ""];
    let watch = Running::start(&folder, &[&at[..], &words].concat());
    let mut position = String::new();
    assert_eq!(watch.change(&mut position), json!({ "set": "before", "value": "0" }));
    kv(&["put", "k", "1"]);
    assert_eq!(watch.change(&mut position), json!({ "set": "k", "value": "1" }));
    kv(&["incr", "k"]);
    assert_eq!(watch.change(&mut position), json!({ "set": "k", "value": "2" }));
    kv(&["delete", "k"]);
    assert_eq!(watch.change(&mut position), json!({ "delete": "k" }));
    folder.write("binary", b"\xff\0");
    kv(&["put", "b\n", "--file", "binary"]);
    assert_eq!(watch.change(&mut position), json!({ "set": "b\n", "base64": "/wA=" }));
    if positions {
        // Its position is printed behind what it is of.
        let line: Value = serde_json::from_str(&watch.line()).unwrap();
        position = line["position"].as_str().unwrap().into();
    }
    watch.signal("INT");
    assert_eq!(watch.end().0, Some(0));

    // As text, from where that ended.
    kv(&["put", "later", "a\u{7}\tb"]);
    kv(&["put", "long", &"x".repeat(1000)]);
    kv(&["delete", "before"]);
    let watch =
        |from: &str, limit: &str| folder.kvfuse(&[&at[..], &["watch", "--from", from, "--limit", limit]].concat());
    if positions {
        // The position that it ends with is before what was cut off.
        let ran = watch(&position, "1");
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{}", ran.stderr);
        position = ran.stderr.trim().rsplit(' ').next().unwrap().to_string();
    }
    let ran = watch(&position, "3");
    if positions {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let mut lines: Vec<_> = ran.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["delete\tbefore", "set\tlater\ta\\u{7}\\tb", "set\tlong\t(1000 bytes)"]);
        assert!(ran.stderr.contains("to go on from here: --from "), "{}", ran.stderr);
    } else {
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains("no log of changes"), "{}", ran.stderr);
    }
    refused(&folder, &[&at[..], &["watch", "--from", "nonsense"]].concat(), 1, "watch");
}

#[test]
fn changes_of_files_are_printed_until_ctrl_c() {
    watched("files", "", true);
}

#[test]
fn changes_in_redis_are_printed_until_ctrl_c() {
    let redis = Redis::start(&[]);
    watched("redis", &redis.url(), false);
}

#[test]
fn changes_in_etcd_are_printed_until_ctrl_c() {
    let etcd = Etcd::start(1, &[]);
    watched("etcd", &etcd.endpoints(), true);
}

#[test]
fn changes_in_dynamodb_are_printed_until_ctrl_c() {
    let dynamodb = DynamoDb::streaming("NEW_IMAGE");
    watched("dynamodb", &dynamodb.endpoint(), true);
}

#[test]
fn the_stream_of_a_table_is_reached_at_an_endpoint_of_its_own() {
    let folder = Folder::new();
    let dynamodb = DynamoDb::streaming("NEW_IMAGE");
    let proxy = Proxy::start(dynamodb.port());
    proxy.sent();
    let [mut at, _] = places("dynamodb", &dynamodb.endpoint());
    let streams = format!("KEYVALUE_DYNAMODB_STREAMS_ENDPOINT=http://127.0.0.1:{}", proxy.port());
    at.extend(["--env".to_string(), streams]);
    kv(&folder, &at, &["put", "k", "1"]);
    assert_eq!(kv(&folder, &at, &["watch", "--from", "beginning", "--limit", "1"]), "set\tk\t1\n");
    assert!(String::from_utf8_lossy(&proxy.sent()).contains("DynamoDBStreams_20120810"));
}

#[test]
fn a_reader_that_leaves_ends_it_and_a_server_that_leaves_does_not() {
    let folder = Folder::new();
    let mut redis = Redis::start(&[]);
    let url = redis.url();
    let put = |key: &str| folder.kvfuse(&["kv", "put", key, "1", "--store", &url]).ok();
    let watch = Running::start(&folder, &["kv", "watch", "--store", &url, "--from", "beginning"]);
    put("a");
    assert_eq!(watch.line(), "set\ta\t1");
    redis.kill();
    watch.says("trying again");
    redis.resume();
    watch.says("deletions in between may be missing");
    put("b");
    // What was there comes again.
    while watch.line() != "set\tb\t1" {}
    drop(watch);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
    command.args(["kv", "watch", "--store", &url, "--from", "beginning"]).current_dir(folder.path(""));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    until(|| {
        put("c");
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// What the consumer was called for, in order.
fn seen(folder: &Folder, at: &[String]) -> Vec<String> {
    let pairs = kv(folder, at, &["bulk-get", "--bucket", "seen"]);
    let pairs = pairs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut seen: Vec<(String, String)> = pairs
        .map(|pair| (pair["key"].as_str().unwrap().to_string(), pair["value"].as_str().unwrap().to_string()))
        .filter(|(key, _)| key != "count")
        .collect();
    seen.sort();
    seen.into_iter().map(|(_, what)| what).collect()
}

/// The options by which `kvfuse kv` gets the store, and those by which `kvfuse run` does.
fn places(store: &str, place: &str) -> [Vec<String>; 2] {
    let (named, variable) = match store {
        "redis" => (place.to_string(), format!("KEYVALUE_REDIS_URL={place}")),
        "etcd" => (format!("etcd:{place}"), format!("KEYVALUE_ETCD_ENDPOINTS={place}")),
        "dynamodb" => (format!("dynamodb:{place}"), format!("KEYVALUE_DYNAMODB_ENDPOINT={place}")),
        _ => ("files:data".to_string(), "NONE=".to_string()),
    };
    let mut options = [["--store".to_string(), named].to_vec(), ["--env".to_string(), variable].to_vec()];
    if store == "dynamodb" {
        for setting in ["AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=any"] {
            options.iter_mut().for_each(|words| words.extend(["--env".to_string(), setting.to_string()]));
        }
    }
    options
}

fn kv(folder: &Folder, at: &[String], words: &[&str]) -> String {
    let at: Vec<&str> = at.iter().map(String::as_str).collect();
    folder.kvfuse(&[&["kv"], &at[..], words].concat()).ok()
}

/// Fuses a consumer of a generation, runs it, and looks what it is called for.
fn called(generation: &str, store: &str, place: &str) {
    let folder = Folder::new();
    let [named, settings] = places(store, place);
    let kv = |words: &[&str]| kv(&folder, &named, &[words, &["--bucket", "jobs"]].concat());
    kv(&["put", "old", "0"]);
    let name = format!("watching{generation}");
    folder.write("app.wasm", consumer(&name));
    let said = folder.kvfuse(&["fuse", "app.wasm", "--store", store, "--watch", "jobs/new/"]).ok();
    assert!(said.contains("a command of"), "{said}");
    let run: Vec<&str> = ["run", "app.fused.wasm"].into_iter().chain(settings.iter().map(String::as_str)).collect();
    let start = || Running::start(&folder, &run);
    let words = |what: &str| match generation {
        "_v0_1" => what.replace("one", "of 3").replace("two", "of 3"),
        _ => what.to_string(),
    };
    let mut runner = start();
    // It is at work once it has noticed something.
    until(|| {
        kv(&["incr", "new/ready"]);
        !seen(&folder, &named).is_empty()
    });
    kv(&["put", "new/a", "one"]);
    kv(&["put", "other", "no"]);
    until(|| seen(&folder, &named).contains(&words("set new/a one")));
    runner.child.kill().unwrap();
    drop(runner);
    let before = seen(&folder, &named);
    assert!(
        before.iter().all(|what| what.starts_with("set new/ready ") || *what == words("set new/a one")),
        "{before:?}"
    );
    // While nobody watches.
    kv(&["put", "new/b", "two"]);
    if store != "redis" {
        kv(&["delete", "new/a"]);
        for sum in ["10", "11", "12"] {
            kv(&["put", "new/counted", sum]);
        }
    }
    runner = start();
    until(|| seen(&folder, &named).contains(&words("set new/b two")));
    if store != "redis" {
        until(|| seen(&folder, &named).contains(&"delete new/a".to_string()));
        let again = seen(&folder, &named).into_iter().filter(|what| *what == words("set new/a one")).count();
        assert!(again <= 2, "only what was not acknowledged is delivered again");
        let last = if generation == "_v0_1" { "set new/counted of 2" } else { "set new/counted 12" };
        until(|| seen(&folder, &named).contains(&last.to_string()));
        // Each in its turn. The values of `0.1.0` are those that the key has by then.
        if generation.is_empty() {
            let counted: Vec<_> = seen(&folder, &named).into_iter().filter(|what| what.contains("counted")).collect();
            assert_eq!(counted, ["set new/counted 10", "set new/counted 11", "set new/counted 12"]);
        }
    }
    drop(runner);
}

#[test]
fn a_consumer_is_called_for_each_change_of_files_also_for_those_while_it_did_not_run() {
    for generation in ["", "_v0_1", "_unversioned", "_wasmcloud_0_2", "_wasmcloud_0_1"] {
        called(generation, "files", "");
    }
}

#[test]
fn a_consumer_is_called_for_each_change_in_redis() {
    let redis = Redis::start(&[]);
    called("", "redis", &redis.url());
    redis.command(&["FLUSHALL"]);
    called("_unversioned", "redis", &redis.url());
}

#[test]
fn a_consumer_is_called_for_each_change_in_etcd_also_for_those_while_it_did_not_run() {
    let etcd = Etcd::start(1, &[]);
    called("", "etcd", &etcd.endpoints());
}

#[test]
fn a_consumer_is_called_for_each_change_in_dynamodb_also_for_those_while_it_did_not_run() {
    let dynamodb = DynamoDb::streaming("NEW_IMAGE");
    called("", "dynamodb", &dynamodb.endpoint());
}

#[test]
fn a_consumer_that_traps_is_called_again_for_what_it_trapped_at() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer("watching"));
    let [files, _] = places("files", "");
    let kv = |words: &[&str]| kv(&folder, &files, words);
    kv(&["put", "k", "0", "--bucket", "jobs"]);
    folder.kvfuse(&["fuse", "app.wasm", "--watch", "jobs", "--quiet"]).ok();
    let runner = Running::start(&folder, &["run", "app.fused.wasm"]);
    until(|| {
        kv(&["incr", "k", "--bucket", "jobs"]);
        !seen(&folder, &files).is_empty()
    });
    kv(&["put", "bad", "trap", "--bucket", "jobs"]);
    kv(&["put", "next", "1", "--bucket", "jobs"]);
    runner.says("it is called again");
    runner.says("it is called again");
    kv(&["put", "helped", "", "--bucket", "control"]);
    until(|| seen(&folder, &files).contains(&"set next 1".to_string()));
    let seen = seen(&folder, &files);
    assert!(seen.iter().filter(|what| *what == "set bad trap").count() >= 3, "{seen:?}");
    let at = |what: &str| seen.iter().position(|seen| seen == what).unwrap();
    assert!(at("set bad trap") < at("set next 1"));
}

#[test]
fn the_server_killed_under_a_consumer_is_waited_for() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer("watching"));
    let mut etcd = Etcd::start(1, &[]);
    let [named, settings] = places("etcd", &etcd.endpoints());
    let put = |key: &str| kv(&folder, &named, &["put", key, "1", "--bucket", "jobs"]);
    folder.kvfuse(&["fuse", "app.wasm", "--store", "etcd", "--watch", "jobs", "--quiet"]).ok();
    let runner = Running::start(&folder, &["run", "app.fused.wasm", &settings[0], &settings[1]]);
    until(|| {
        put("ready");
        !seen(&folder, &named).is_empty()
    });
    etcd.kill(0);
    runner.says("trying again");
    etcd.resume(0);
    etcd.wait_until_serving();
    put("after");
    until(|| seen(&folder, &named).contains(&"set after 1".to_string()));
}

#[test]
fn what_cannot_be_called_or_watched_is_refused() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer("watching")).write("other.wasm", consumer("exporting"));
    refused(&folder, &["fuse", "app.wasm", "--watch", ""], 1, "not a bucket");
    refused(&folder, &["fuse", "other.wasm", "--watch", "b"], 1, "exports nothing that can be called");
    refused(&folder, &["kv", "watch"], 3, "there is no such directory");
    // Without --watch the export stays one.
    folder.kvfuse(&["fuse", "app.wasm", "--quiet"]).ok();
    assert!(folder.kvfuse(&["inspect", "app.fused.wasm"]).ok().contains("wasi:keyvalue/watcher"));
    let hash = "KEYVALUE_REDIS_LAYOUT=hash";
    let redis = Redis::start(&[]);
    refused(&folder, &["kv", "watch", "--store", &redis.url(), "--env", hash], 1, "layout `hash`");
    std::fs::create_dir(folder.path("data")).unwrap();
    refused(
        &folder,
        &["kv", "put", "k", "v", "--ttl", "5", "--store", &redis.url(), "--env", hash],
        1,
        "layout `hash`",
    );
    folder.kvfuse(&["kv", "put", "k", "v", "--ttl", "1"]).ok();
    until(|| folder.kvfuse(&["kv", "exists", "k"]).code != Some(0));
    folder.kvfuse(&["kv", "put", "k", "v", "--ttl", "1000", "--store", &redis.url()]).ok();
    let left: u64 = redis.command(&["TTL", "default:k"]).trim_start_matches(':').parse().unwrap();
    assert!((900..=1000).contains(&left));
}
