//! The cache of compiled components: used when it is there, not needed when it is not.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Folder, Ran, built};

fn run(folder: &Folder, cache: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
    folder.run(command.arg("run").args(arguments).args(["app.wasm", "--", "incr", "runs"]).env("XDG_CACHE_HOME", cache))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

#[test]
fn compiled_code_is_cached_once_and_a_damaged_entry_is_replaced() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let cache = folder.path("cache");
    assert_eq!(run(&folder, &cache, &["--no-cache"]).ok(), "1\n");
    assert!(!cache.exists(), "it was asked to keep nothing");
    assert_eq!(run(&folder, &cache, &[]).ok(), "2\n");
    let compiled =
        |files: Vec<PathBuf>| -> Vec<PathBuf> { files.into_iter().filter(|path| path.extension().is_none()).collect() };
    let kept = compiled(files(&cache.join("wasmtime")));
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(run(&folder, &cache, &[]).ok(), "3\n");
    assert_eq!(compiled(files(&cache.join("wasmtime"))), kept);
    std::fs::write(&kept[0], "nothing that was compiled").unwrap();
    assert_eq!(run(&folder, &cache, &[]).ok(), "4\n");
}

#[test]
fn a_component_runs_without_a_cache() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm")).write("file", "where a directory should be");
    assert_eq!(run(&folder, &folder.path("file"), &[]).ok(), "1\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
    let homeless = command.args(["run", "app.wasm", "--", "incr", "runs"]).env("XDG_CACHE_HOME", "").env_remove("HOME");
    assert_eq!(folder.run(homeless).ok(), "2\n");
}
