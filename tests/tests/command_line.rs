//! The demo under the real wasmtime command line, as users run it.

use anyhow::Result;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::{command_line, root};
use std::path::Path;
use std::process::Output;

/// `wasmtime run` with wasmtime's options and the demo's arguments.
fn demo(options: &[&str], arguments: &[&str]) -> Result<Output> {
    let _watchdog = Watchdog::of_the_test();
    let mut command = command_line()?;
    command.arg("run").args(options).arg(root().join("components/kv_demo.fused.wasm")).args(arguments);
    Ok(command.output()?)
}

fn grant(folder: &Path) -> String {
    format!("--dir={}::/", folder.display())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_tour_counts_its_runs_on_a_granted_directory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for run in ["1 time", "2 times", "3 times"] {
        let output = demo(&[&grant(folder.path())], &[])?;
        let said = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(said.contains(&format!("This tour has run {run} on this store.")), "{said}");
        for step in 1..=7 {
            assert!(said.contains(&format!("\n{step}. ")), "{said}");
        }
    }
    Ok(())
}

#[test]
fn the_tour_without_a_directory_says_so_and_uses_memory() -> Result<()> {
    for _ in 0..2 {
        let output = demo(&[], &[])?;
        let said = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(said.contains("no directory was granted"), "{said}");
        assert!(said.contains("uses the bucket \":memory:\""), "{said}");
        assert!(said.contains("wasmtime run --dir data::/"), "{said}");
        assert!(!said.contains("The data is kept"), "{said}");
    }
    Ok(())
}

#[test]
fn the_tool_never_falls_back_to_memory() -> Result<()> {
    let output = demo(&[], &["set", "key", "value"])?;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("no directory was granted") && said.contains("--dir data::/"), "{said}");
    let output = demo(&[], &["--bucket", ":memory:", "incr", "key"])?;
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "1\n"));
    Ok(())
}

#[test]
fn each_run_of_the_tool_sees_what_the_last_one_did() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = grant(folder.path());
    let steps: &[(&[&str], i32, &str)] = &[
        (&["get", "k"], 1, ""),
        (&["set", "k", "v"], 0, ""),
        (&["get", "k"], 0, "v"),
        (&["exists", "k"], 0, "true\n"),
        (&["--bucket", "other", "exists", "k"], 1, "false\n"),
        (&["cas", "k", "w", "--expect", "x"], 1, ""),
        (&["cas", "k", "w", "--expect", "v"], 0, ""),
        (&["cas", "k", "w", "--absent"], 1, ""),
        (&["get", "k"], 0, "w"),
        (&["incr", "n"], 0, "1\n"),
        (&["incr", "n", "41"], 0, "42\n"),
        (&["incr", "n", "-50"], 0, "-8\n"),
        (&["incr", "k"], 1, ""),
        (&["delete", "k"], 0, ""),
        (&["delete", "k"], 0, ""),
        (&["list"], 0, "n\n"),
    ];
    for (arguments, status, stdout) in steps {
        let output = demo(&[&dir], arguments)?;
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), *stdout, "{arguments:?}");
    }
    Ok(())
}

#[test]
fn a_value_comes_from_standard_input_and_goes_to_standard_output_byte_for_byte() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let folder = tempfile::tempdir()?;
    let bytes: Vec<u8> = (0..=255u8).cycle().take(300_000).collect();
    let file = folder.path().join("input");
    std::fs::write(&file, &bytes)?;
    let store = tempfile::tempdir()?;
    let component = root().join("components/kv_demo.fused.wasm");
    let status = command_line()?
        .args(["run", &grant(store.path())])
        .arg(component)
        .args(["set", "k"])
        .stdin(std::fs::File::open(file)?)
        .status()?;
    assert!(status.success());
    assert!(demo(&[&grant(store.path())], &["get", "k"])?.stdout == bytes);
    Ok(())
}

#[test]
fn typing_errors_are_answered_with_what_is_wrong() -> Result<()> {
    for (arguments, said) in [
        (&["frobnicate"][..], "invalid command \"frobnicate\""),
        (&["get"], "invalid command \"get\""),
        (&["incr", "k", "many"], "\"many\" is not a number"),
        (&["cas", "k", "v"], "one of --expect OLD and --absent"),
        (&["--colour", "list"], "invalid option '--colour'"),
    ] {
        let output = demo(&[], arguments)?;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("--help"));
    }
    let help = demo(&[], &["--help"])?;
    assert!(help.status.success() && text(&help.stdout).contains("usage: kv_demo"));
    Ok(())
}
