//! Keys: any string.

use crate::{assert_lists, open};
use kvfuse_core::{Store, limits::MAX_KEY};

/// Strings that a careless store confuses with each other, or with its own markers.
pub fn hostile() -> Vec<String> {
    let mut keys: Vec<String> = [
        "",
        " ",
        "  ",
        "\0",
        "\0\0",
        "a\0",
        "a",
        "A",
        "á",
        "a\u{301}",
        "ﬁ",
        "fi",
        "/",
        "//",
        "a/",
        "/a",
        "a/b",
        ".",
        "..",
        "../../x",
        "..\\..\\x",
        "C:\\x",
        "con",
        "nul",
        "*",
        "?",
        "[a]",
        "a*",
        "a?",
        "{x}",
        "%2e%2e",
        "%00",
        "\\x00",
        "\r\n",
        "\n",
        "\t",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{e000}",
        "\u{202e}abc",
        "-1",
        "0",
        "null",
        "--help",
        "$HOME",
        "`x`",
        "';--",
        "\"",
        "\\",
        ":",
        "::",
        ":memory:",
        "#",
        "~",
    ]
    .map(String::from)
    .into();
    // A character of each plane of Unicode.
    keys.extend((0..=16u32).filter_map(|plane| char::from_u32((plane << 16) + 0x0fab)).map(String::from));
    // Too long for a file name on most systems, and equal up to the last character.
    keys.extend(["x", "y"].map(|last| "n".repeat(300) + last));
    keys
}

pub fn hostile_keys_are_all_different(store: &dyn Store) {
    let bucket = open(store);
    let keys = hostile();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(bucket.get(key).unwrap(), None, "{key:?} exists before it was set");
        bucket.set(key, &n.to_be_bytes()).unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(bucket.get(key).unwrap().as_deref(), Some(&n.to_be_bytes()[..]), "{key:?}");
    }
    assert_lists(&*bucket, &keys);
    for key in &keys {
        bucket.delete(key).unwrap();
        assert!(!bucket.exists(key).unwrap(), "{key:?}");
    }
    assert_lists(&*bucket, &[""; 0]);
}

pub fn the_longest_key_is_kept(store: &dyn Store) {
    let bucket = open(store);
    let keys = ["a", "b"].map(|last| "k".repeat(MAX_KEY - 1) + last);
    let mut kept = Vec::new();
    for key in &keys {
        match bucket.set(key, b"value") {
            Ok(()) => {
                assert_eq!(bucket.get(key).unwrap().as_deref(), Some(&b"value"[..]));
                kept.push(key);
            }
            // An engine with a lower limit reports it.
            Err(error) => assert_eq!(error.kind(), kvfuse_core::Kind::InvalidArgument, "{error}"),
        }
    }
    assert_lists(&*bucket, &kept);
}
