//! How a key is the name of an object: `{prefix}{bucket}/{key}`. No I/O.
//!
//! A name should be what people and other tools expect, so nearly every character stands for itself, and so do slashes. What
//! would not survive on the way, in XML, in a file system, or beside clients that tidy up paths, is escaped: `%` and the bytes of
//! the character in hexadecimal. `docs/s3.md` has the table.
//!
//! Escapes do not depend on what follows them, so the names of all keys with a prefix begin with [`begins`] of that prefix.
#![deny(clippy::arithmetic_side_effects)]

use kvfuse_core::{Error, Result};
use std::fmt::Write;

/// The longest name of an object, in bytes.
pub const MAX_NAME: usize = 1024;

/// An empty part of a key, between slashes or at its ends. No other part is written like this.
const EMPTY: &str = "%";

/// What the names of a bucket's objects begin with. A slash in the name of a bucket is escaped: its keys are its own.
///
/// # Errors
/// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) if there would be no room for a key.
pub fn space(prefix: &str, bucket: &str) -> Result<String> {
    let mut name = prefix.to_string();
    write_part(bucket, true, &mut name);
    name.push('/');
    if name.len() < MAX_NAME {
        return Ok(name);
    }
    Err(Error::invalid(format!(
        "the name of this bucket, with its prefix, takes {} of the {MAX_NAME} bytes that the name of an object may have; use a \
         shorter one",
        name.len()
    )))
}

/// The name of a key's object.
///
/// # Errors
/// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) if it would be too long.
pub fn object(space: &str, key: &str) -> Result<String> {
    let mut name = space.to_string();
    write_key(key, true, &mut name);
    if name.len() <= MAX_NAME {
        return Ok(name);
    }
    Err(Error::invalid(format!(
        "a key of {} bytes: S3 does not support names of objects of more than {MAX_NAME} bytes, in which the prefix and the name \
         of the bucket count, and it would have {}; use a shorter key, or another store",
        key.len(),
        name.len()
    )))
}

/// What the names of the objects of all keys with a prefix begin with.
pub fn begins(space: &str, prefix: &str) -> String {
    let mut name = space.to_string();
    write_key(prefix, false, &mut name);
    name
}

/// The key of an object; `None` if its name is not the one that the layout gives to any key, so that something else wrote it.
pub fn key_of(space: &str, name: &str) -> Option<String> {
    let rest = name.strip_prefix(space)?;
    let mut bytes = Vec::with_capacity(rest.len());
    for (number, part) in rest.split('/').enumerate() {
        if number > 0 {
            bytes.push(b'/');
        }
        if part == EMPTY {
            continue;
        }
        let mut part = part.bytes();
        while let Some(byte) = part.next() {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(match byte {
                b'%' => digit(part.next()?)?.checked_mul(16)?.checked_add(digit(part.next()?)?)?,
                byte => byte,
            });
        }
    }
    let key = String::from_utf8(bytes).ok()?;
    // Of several ways to escape a key, one is that of the layout.
    (object(space, &key).ok()? == name).then_some(key)
}

/// Whether a text can be the prefix of all names: its parts are written as they are.
pub fn is_prefix(prefix: &str) -> bool {
    let mut written = String::new();
    write_key(prefix, false, &mut written);
    written == prefix
}

/// `complete` unless more of the key may follow.
fn write_key(key: &str, complete: bool, name: &mut String) {
    let mut parts = key.split('/').peekable();
    while let Some(part) = parts.next() {
        let ended = parts.peek().is_some();
        write_part(part, ended || complete, name);
        if ended {
            name.push('/');
        }
    }
}

fn write_part(part: &str, complete: bool, name: &mut String) {
    if part.is_empty() && complete {
        name.push_str(EMPTY);
    }
    for (at, c) in part.char_indices() {
        // Parts that are only dots mean other directories to many clients.
        let hidden = at == 0 && c == '.';
        let forbidden = c.is_control() || matches!(c, '%' | '\\' | '/' | '\u{fffe}' | '\u{ffff}');
        if hidden || forbidden {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_suite::keys::hostile;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_as_documented() {
        for (key, name) in [
            ("user:7/cart", "b/user:7/cart"),
            ("photos/2024/my cat+ä.jpg", "b/photos/2024/my cat+ä.jpg"),
            ("", "b/%"),
            ("/", "b/%/%"),
            ("a//b/", "b/a/%/b/%"),
            (".env", "b/%2Eenv"),
            ("../..", "b/%2E./%2E."),
            ("a.b.", "b/a.b."),
            ("100%", "b/100%25"),
            ("\n\u{85}\\", "b/%0A%C2%85%5C"),
            ("\u{ffff}", "b/%EF%BF%BF"),
        ] {
            assert_eq!(object("b/", key).as_deref(), Ok(name));
            assert_eq!(key_of("b/", name).as_deref(), Some(key), "{name}");
        }
        assert_eq!(space("app/", "b/c").as_deref(), Ok("app/b%2Fc/"));
        assert_eq!(space("", ".").as_deref(), Ok("%2E/"));
    }

    #[test]
    fn every_key_has_a_name_of_its_own_and_comes_back_from_it() {
        let keys = hostile();
        let mut names = BTreeSet::new();
        for key in &keys {
            let name = object("b/", key).unwrap();
            assert_eq!(key_of("b/", &name).as_ref(), Some(key));
            assert!(name.split('/').all(|part| !part.is_empty() && !part.starts_with('.')), "{name}");
            assert!(!name.contains(char::is_control), "{name:?}");
            assert!(names.insert(name), "{key:?}");
        }
    }

    #[test]
    fn the_names_of_the_keys_with_a_prefix_and_no_others_begin_with_its_name() {
        let keys = hostile();
        let starts =
            |key: &String| key.char_indices().filter_map(|(at, _)| key.get(..at).map(str::to_string)).collect();
        let prefixes: BTreeSet<String> =
            keys.iter().flat_map::<Vec<String>, _>(starts).chain(keys.iter().cloned()).collect();
        for prefix in prefixes {
            let begins = begins("b/", &prefix);
            for key in &keys {
                let name = object("b/", key).unwrap();
                assert_eq!(name.starts_with(&begins), key.starts_with(&prefix), "{prefix:?} {key:?}");
            }
        }
    }

    #[test]
    fn a_name_that_the_layout_gives_to_no_key_is_none() {
        for name in
            ["", "b", "b/", "b/a/", "b//a", "b/.a", "b/%2e", "b/%61", "b/%2", "b/%%", "b/a%", "b/%FF", "b/\\", "c/a"]
        {
            assert_eq!(key_of("b/", name), None, "{name}");
        }
    }

    #[test]
    fn a_key_whose_name_would_be_too_long_is_refused() {
        assert_eq!(object("b/", &"k".repeat(1022)).map(|name| name.len()), Ok(1024));
        assert!(object("b/", &"k".repeat(1023)).unwrap_err().message().contains("1024"));
        assert!(object("b/", &"\\".repeat(341)).is_err());
        assert!(space("", &"b".repeat(1022)).is_ok());
        assert!(space("", &"b".repeat(1023)).is_err());
    }

    #[test]
    fn a_prefix_is_written_as_it_is_or_refused() {
        for prefix in ["", "app", "app/", "a/b-", "a b/ä/"] {
            assert!(is_prefix(prefix), "{prefix}");
        }
        for prefix in ["/", "/a", "a//", ".a", "a/.", "a/../", "a%", "a\n/"] {
            assert!(!is_prefix(prefix), "{prefix}");
        }
    }
}
