//! How a key and its value are an entity.
//!
//! | property | type | what it is |
//! |---|---|---|
//! | `PartitionKey` | String | the prefix and the name of the bucket, escaped |
//! | `RowKey` | String | `k` and the key, escaped; for a longer key its beginning, `~~` and a hash |
//! | `key0`, `key1`, … | Binary | the whole key in parts of 64 KiB, if it is longer than a `RowKey` may be |
//! | `value0`, `value1`, … | Binary | the value in parts of 64 KiB; the empty value has one empty part |
//! | `mark` | Binary | 16 random bytes, new with each write |
//! | `end` | Int64 | when the key ends, in milliseconds since 1970 |
//!
//! The names of entities are ASCII, so that their order is the same everywhere, and no part of a URL has to be escaped again:
//! letters, digits, `-`, `.`, `_` and `:` stand for themselves, and every other byte of UTF-8 is `~` and two digits. The `k` is
//! there because the empty key is a key.
#![deny(clippy::arithmetic_side_effects)]

use crate::protocol::{Bytes, Entity};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_http::keyed::hex;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The largest entity, in bytes.
const LARGEST: usize = 1 << 20;
/// The largest property, in bytes.
const PART: usize = 64 << 10;
/// The longest name of a partition, in characters.
const LONGEST_PARTITION: usize = 512;
/// The longest key that is a `RowKey` as it is, in characters, escaped. One may have 512.
const LONGEST_SHORT: usize = 440;

/// 16 random bytes, which tell a write from every other one.
pub type Mark = [u8; 16];

/// The partition of a bucket.
///
/// # Errors
/// [`InvalidArgument`](Kind::InvalidArgument) if its name is too long.
pub fn partition(prefix: &str, bucket: &str) -> Result<String> {
    let partition = escaped(&format!("{prefix}{bucket}"), usize::MAX).0;
    if partition.len() <= LONGEST_PARTITION {
        return Ok(partition);
    }
    Err(Error::invalid(format!(
        "the name of the bucket has {} bytes: Azure Tables does not support partition keys of more than {LONGEST_PARTITION} \
         characters, with KEYVALUE_PREFIX before it and three for every character that is escaped",
        bucket.len()
    )))
}

/// A text in the characters of names, as far as it fits, and whether that is all of it.
fn escaped(text: &str, most: usize) -> (String, bool) {
    let mut out = String::new();
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
        let length = if plain { 1 } else { 3 };
        if out.len().saturating_add(length) > most {
            return (out, false);
        }
        if plain {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "~{byte:02x}");
        }
    }
    (out, true)
}

/// What a text was before it was escaped.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'~' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from((high << 4) | low).ok()?
            }
            byte => byte,
        });
    }
    let text_before = String::from_utf8(out).ok()?;
    (escaped(&text_before, usize::MAX).0 == text).then_some(text_before)
}

/// The `RowKey` of a key, and whether it is all of it.
fn row(key: &str) -> (String, bool) {
    let (beginning, all) = escaped(key, LONGEST_SHORT);
    if all {
        return (format!("k{beginning}"), true);
    }
    (format!("k{beginning}~~{}", hex(&Sha256::digest(key))), false)
}

/// The `RowKey` of a key.
pub fn row_key(key: &str) -> String {
    row(key).0
}

/// What the `RowKey`s of all keys with this prefix begin with.
pub fn begins(prefix: &str) -> String {
    format!("k{}", escaped(prefix, LONGEST_SHORT).0)
}

/// The first text that is larger than all those that begin with this one. It ends in a character of names, so the next one is
/// ASCII as well.
pub fn after(begins: &str) -> String {
    let mut after = begins.to_string();
    let last = after.pop().and_then(|last| u8::try_from(last).ok()).unwrap_or(b'~');
    after.push(char::from(last.saturating_add(1)));
    after
}

/// Whether a text has only the characters of names.
pub fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'~'))
}

/// Whether a `RowKey` is that of a key which does not fit into one.
pub fn is_long(row: &str) -> bool {
    row.contains("~~")
}

/// The key of an entity, which has to have its `RowKey`.
pub fn key_of(entity: &Entity) -> Result<String> {
    let row_of = entity.row.as_deref().ok_or_else(damaged)?;
    let key = if is_long(row_of) {
        entity.key.clone().joined().and_then(|bytes| String::from_utf8(bytes).ok())
    } else {
        row_of.strip_prefix('k').and_then(unescaped)
    };
    key.filter(|key| row(key).0 == row_of).ok_or_else(damaged)
}

/// The value of an entity.
pub fn value_of(entity: Entity) -> Result<Vec<u8>> {
    entity.value.joined().ok_or_else(damaged)
}

/// When the entity ends, in milliseconds since 1970.
pub fn end_of(entity: &Entity) -> Result<Option<i64>> {
    entity.end.map(|end| end.ok_or_else(damaged)).transpose()
}

pub fn damaged() -> Error {
    Error::new(
        Kind::Damaged,
        "the entity in Azure Tables is not one that this store wrote; docs/azure.md has the layout",
    )
}

/// The properties in which keys are.
pub fn key_properties() -> impl Iterator<Item = String> {
    (0..LARGEST.div_ceil(PART)).map(|number| format!("key{number}"))
}

/// A whole entity, as JSON.
///
/// # Errors
/// [`InvalidArgument`](Kind::InvalidArgument) if it is larger than an entity may be.
pub fn entity(partition: &str, key: &str, value: &[u8], mark: &Mark, end: Option<i64>) -> Result<String> {
    check_size(partition, key, value)?;
    let (row, is_whole) = row(key);
    let mut properties = Map::new();
    let mut add = |name: String, kind: &str, text: String| {
        properties.insert(format!("{name}@odata.type"), kind.into());
        properties.insert(name, Value::String(text));
    };
    if !is_whole {
        parts("key", key.as_bytes(), &mut |name, part| add(name, "Edm.Binary", Bytes::text(part)));
    }
    parts("value", value, &mut |name, part| add(name, "Edm.Binary", Bytes::text(part)));
    add("mark".into(), "Edm.Binary", Bytes::text(mark));
    if let Some(end) = end {
        add("end".into(), "Edm.Int64", end.to_string());
    }
    properties.insert("PartitionKey".into(), partition.into());
    properties.insert("RowKey".into(), row.into());
    Ok(Value::Object(properties).to_string())
}

/// Each part of some bytes; one if there are none.
fn parts(name: &str, bytes: &[u8], with: &mut dyn FnMut(String, &[u8])) {
    if bytes.is_empty() {
        return with(format!("{name}0"), bytes);
    }
    for (number, part) in bytes.chunks(PART).enumerate() {
        with(format!("{name}{number}"), part);
    }
}

/// The size of an entity as the service counts it: two bytes for each character of a name, and eight more for a property, with four
/// for the length of bytes. An end counts always, so that a value does not become too large by a lifetime.
fn size(partition: &str, key: &str, value: &[u8]) -> usize {
    let property = |name: usize, value: usize| value.saturating_add(name.saturating_mul(2)).saturating_add(8);
    let (row, is_whole) = row(key);
    let names = partition.len().saturating_add(row.len()).saturating_mul(2);
    let (timestamp, mark, end) = (property(9, 8), property(4, 16 + 4), property(3, 8));
    let mut sum = [4, names, timestamp, mark, end].into_iter().fold(0, usize::saturating_add);
    let mut add = |name: String, part: &[u8]| {
        sum = sum.saturating_add(property(name.len(), part.len().saturating_add(4)));
    };
    if !is_whole {
        parts("key", key.as_bytes(), &mut add);
    }
    parts("value", value, &mut add);
    sum
}

/// Checks that an entity is not larger than the service supports.
///
/// # Errors
/// [`InvalidArgument`](Kind::InvalidArgument) if it is.
pub fn check_size(partition: &str, key: &str, value: &[u8]) -> Result<()> {
    if size(partition, key, value) <= LARGEST {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a value of {} bytes with a key of {} bytes: Azure Tables does not support items of more than 1 MiB ({LARGEST} bytes, in \
         which the names of the bucket and of the properties count as well); store it in parts, or in another store",
        value.len(),
        key.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::decode;

    fn read(entity: &str) -> Entity {
        decode(entity.as_bytes()).unwrap()
    }

    #[test]
    fn keys_and_values_come_back() {
        let long = ["x".repeat(440), "x".repeat(441), "é".repeat(73), "é".repeat(74), "é".repeat(100_000)];
        for key in ["", "a", "k", "\0", "é/ü", "~", "~~", "a~b", "user:7", "'\"\\"]
            .into_iter()
            .chain(long.iter().map(String::as_str))
        {
            for value in
                [vec![], b"0".to_vec(), vec![7; PART - 1], vec![7; PART], vec![7; PART + 1], (0..=255).collect()]
            {
                let read = read(&entity("p", key, &value, &[7; 16], Some(5)).unwrap());
                assert_eq!(key_of(&read).unwrap(), key);
                assert_eq!(read.key.clone().joined().is_some(), is_long(&row_key(key)));
                assert_eq!((end_of(&read), read.mark.clone()), (Ok(Some(5)), Some(Bytes(vec![7; 16]))));
                assert!(value_of(read).unwrap() == value);
            }
        }
    }

    #[test]
    fn names_are_plain_ascii_never_too_long_and_keep_prefixes() {
        let keys: Vec<String> = (400..500)
            .flat_map(|length| {
                ["x".repeat(length), "/".repeat(length / 3), format!("x{}", "\u{1f600}".repeat(length / 12))]
            })
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut rows: Vec<_> = keys.iter().map(|key| row_key(key)).collect();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~".contains(&byte);
        assert!(rows.iter().all(|row| (1..=512).contains(&row.len()) && row.bytes().all(allowed)));
        rows.sort();
        rows.dedup();
        assert_eq!(rows.len(), keys.len(), "no two keys have one");
        for key in &keys {
            for end in (0..=key.len()).filter(|end| key.is_char_boundary(*end)) {
                let begins = begins(key.get(..end).unwrap());
                let row = row_key(key);
                assert!(row.starts_with(&begins) && row < after(&begins), "{end} bytes of {}", key.len());
            }
        }
    }

    #[test]
    fn what_comes_after_a_beginning_is_right_after_all_that_begins_with_it() {
        let texts = ["k", "ka", "kz", "k~ff", "kZ", "k9", "k_", "k-", "k.", "k:", "k~~", "kb", "kaa", "k0"];
        for begin in texts.iter().filter(|text| !text.ends_with('~')) {
            for text in texts {
                let inside = text >= *begin && text < after(begin).as_str();
                assert_eq!(inside, text.starts_with(begin), "{text} and {begin}");
            }
        }
    }

    #[test]
    fn an_entity_of_1_mib_is_made_and_a_larger_one_is_refused_with_the_reason() {
        let made = |value: usize| entity("bucket", "key", &vec![1; value], &[7; 16], None).map(|_| ());
        // 4; bucket and kkey; Timestamp, mark and end; value0 to value9 and value10 to value15.
        let rest = 4 + 2 * (6 + 4) + (8 + 18 + 8) + (8 + 8 + 20) + (8 + 6 + 8) + 10 * (8 + 12 + 4) + 6 * (8 + 14 + 4);
        assert_eq!(made(LARGEST - rest), Ok(()));
        let error = made(LARGEST - rest + 1).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("1 MiB"), "{error}");
        assert!(entity("p", &"k".repeat(1 << 20), b"", &[7; 16], None).is_err());
        assert!(partition("", &"b".repeat(512)).is_ok());
        assert_eq!(partition("", &"/".repeat(171)).unwrap_err().kind(), Kind::InvalidArgument);
    }

    #[test]
    fn what_this_store_did_not_write_is_damaged() {
        for text in [
            r#"{"value1":"AA=="}"#,
            r#"{"RowKey":"key"}"#,
            r#"{"RowKey":"other","end":"x"}"#,
            r#"{"RowKey":"k~2F","end":1.5}"#,
            r#"{"RowKey":"k~61"}"#,
            r#"{"RowKey":"k~ff"}"#,
            r#"{"RowKey":"k~~00","key0":"YQ=="}"#,
            r#"{"RowKey":"k~4"}"#,
        ] {
            let entity = read(text);
            let is_key = entity.row.as_deref() == Some("key");
            assert_eq!(key_of(&entity).is_ok(), is_key, "{text}");
            assert!(entity.end.is_none() || end_of(&entity).is_err(), "{text}");
            assert_eq!(value_of(entity).unwrap_err().kind(), Kind::Damaged, "{text}");
        }
    }
}
