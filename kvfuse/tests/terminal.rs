//! What a terminal gets and a pipe does not: colour, and the line that shows how far long work is.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_core::Store;
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::ReadWrite;
use std::process::{Command, Stdio};
use support::Folder;

/// Runs it on a terminal of its own, by `script` of util-linux, and gives what the terminal got.
fn on_a_terminal(folder: &Folder, arguments: &str) -> (i32, String) {
    let line = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_kvfuse"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(folder.path(""));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
    let output = command.output().expect("the program `script` is missing; install the package bsdutils");
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn filled(keys: usize) -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("data")).unwrap();
    let store = FileStore::new(Ok(ReadWrite::open(&folder.path("data")).unwrap()), Config::default());
    let bucket = store.open("default").unwrap();
    let keys: Vec<String> = (0..keys).map(|n| format!("key {n}")).collect();
    for keys in keys.chunks(1000) {
        bucket.set_many(&keys.iter().map(|key| (key.as_str(), &[b'v'; 100][..])).collect::<Vec<_>>()).unwrap();
    }
    folder
}

#[test]
fn only_a_terminal_gets_colour_and_escaped_control_characters() {
    let folder = filled(0);
    folder.kvfuse(&["kv", "put", "k\u{1b}[31m", "v"]).ok();
    let words = "kv watch --from beginning --limit 1";
    let (code, text) = on_a_terminal(&folder, words);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\x1b[32mset\x1b[0m\tk\\u{1b}[31m\tv"), "{text:?}");
    let piped = folder.kvfuse(&words.split(' ').collect::<Vec<_>>());
    assert_eq!(piped.stdout, "set\tk\\u{1b}[31m\tv\n");
    assert!(!piped.stderr.contains('\x1b'), "{}", piped.stderr);
    // A listing is for programs unless a terminal reads it.
    assert!(on_a_terminal(&folder, "kv list").1.contains("k\\u{1b}[31m"));
    assert_eq!(folder.kvfuse(&["kv", "list"]).stdout, "k\u{1b}[31m\n");
    folder.write("binary", b"\0\x1b[31m");
    folder.kvfuse(&["kv", "put", "binary", "--file", "binary"]).ok();
    let (code, text) = on_a_terminal(&folder, "kv get binary");
    assert!(code == 1 && text.contains("not text") && !text.contains("\x1b[31m"), "{text:?}");
}

#[test]
fn only_a_terminal_gets_the_line_that_shows_how_far_it_is_and_it_is_gone_at_the_end() {
    let folder = filled(150_000);
    let (code, text) = on_a_terminal(&folder, "copy --from files:data --to files:one");
    assert_eq!(code, 0, "{text}");
    let shown: Vec<&str> = text.split("\r\x1b[K").collect();
    assert!(shown.len() > 2, "{text:?}");
    let line = shown.iter().find(|line| line.starts_with("copying: ")).unwrap_or_else(|| panic!("{text:?}"));
    assert!(line.contains(" keys/s"), "{line}");
    // The last one was removed before the result was printed.
    assert!(shown.last().unwrap().starts_with("bucket \"default\": 150000 keys copied"), "{text:?}");
    let piped = folder.kvfuse(&["copy", "--from", "files:data", "--to", "files:two"]);
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""));
    assert!(!piped.stdout.contains('\r') && !piped.stdout.contains('\x1b'), "{}", piped.stdout);
}
