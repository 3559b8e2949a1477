//! `kvfuse stat` of a store whose writers are killed all the time.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_core::Store;
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::Native;
use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use support::{Folder, built, wasmtime};

/// Single operations of each of six loops.
const OPERATIONS: u64 = 40;

/// What a key may have: whether a value was ever acknowledged; the last of those, and those of writers that were killed since.
type Told = HashMap<String, (bool, Vec<Vec<u8>>)>;

/// One loop: sets keys to values of 10 bytes to 90 KB, each by a process of its own, and kills half of them.
fn work(folder: &Path, number: u64) -> (Told, u64) {
    let (mut told, mut killed) = (Told::new(), 0);
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for operation in 0..OPERATIONS {
        let size = 10u64 << random(14);
        let value = format!("{number} {operation} {}", "x".repeat((size + random(8000)) as usize));
        let key = format!("worker {number} key {}", random(5));
        let mut child = wasmtime()
            .args(["run", "--allow-precompiled", "--dir", "data::/", "demo.cwasm", "set", &key, &value])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // When it is killed is left to chance: before it opens the store, in the middle of its work, or behind it.
        let doomed = random(2) == 0;
        if doomed {
            std::thread::sleep(Duration::from_millis(random(60)));
            killed += u64::from(child.kill().is_ok());
        }
        let output = child.wait_with_output().unwrap();
        let (acknowledged, values) = told.entry(key).or_default();
        if output.status.success() {
            *acknowledged = true;
            values.clear();
        } else {
            assert!(doomed, "{}", String::from_utf8_lossy(&output.stderr));
        }
        values.push(value.into_bytes());
    }
    (told, killed)
}

#[test]
fn a_store_whose_writers_are_killed_all_the_time_is_healthy_and_has_what_was_acknowledged() {
    let folder = Folder::new();
    folder.write("demo.wasm", built("kv_demo.fused.wasm"));
    std::fs::create_dir(folder.path("data")).unwrap();
    folder.run(wasmtime().args(["compile", "-o", "demo.cwasm", "demo.wasm"])).ok();
    let path = folder.path("");
    let workers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| {
                scope.spawn({
                    let path = &path;
                    move || work(path, number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for options in [&["stat", "data"][..], &["stat", "data", "--verify"]] {
        let ran = folder.kvfuse(options);
        assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("no damage found"), "{}", ran.stdout);
    }
    let said = folder.kvfuse(&["repair", "data", "--to", "copy"]).ok();
    assert!(said.contains("everything could be read"), "{said}");
    for place in ["data", "copy"] {
        let bucket = FileStore::new(Ok(Native::open(&folder.path(place)).unwrap()), Config::default());
        let bucket = bucket.open("default").unwrap();
        for (key, (acknowledged, values)) in workers.iter().flat_map(|(told, _)| told) {
            let found = bucket.get(key).unwrap();
            let right = found.as_ref().map_or(!acknowledged, |found| values.contains(found));
            assert!(right, "{place}: {key} does not have what it was set to");
        }
    }
    let killed: u64 = workers.iter().map(|(_, killed)| killed).sum();
    println!("{killed} of {} writers killed", 6 * OPERATIONS);
}
