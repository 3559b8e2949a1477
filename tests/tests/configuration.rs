//! The environment variables and grants of the file provider, and its errors when they are wrong.

use anyhow::Result;
use kvfuse_tests::{Command, Outcome, Program, component};
use std::sync::LazyLock;

static DEMO: LazyLock<Program> =
    LazyLock::new(|| Program::new(&component("kv_demo.fused").expect("make build")).expect("compiles"));

fn run(command: Command) -> Result<Outcome> {
    DEMO.run(&command)
}

#[track_caller]
fn refused(outcome: &Outcome, said: &[&str]) {
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert_eq!(outcome.stdout, b"");
    for part in said {
        assert!(outcome.stderr.contains(part), "{part:?} is missing in: {}", outcome.stderr);
    }
}

#[test]
fn without_a_directory_the_error_says_what_to_grant() -> Result<()> {
    refused(&run(Command::new(&["list"]))?, &["no directory was granted", "--dir data::/", ":memory:"]);
    Ok(())
}

#[test]
fn of_several_directories_the_variable_chooses_one() -> Result<()> {
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let both = |words: &[&str]| Command::new(words).dir(one.path(), "/one").dir(two.path(), "/two");
    refused(&run(both(&["list"]))?, &["/one", "/two", "KEYVALUE_DIR"]);
    let inside = || both(&["list"]).env("KEYVALUE_DIR", "/two/inside");
    refused(&run(inside())?, &["KEYVALUE_DIR", "inside", "/two", "create it first"]);
    std::fs::create_dir(two.path().join("inside"))?;
    for name in ["/one", "/two", "/two/inside"] {
        let set = run(both(&["set", "where", name]).env("KEYVALUE_DIR", name))?;
        assert_eq!(set.status, Some(0), "{}", set.stderr);
    }
    for name in ["/one", "/two", "/two/inside"] {
        assert_eq!(run(both(&["get", "where"]).env("KEYVALUE_DIR", name))?.text(), name);
    }
    refused(&run(both(&["list"]).env("KEYVALUE_DIR", "/three"))?, &["KEYVALUE_DIR", "/three", "/one", "/two"]);
    refused(&run(both(&["list"]).env("KEYVALUE_DIR", "/one/../../etc"))?, &["KEYVALUE_DIR", ".."]);
    Ok(())
}

#[test]
fn with_an_allow_list_other_buckets_are_denied() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let command =
        |words: &[&str]| Command::new(words).dir(folder.path(), "/").env("KEYVALUE_BUCKETS", "carts, sessions,");
    for bucket in ["carts", "sessions", "default", "", ":memory:"] {
        let outcome = run(command(&["--bucket", bucket, "incr", "n"]))?;
        assert_eq!(outcome.text(), "1\n".replace('1', if bucket.is_empty() { "2" } else { "1" }), "{outcome:?}");
    }
    for bucket in ["cart", "Carts", "carts/..", "other"] {
        refused(&run(command(&["--bucket", bucket, "list"]))?, &["access denied", "KEYVALUE_BUCKETS"]);
    }
    let without = Command::new(&["list"]).dir(folder.path(), "/").env("KEYVALUE_BUCKETS", "carts");
    refused(&run(without)?, &["access denied"]);
    Ok(())
}

#[test]
fn the_largest_value_can_be_set() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let set = |limit: &str, size: usize| {
        run(Command::new(&["set", "k"])
            .dir(folder.path(), "/")
            .env("KEYVALUE_MAX_VALUE", limit)
            .input(&vec![b'x'; size]))
    };
    assert_eq!(set("1K", 1024)?.status, Some(0));
    refused(&set("1K", 1025)?, &["1025 bytes", "1024 bytes", "KEYVALUE_MAX_VALUE"]);
    refused(&set("lots", 1)?, &["KEYVALUE_MAX_VALUE", "\"lots\"", "size"]);
    assert_eq!(set("128M", 65 << 20)?.status, Some(0));
    Ok(())
}

#[test]
fn a_directory_that_cannot_be_written_is_read_and_refuses_writes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    assert_eq!(run(Command::new(&["set", "k", "v"]).dir(folder.path(), "/"))?.status, Some(0));
    let read_only = |words: &[&str]| run(Command::new(words).read_only_dir(folder.path(), "/"));
    assert_eq!(read_only(&["get", "k"])?.text(), "v");
    assert_eq!(read_only(&["list"])?.text(), "k\n");
    let outcome = read_only(&["set", "k", "w"])?;
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("unless the host permits writing"), "{}", outcome.stderr);
    assert_eq!(read_only(&["get", "k"])?.text(), "v");
    Ok(())
}
