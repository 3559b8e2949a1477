//! What is moved and watched: pairs, and the store `files` natively, with which the tests compare.

use kvfuse_core::{Bucket, Store};
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::ReadWrite;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use super::Folder;

pub type Pair = (String, Vec<u8>);

pub fn bucket(folder: &Folder, directory: &str, name: &str) -> Rc<dyn Bucket> {
    std::fs::create_dir_all(folder.path(directory)).unwrap();
    FileStore::new(Ok(ReadWrite::open(&folder.path(directory)).unwrap()), Config::default()).open(name).unwrap()
}

pub fn set(bucket: &dyn Bucket, pairs: &[Pair]) {
    for pairs in pairs.chunks(1000) {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        bucket.set_many(&pairs).unwrap();
    }
}

pub fn many(count: usize) -> Vec<Pair> {
    (0..count).map(|n| (format!("key {n}"), format!("{n:0100}").into_bytes())).collect()
}

#[track_caller]
pub fn has(bucket: &dyn Bucket, pairs: &[Pair]) {
    for (key, value) in pairs {
        assert!(bucket.get(key).unwrap().as_ref() == Some(value), "{key:?}");
    }
}

/// Starts the program, with pipes for what goes in and what comes out.
pub fn start(folder: &Folder, arguments: &[&str], stdout: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kvfuse"))
        .args(arguments)
        .current_dir(folder.path(""))
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(stdout)
        .spawn()
        .unwrap()
}

/// The most memory that a process has had, in bytes.
#[cfg(target_os = "linux")]
pub fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
