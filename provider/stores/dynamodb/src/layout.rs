//! How a key and its value are an item.
//!
//! | attribute | type | what it is |
//! |---|---|---|
//! | `pk` | S | the partition key: the prefix and the name of the bucket |
//! | `sk` | S | the sort key: `k` and the key; for a longer key its beginning and a hash |
//! | `key` | S | the whole key, if it is longer than a sort key may be |
//! | `num` | N | the value, if it is a counter |
//! | `val` | B | the value, if it is anything else |
//! | `ver` | B | 16 random bytes, new with each write |
//! | `ttl` | N | when the key ends, in seconds since 1970 |
//!
//! The `k` is there because a sort key may not be empty. Every canonical counter is a number of DynamoDB's and comes back
//! as the same text, so which of the two attributes has the value is determined by the value alone.
#![deny(clippy::arithmetic_side_effects)]

use crate::protocol::{Bytes, Item};
use kvfuse_core::{Error, Kind, Result, counter};
use kvfuse_http::keyed::hex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The largest item, in bytes.
const LARGEST: usize = 400 << 10;
/// The longest partition key, in bytes.
const LONGEST_PARTITION: usize = 2048;
/// The longest key that is a sort key as it is, in bytes. A sort key may have 1024.
const LONGEST_SHORT: usize = 940;
/// How much of a longer key is in its sort key, in bytes. With the hash it is longer than that of any short key.
const BEGINNING: usize = 940;

/// Names for the attributes in expressions: some of them are reserved words.
pub const NAMES: [(&str, &str); 7] =
    [("#p", "pk"), ("#s", "sk"), ("#k", "key"), ("#n", "num"), ("#v", "val"), ("#r", "ver"), ("#t", "ttl")];

/// 16 random bytes, which tell a write from every other one.
pub type Mark = [u8; 16];

/// The partition of a bucket.
///
/// # Errors
/// [`InvalidArgument`](Kind::InvalidArgument) if its name is too long.
pub fn partition(prefix: &str, bucket: &str) -> Result<String> {
    let partition = format!("{prefix}{bucket}");
    if partition.len() <= LONGEST_PARTITION {
        return Ok(partition);
    }
    Err(Error::invalid(format!(
        "the name of the bucket has {} bytes: DynamoDB does not support partition keys of more than {LONGEST_PARTITION} \
         bytes, with KEYVALUE_PREFIX before it",
        bucket.len()
    )))
}

/// The sort key of a key.
pub fn sort_key(key: &str) -> String {
    if key.len() <= LONGEST_SHORT {
        return format!("k{key}");
    }
    format!("{}{}", begins(key), hex(&Sha256::digest(key)))
}

/// What the sort keys of all keys with this prefix begin with.
pub fn begins(prefix: &str) -> String {
    // A character of which a part does not fit is left out, so this may have up to three bytes less than BEGINNING.
    let end = prefix.floor_char_boundary(BEGINNING.min(prefix.len()));
    format!("k{}", prefix.get(..end).unwrap_or_default())
}

/// The key of an item, which has to have its sort key.
pub fn key_of(item: &Item) -> Result<String> {
    let found = match (&item.sk, &item.key) {
        (Some(sort), Some(key)) if sort_key(&key.0) == sort.0 => Some(key.0.as_str()),
        (Some(sort), None) => sort.0.strip_prefix('k').filter(|key| key.len() <= LONGEST_SHORT),
        _ => None,
    };
    found.map(str::to_string).ok_or_else(damaged)
}

/// The value of an item.
pub fn value_of(item: Item) -> Result<Vec<u8>> {
    match (item.num, item.val) {
        (Some(number), None) => number.0.map(counter::format).ok_or_else(damaged),
        (None, Some(bytes)) => Ok(bytes.0.0),
        _ => Err(damaged()),
    }
}

/// When the item ends, in seconds since 1970.
pub fn end_of(item: &Item) -> Result<Option<i64>> {
    item.ttl.as_ref().map(|number| number.0.ok_or_else(damaged)).transpose()
}

pub fn damaged() -> Error {
    Error::new(Kind::Damaged, "the item in DynamoDB is not one that this store wrote; docs/dynamodb.md has the layout")
}

/// The attributes that identify an item.
pub fn identity(partition: &str, key: &str) -> Value {
    json!({ "pk": { "S": partition }, "sk": { "S": sort_key(key) } })
}

/// A whole item.
///
/// # Errors
/// [`InvalidArgument`](Kind::InvalidArgument) if it is larger than an item may be.
pub fn item(partition: &str, key: &str, value: &[u8], mark: &Mark, end: Option<i64>) -> Result<Value> {
    check_size(partition, key, value, end.is_some())?;
    let mut attributes = Map::new();
    attributes.insert("pk".into(), json!({ "S": partition }));
    attributes.insert("sk".into(), json!({ "S": sort_key(key) }));
    if is_long(key) {
        attributes.insert("key".into(), json!({ "S": key }));
    }
    match counter::parse(value) {
        Some(number) => attributes.insert("num".into(), json!({ "N": number.to_string() })),
        None => attributes.insert("val".into(), json!({ "B": Bytes::text(value) })),
    };
    attributes.insert("ver".into(), json!({ "B": Bytes::text(mark) }));
    if let Some(end) = end {
        attributes.insert("ttl".into(), json!({ "N": end.to_string() }));
    }
    Ok(Value::Object(attributes))
}

/// Whether the key is not a sort key as it is.
pub fn is_long(key: &str) -> bool {
    key.len() > LONGEST_SHORT
}

/// Whether a sort key is that of such a key.
pub fn is_long_sort(sort: &str) -> bool {
    sort.len() > LONGEST_SHORT.saturating_add(1)
}

/// The size of an item as DynamoDB counts it: the names of its attributes and their values, with 21 bytes for a number,
/// which is the most that it takes.
fn size(partition: &str, key: &str, value: &[u8], ends: bool) -> usize {
    let name_and_number = 3 + 21;
    let value = if counter::parse(value).is_some() { name_and_number } else { value.len().saturating_add(3) };
    let key = if is_long(key) { key.len().saturating_add(3 + 1 + BEGINNING + 64) } else { key.len().saturating_add(1) };
    let end = if ends { name_and_number } else { 0 };
    [2, partition.len(), 2, key, value, 3 + 16, end].into_iter().fold(0, usize::saturating_add)
}

/// Checks that an item is not larger than DynamoDB supports.
///
/// # Errors
/// [`InvalidArgument`](Kind::InvalidArgument) if it is.
pub fn check_size(partition: &str, key: &str, value: &[u8], ends: bool) -> Result<()> {
    if size(partition, key, value, ends) <= LARGEST {
        return Ok(());
    }
    Err(too_large(key, value))
}

/// The error for a value that makes an item larger than DynamoDB supports.
pub fn too_large(key: &str, value: &[u8]) -> Error {
    Error::invalid(format!(
        "a value of {} bytes with a key of {} bytes: DynamoDB does not support items of more than 400 KB ({LARGEST} bytes, in \
         which the name of the bucket and about 60 bytes more count as well); store it in parts, or in another store",
        value.len(),
        key.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::decode;

    fn read(item: &Value) -> Item {
        decode(&serde_json::to_vec(item).unwrap()).unwrap()
    }

    #[test]
    fn keys_and_values_come_back_and_only_counters_are_numbers() {
        for key in ["", "a", "k", "\0", "é/ü", &"x".repeat(940), &"x".repeat(941), &"é".repeat(5000)] {
            for value in [&b""[..], b"0", b"-9223372036854775808", b"9223372036854775808", b"007", b"-0", b"\xff\0"] {
                let item = read(&item("p", key, value, &[7; 16], Some(5)).unwrap());
                assert_eq!(key_of(&item).unwrap(), key);
                assert_eq!(item.num.is_some(), counter::parse(value).is_some());
                assert_eq!(end_of(&item), Ok(Some(5)));
                assert_eq!(value_of(item).unwrap(), value);
            }
        }
    }

    #[test]
    fn sort_keys_are_never_empty_or_too_long_and_keep_prefixes() {
        let keys: Vec<String> = (900..1100)
            .flat_map(|length| {
                [["x".repeat(length)], ["é".repeat(length)], [format!("x{}", "\u{1f600}".repeat(length))]].concat()
            })
            .collect();
        let mut sorts: Vec<_> = keys.iter().map(|key| sort_key(key)).collect();
        assert!(sorts.iter().all(|sort| (1..=1024).contains(&sort.len())));
        sorts.sort();
        sorts.dedup();
        assert_eq!(sorts.len(), keys.len(), "no two keys have one");
        for key in &keys {
            for end in (0..=key.len()).filter(|end| key.is_char_boundary(*end)) {
                assert!(sort_key(key).starts_with(&begins(key.get(..end).unwrap())), "{end} bytes of {}", key.len());
            }
        }
        // A short key that looks like the sort key of a long one has a shorter one.
        assert!(keys.iter().filter(|key| key.len() > LONGEST_SHORT).all(|key| sort_key(key).len() > 1 + LONGEST_SHORT));
    }

    #[test]
    fn an_item_of_400_kb_is_made_and_a_larger_one_is_refused_with_the_reason() {
        let size = |value: usize| item("partition", "key", &vec![1; value], &[7; 16], None).map(|_| ());
        // pk, partition, sk, kkey, ver, mark, val
        let rest = 2 + 9 + 2 + 4 + 3 + 16 + 3;
        assert_eq!(size(409_600 - rest), Ok(()));
        let error = size(409_600 - rest + 1).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("400 KB"), "{error}");
        assert!(item("p", &"k".repeat(1 << 20), b"", &[7; 16], None).is_err());
    }

    #[test]
    fn what_this_store_did_not_write_is_damaged() {
        for text in [
            r#"{"sk":{"S":"kkey"},"key":{"S":"other"},"val":{"B":"AA=="}}"#,
            r#"{"sk":{"S":"other"},"num":{"N":"1.5"}}"#,
            r#"{"num":{"N":"1e5"}}"#,
            r#"{"key":{"S":"key"},"num":{"N":"9223372036854775808"}}"#,
            r#"{"val":{"B":"AA=="},"num":{"N":"1"},"ttl":{"N":"1.5"}}"#,
        ] {
            let item: Item = decode(text.as_bytes()).unwrap();
            assert_eq!(key_of(&item).unwrap_err().kind(), Kind::Damaged, "{text}");
            assert!(item.ttl.is_none() || end_of(&item).is_err(), "{text}");
            assert!(value_of(item).is_err() || text.contains(r#""B":"AA=="}}"#), "{text}");
        }
    }
}
