//! Consumers that other toolchains made: fused by `kvfuse fuse`, run by the wasmtime command line and by Node.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use support::{Folder, built, root, wasmtime};

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
    assert!(inspected.ends_with(&format!("  run         wasmtime run --dir data::/ {fused}\n")), "{inspected}");

    folder.kvfuse(&["fuse", &app]).ok();
    // Those that carry an interpreter take a while to compile: once is enough for two runs.
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
    let script = std::env::var_os("KVFUSE_TOOLS").map_or_else(|| root().join(".tools"), Into::into);
    let script = script.join("node-demo/run.js");
    assert!(script.exists(), "{} is missing; make languages makes it", script.display());
    let node = |arguments: &[&str]| {
        let mut command = std::process::Command::new("node");
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
