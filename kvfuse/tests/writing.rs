//! The output of `kvfuse fuse` is whole, or what was there before.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::process::Command;
use support::{Folder, Ran, built};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    folder
}

/// `kvfuse fuse`, limited by a line of shell.
fn limited(folder: &Folder, limit: &str, arguments: &str) -> Ran {
    let line = format!("{limit}; exec '{}' fuse app.wasm {arguments}", env!("CARGO_BIN_EXE_kvfuse"));
    folder.run(Command::new("sh").args(["-c", &line]))
}

fn message(output: &str, reason: &str) -> String {
    format!(
        "error: cannot write the fused component: {reason}\n  --> {output}\n   = help: -o names a file in \
         another place\n"
    )
}

#[test]
fn a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
    let folder = folder();
    folder.write("app.fused.wasm", "the old one");
    // As on a full disk, in the middle of the file.
    let ran = limited(&folder, "trap '' XFSZ; ulimit -f 64", "");
    assert_eq!((ran.code, ran.stderr), (Some(3), message("app.fused.wasm", "File too large")));
    assert_eq!(folder.read("app.fused.wasm"), b"the old one");
    assert_eq!(folder.names(), ["app.fused.wasm", "app.wasm"]);
}

#[test]
fn a_process_killed_while_it_writes_leaves_the_old_file_and_the_next_one_replaces_it() {
    let folder = folder();
    folder.write("app.fused.wasm", "the old one");
    // The signal is sent at the first byte beyond the limit.
    let ran = limited(&folder, "ulimit -c 0; ulimit -f 64", "");
    assert_eq!((ran.code, ran.stderr.as_str()), (None, ""));
    assert_eq!(folder.read("app.fused.wasm"), b"the old one");
    let left: Vec<_> = folder.names().into_iter().filter(|name| !name.starts_with("app.")).collect();
    assert!(left.iter().all(|name| name.starts_with(".kvfuse-") && name.ends_with(".tmp")), "{left:?}");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert!(folder.read("app.fused.wasm").starts_with(b"\0asm"));
}

#[test]
fn an_unwritable_directory_is_reported() {
    let folder = folder();
    std::fs::create_dir(folder.path("out")).unwrap();
    folder.write("out/app.wasm", "the old one");
    std::fs::set_permissions(folder.path("out"), std::fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere except in the kernel's virtual files.
    let output = if std::fs::write(folder.path("out/probe"), "").is_ok() { "/proc/app.wasm" } else { "out/app.wasm" };
    let ran = folder.kvfuse(&["fuse", "app.wasm", "-o", output]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.starts_with("error: cannot write the fused component: "), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("   = help: -o names a file in another place\n"), "{}", ran.stderr);
    assert_eq!(folder.read("out/app.wasm"), b"the old one");
    std::fs::set_permissions(folder.path("out"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_device_is_written_to_and_never_replaced() {
    let folder = folder();
    let device = |name: &str| std::fs::metadata(name).is_ok_and(|there| there.file_type().is_char_device());
    if device("/dev/full") {
        let ran = folder.kvfuse(&["fuse", "app.wasm", "-o", "/dev/full"]);
        assert_eq!((ran.code, ran.stderr), (Some(3), message("/dev/full", "No space left on device")));
        assert!(device("/dev/full"));
    }
    folder.kvfuse(&["fuse", "app.wasm", "-o", "/dev/null"]).ok();
    assert!(device("/dev/null"));
    assert_eq!(folder.names(), ["app.wasm"]);
}

#[test]
fn a_link_stays_a_link_and_its_target_is_replaced() {
    let folder = folder();
    folder.write("real.wasm", "the old one");
    std::os::unix::fs::symlink("real.wasm", folder.path("link.wasm")).unwrap();
    folder.kvfuse(&["fuse", "app.wasm", "-o", "link.wasm"]).ok();
    assert_eq!(std::fs::read_link(folder.path("link.wasm")).unwrap().to_str(), Some("real.wasm"));
    assert!(folder.read("real.wasm").starts_with(b"\0asm"));
    assert_eq!(folder.names(), ["app.wasm", "link.wasm", "real.wasm"]);
}
