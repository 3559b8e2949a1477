//! Consumers that other toolchains made: fused by `kvfuse fuse`, run by the wasmtime command line and by Node.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use support::node::{Session, tool, transpile};
use support::{Folder, built, wasmtime};

/// Fuses the language's demo and runs it twice with the same directory; then the Rust demo reads what it stored.
#[track_caller]
fn stores_and_reads(language: &str, greeting: &str) {
    let folder = Folder::new();
    let (app, fused) = (format!("kv_{language}.wasm"), format!("kv_{language}.fused.wasm"));
    folder.write(&app, built(&app)).write("kv_demo.wasm", built("kv_demo.wasm"));
    std::fs::create_dir(folder.path("data")).unwrap();

    let inspected = folder.kvfuse(&["inspect", &app]).ok();
    assert!(inspected.starts_with(&format!("{app}: a command of ")), "{inspected}");
    assert!(inspected.contains("  key-value   wasi:keyvalue@0.2.0-draft2\n"), "{inspected}");
    let line = format!("  run         wasmtime run -S p3=n -W concurrency-support=n --dir data::/ {fused}\n");
    assert!(inspected.contains(&line), "{inspected}");

    folder.kvfuse(&["fuse", &app]).ok();
    // Components that contain an interpreter take a while to compile: once is enough for two runs.
    folder.run(wasmtime().args(["compile", &fused, "-o", "app.cwasm"])).ok();
    for run in 1..=2 {
        let said = folder.run(wasmtime().args(["run", "--allow-precompiled", "--dir", "data::/", "app.cwasm"])).ok();
        assert_eq!(said, format!("{greeting}: run {run}\n"));
    }

    folder.kvfuse(&["fuse", "kv_demo.wasm"]).ok();
    let demo = ["run", "--dir", "data::/", "kv_demo.fused.wasm"];
    let key = format!("{language}/greeting");
    assert_eq!(folder.run(wasmtime().args(demo).args(["get", &key])).ok(), greeting);
    let key = format!("{language}/runs");
    assert_eq!(folder.run(wasmtime().args(demo).args(["incr", &key])).ok(), "3\n");
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn python_stores_and_reads() {
    stores_and_reads("python", "Grüße aus Python");
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn javascript_stores_and_reads() {
    stores_and_reads("javascript", "Grüße aus JavaScript");
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn c_stores_and_reads() {
    stores_and_reads("c", "Grüße aus C");
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn the_rust_demo_runs_on_node_and_shares_its_files_with_wasmtime() {
    let folder = Folder::new();
    let script = tool("node-demo/run.js");
    let node = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.arg(&script).arg("data").args(arguments);
        folder.run(&mut command)
    };
    let tour = node(&[]).ok();
    assert!(tour.contains("This tour has run 1 time on this store."), "{tour}");
    node(&["set", "from", "Node.js"]).ok();

    folder.write("kv_demo.wasm", built("kv_demo.wasm"));
    folder.kvfuse(&["fuse", "kv_demo.wasm"]).ok();
    let demo = ["run", "--dir", "data::/", "kv_demo.fused.wasm"];
    assert_eq!(folder.run(wasmtime().args(demo).args(["get", "from"])).ok(), "Node.js");
    assert!(folder.run(wasmtime().args(demo)).ok().contains("has run 2 times"));
    assert!(node(&[]).ok().contains("has run 3 times"));
}

/// A consumer, flat with one memory and transpiled without options, on the folder's directory `data`.
fn on_node<'a>(folder: &'a Folder, app: &str) -> impl Fn(&[&str]) -> String + use<'a> {
    folder.write("app.wasm", built(app));
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    // That this one is refused is why there is the other.
    assert!(transpile(folder, "app.fused.wasm", "refused").is_err(), "{app}");
    let said = folder.kvfuse(&["fuse", "app.wasm", "--single-memory"]).ok();
    assert!(said.contains("\n  form        flat, for hosts without multi-memory as well: "), "{said}");
    let script = transpile(folder, "app.fused.wasm", app.strip_suffix(".wasm").unwrap()).unwrap();
    move |arguments| folder.run(Command::new("node").arg(&script).arg("data").args(arguments)).ok()
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn flat_components_with_one_memory_run_on_node_as_jco_transpiles_them_without_options() {
    let folder = Folder::new();
    let rust = on_node(&folder, "kv_demo.wasm");
    let tour = rust(&[]);
    assert!(tour.contains("This tour has run 1 time on this store."), "{tour}");
    rust(&["set", "from", "Node.js, Größe"]);
    let value = "v".repeat(70_001);
    rust(&["set", "large", &value]);
    assert_eq!(rust(&["get", "large"]), value);
    let javascript = on_node(&folder, "kv_javascript.wasm");
    for run in 1..=2 {
        assert_eq!(javascript(&[]), format!("Grüße aus JavaScript: run {run}\n"));
    }
    assert_eq!(rust(&["get", "javascript/greeting"]), "Grüße aus JavaScript");

    let demo = demo(&folder);
    assert_eq!(demo(&["get", "from"]), "Node.js, Größe");
    assert!(demo(&["get", "large"]) == value, "as wasmtime reads it");
    assert!(demo(&[]).contains("has run 2 times"));
}

#[test]
#[ignore = "fetches an older wasmtime: make test-languages"]
fn flat_components_run_on_the_oldest_wasmtime() {
    let oldest = std::env::var_os("WASMTIME_OLDEST").expect("WASMTIME_OLDEST: tools/wasmtime.sh --oldest prints it");
    let version = Folder::new().run(Command::new(&oldest).arg("--version")).ok();
    assert!(version.contains("36."), "{version}");
    let forms: [&[&str]; 2] = [&[], &["--single-memory"]];
    for form in forms {
        for (app, said) in [("kv_demo.wasm", "This tour has run 1 time on this store."), ("kv_c.wasm", "run 1\n")] {
            let folder = with_data();
            folder.write("app.wasm", built(app));
            let fused = folder.kvfuse(&[["fuse", "app.wasm"].as_slice(), form].concat()).ok();
            assert!(fused.contains("\n  form        flat"), "{fused}");
            let ran = folder.run(Command::new(&oldest).args(["run", "--dir", "data::/", "app.fused.wasm"])).ok();
            assert!(ran.contains(said), "{ran}");
        }
    }
}

/// The Rust demo on wasmtime, compiled once, on the folder's directory `data`.
fn demo(folder: &Folder) -> impl Fn(&[&str]) -> String {
    folder.write("kv_demo.wasm", built("kv_demo.wasm"));
    folder.kvfuse(&["fuse", "kv_demo.wasm"]).ok();
    let program = wasmtime().get_program().to_os_string();
    folder.run(Command::new(&program).args(["compile", "kv_demo.fused.wasm", "-o", "demo.cwasm"])).ok();
    move |arguments| {
        let run = ["run", "--allow-precompiled", "--dir", "data::/", "demo.cwasm"];
        folder.run(Command::new(&program).args(run).args(arguments)).ok()
    }
}

/// A folder with an empty directory `data`.
fn with_data() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("data")).unwrap();
    folder
}

/// Checks that the store contains this and nothing else, as a new Node process, wasmtime and `kvfuse stat` see it.
#[track_caller]
fn holds(folder: &Folder, model: &BTreeMap<String, String>) {
    let keys: Vec<&String> = model.keys().collect();
    let mut node = Session::open(folder);
    assert_eq!(node.ask(json!([0, "list"])), json!(keys));
    for (key, value) in model {
        assert!(node.ask(json!([0, "get", key])) == json!(value), "{key} on Node");
    }
    let demo = demo(folder);
    assert_eq!(demo(&["list"]).lines().collect::<BTreeSet<_>>(), keys.iter().map(|key| key.as_str()).collect());
    for (key, value) in model {
        assert!(demo(&["get", key]) == *value, "{key} on wasmtime");
    }
    let said = folder.kvfuse(&["stat", "data"]).ok();
    assert!(said.contains("no damage found"), "{said}");
}

/// Pseudo-random numbers, the same in every run.
struct Mixed {
    state: u64,
    values: u64,
}

impl Mixed {
    fn new(seed: u64) -> Self {
        Self { state: seed, values: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % bound
    }

    /// A unique value; sometimes one that is large enough for a blob, or for a file of its own.
    fn value(&mut self) -> String {
        let length = match self.below(60) {
            0 => 70_000 + self.below(200_000),
            1..5 => 5_000 + self.below(30_000),
            _ => self.below(1_000),
        };
        self.values += 1;
        format!("{} {}", self.values, "v".repeat(length as usize))
    }
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn operations_of_every_kind_in_one_node_process_are_right_and_stay() {
    let folder = with_data();
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    let mut mixed = Mixed::new(1);
    for part in 0..2 {
        let mut node = Session::open(&folder);
        for n in 0..3_000 {
            let key = format!("k{}", mixed.below(60));
            let name = |n| format!("many{n}");
            match mixed.below(12) {
                0..5 => {
                    let value = mixed.value();
                    assert_eq!(node.ask(json!([0, "set", key, value])), Value::Null);
                    model.insert(key, value);
                }
                5 => {
                    node.ask(json!([0, "delete", key]));
                    model.remove(&key);
                }
                6 => {
                    let delta = mixed.below(9) as i64 - 4;
                    let counter = model.entry("counter".into()).or_insert_with(|| "0".into());
                    *counter = (counter.parse::<i64>().unwrap() + delta).to_string();
                    assert_eq!(node.ask(json!([0, "increment", "counter", delta])).to_string(), *counter);
                }
                7 => {
                    let value = mixed.value();
                    let was = node.ask(json!([0, "swap", key, model.get(&key), value]));
                    assert!(was == json!(model.insert(key.clone(), value)), "{key}");
                }
                8 => {
                    let pairs: Vec<_> = (0..40).map(|n| (name(n), mixed.value())).collect();
                    let mut command = vec![json!(0), json!("setMany")];
                    command.extend(pairs.iter().map(|pair| json!(pair)));
                    node.ask(Value::Array(command));
                    model.extend(pairs);
                }
                9 => {
                    let names: Vec<_> = (0..40).map(|_| name(mixed.below(40) as usize)).collect();
                    let mut command = vec![json!(0), json!(if part == n % 2 { "deleteMany" } else { "getMany" })];
                    command.extend(names.iter().map(|name| json!(name)));
                    let pairs = node.ask(Value::Array(command));
                    if part == n % 2 {
                        model.retain(|key, _| !names.contains(key));
                    } else {
                        let wanted: Vec<_> = names.iter().map(|name| (name, model.get(name))).collect();
                        assert!(pairs == json!(wanted), "{names:?}");
                    }
                }
                10 => assert!(node.ask(json!([0, "get", key])) == json!(model.get(&key)), "{key}"),
                _ => assert_eq!(node.ask(json!([0, "exists", key])), model.contains_key(&key)),
            }
        }
        assert_eq!(node.ask(json!([0, "list"])), json!(model.keys().collect::<Vec<_>>()));
    }
    // What was replaced was compacted away.
    assert!(!folder.path("data/b-default/s.0").exists());
    holds(&folder, &model);
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn what_a_killed_node_process_acknowledged_is_there_for_the_next_and_for_wasmtime() {
    let folder = with_data();
    let mut mixed = Mixed::new(2);
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..6 {
        // More than the process can do before it is killed.
        let sets: Vec<_> = (0..6_000).map(|_| (format!("k{}", mixed.below(400)), mixed.value())).collect();
        let commands = sets.iter().map(|(key, value)| json!([0, "set", key, value]));
        let acknowledged = Session::open(&folder).kill_after(1 + 300 * round, commands);
        assert!(acknowledged < sets.len());

        model.extend(sets[..acknowledged].iter().cloned());
        let mut next = Session::open(&folder);
        // It handles one after the other, so at most one was done and not answered.
        let (key, value) = &sets[acknowledged];
        if next.ask(json!([0, "get", key])) == json!(value) {
            model.insert(key.clone(), value.clone());
        }
        assert_eq!(next.ask(json!([0, "list"])), json!(model.keys().collect::<Vec<_>>()));
        for (key, value) in &model {
            assert!(next.ask(json!([0, "get", key])) == json!(value), "{key} in round {round}");
        }
    }
    // It did more than write records: the bucket has split.
    assert!(!folder.path("data/b-default/s.0").exists());
    holds(&folder, &model);
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn handles_and_instances_of_one_node_process_write_by_turns() {
    let folder = with_data();
    let mut node = Session::open(&folder);
    // Handles of one instance: it keeps at most eight buckets open, so the last one is opened again.
    for n in 1..=8 {
        node.ask(json!(["open", format!("other{n}")]));
    }
    assert_eq!(node.ask(json!(["open", ""])), 9);
    node.ask(json!(["instance"]));
    assert_eq!(node.ask(json!(["open", ""])), 10);
    for n in 1..=900 {
        let handle = [0, 9, 10, 10, 9, 0, 0][n % 7];
        assert_eq!(node.ask(json!([handle, "increment", "counter", 1])), n);
    }
    holds(&folder, &[("counter".to_string(), "900".to_string())].into());
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn node_processes_and_wasmtime_write_by_turns() {
    let folder = with_data();
    let demo = demo(&folder);
    let mut nodes = [Session::open(&folder), Session::open(&folder)];
    for n in 1..=600 {
        // A process that waited long writes after several others have written.
        if n % 20 < 3 {
            assert_eq!(demo(&["incr", "counter"]), format!("{n}\n"));
        } else {
            let node = if n % 20 == 4 { 0 } else { 1 };
            assert_eq!(nodes[node].ask(json!([0, "increment", "counter", 1])), n);
        }
    }
    drop(nodes);
    holds(&folder, &[("counter".to_string(), "600".to_string())].into());
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn node_processes_read_beside_one_that_writes() {
    const LAST: i64 = 7_000;
    let folder = with_data();
    let counter = |node: &mut Session| {
        let value = node.ask(json!([0, "get", "counter"]));
        value.as_str().map_or(0, |text| text.parse::<i64>().unwrap())
    };
    let mut node = Session::open(&folder);
    let writer = std::thread::spawn(move || {
        for n in 1..=LAST {
            assert_eq!(node.ask(json!([0, "increment", "counter", 1])), n);
        }
    });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut reader = Session::open(&folder);
                let mut seen = 0;
                while !writer.is_finished() {
                    let now = counter(&mut reader);
                    assert!(now >= seen, "{now} after {seen}");
                    seen = now;
                }
                assert_eq!(counter(&mut reader), LAST);
            });
        }
    });
    writer.join().unwrap();
    // Their segments were compacted away meanwhile.
    assert!(!folder.path("data/b-default/s.0").exists());
    holds(&folder, &[("counter".to_string(), LAST.to_string())].into());
}
