//! What every generation promises.

use crate::check::{holds, listed, not_supported, ok, refused, same};
use crate::{Bucket, Case, Failure, Subject, Verdict};

/// All of it.
pub const ALL: &[&[Case]] = &[KEYS, DELETE_MISSING, MISSING, LISTING, COUNTERS, BATCHES, MISSING_OF_MANY];

/// Single keys.
pub const KEYS: &[Case] = &[
    // Where a bucket is only a name in each call, reading opens it.
    ("a bucket opens", |s| ok("exists", s.open()?.exists("key")).map(drop)),
    ("get gives the value that was set", get_gives_the_value),
    ("set gives a key that is there a new value", set_overwrites),
    ("a read after a write gives that write, each time", reads_own_writes),
    ("a read through another handle of the same bucket gives what was written", another_handle),
    ("what was written is there after every handle was dropped", handles_dropped),
    ("a value may hold any bytes", any_bytes),
    ("a value may be empty, which is not the same as no value", empty_value),
    ("a value of 1 MiB comes back as it was", large_value),
    ("keys that differ in one character are different keys", similar_keys),
    ("delete removes the key and its value", delete_removes),
    ("exists is true of a key that is there and false of one that is not", exists_tells),
];

/// Deleting what is not there.
pub const DELETE_MISSING: &[Case] = &[("delete of a key that is not there does nothing", delete_missing)];

/// A missing key, where `get` reports it without an error.
pub const MISSING: &[Case] = &[("get of a key that is not there gives none", get_missing)];

/// The same for `get-many`.
pub const MISSING_OF_MANY: &[Case] = &[("get-many gives none for a key that is not there", get_many_missing)];

/// Stores by their names, where a consumer opens a few that it was configured with.
pub const STORES: &[Case] = &[
    ("the store `default` opens", |s| ok("open", (s.opener)("default")).map(drop)),
    ("stores of two names have nothing in common", two_stores),
];

/// Listing.
pub const LISTING: &[Case] = &[
    ("an empty bucket lists no keys", list_empty),
    ("a listing gives every key exactly once, however many pages it takes", list_all),
    ("a deleted key is not listed", list_deleted),
];

/// Counters.
pub const COUNTERS: &[Case] = &[
    ("increment of a key that is not there sets it to the delta", increment_missing),
    ("increment gives the new value, each time", increment_adds),
    ("increment by nothing gives the value and changes nothing", increment_by_zero),
    ("a counter can be read and deleted as any key", counter_is_a_key),
    ("increment of a value that is not a number is an error and changes nothing", increment_text),
    ("increment past the largest number is an error and changes nothing", increment_overflow),
];

/// Batches.
pub const BATCHES: &[Case] = &[
    ("get-many gives the values in the order of the keys", get_many_order),
    ("set-many sets every key, new or not", set_many_sets),
    ("delete-many removes the keys that are there and skips the others", delete_many_skips),
    ("a batch of no keys succeeds", empty_batches),
    ("a batch of 500 keys is carried out whole", large_batch),
];

fn get(bucket: &dyn Bucket, key: &str) -> Result<Option<Vec<u8>>, Failure> {
    ok("get", bucket.get(key))
}

fn set(bucket: &dyn Bucket, key: &str, value: &[u8]) -> Verdict {
    ok("set", bucket.set(key, value))
}

fn get_gives_the_value(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "key", b"value")?;
    same("get", get(&*bucket, "key")?, Some(b"value".to_vec()))
}

fn get_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    same("get", get(&*bucket, "nobody set this")?, None)
}

fn two_stores(subject: &Subject) -> Verdict {
    let (one, other) = (subject.open()?, ok("open", (subject.opener)(&format!("{}2", subject.name)))?);
    set(&*one, "key", b"value")?;
    same("exists in the other", ok("exists", other.exists("key"))?, false)?;
    set(&*other, "key", b"another")?;
    same("get", get(&*one, "key")?, Some(b"value".to_vec()))
}

fn set_overwrites(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "key", b"a long first value")?;
    set(&*bucket, "key", b"second")?;
    same("get", get(&*bucket, "key")?, Some(b"second".to_vec()))
}

fn reads_own_writes(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    for n in 0..200u32 {
        let value = n.to_string().into_bytes();
        set(&*bucket, "key", &value)?;
        same("get", get(&*bucket, "key")?, Some(value))?;
    }
    ok("delete", bucket.delete("key"))?;
    same("exists after delete", ok("exists", bucket.exists("key"))?, false)
}

fn another_handle(subject: &Subject) -> Verdict {
    let (one, other) = (subject.open()?, subject.open()?);
    set(&*one, "key", b"by one")?;
    same("exists through the other", ok("exists", other.exists("key"))?, true)?;
    same("get through the other", get(&*other, "key")?, Some(b"by one".to_vec()))?;
    set(&*other, "key", b"by the other")?;
    same("get through the first", get(&*one, "key")?, Some(b"by the other".to_vec()))
}

fn handles_dropped(subject: &Subject) -> Verdict {
    set(&*subject.open()?, "key", b"value")?;
    let bucket = subject.open()?;
    same("exists", ok("exists", bucket.exists("key"))?, true)?;
    same("get", get(&*bucket, "key")?, Some(b"value".to_vec()))
}

fn any_bytes(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    let value: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    set(&*bucket, "key", &value)?;
    same("get", get(&*bucket, "key")?, Some(value))
}

fn empty_value(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "key", b"")?;
    same("get", get(&*bucket, "key")?, Some(Vec::new()))?;
    same("exists", ok("exists", bucket.exists("key"))?, true)
}

fn large_value(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    let value: Vec<u8> = (0..1u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    // An engine may have a lower limit. The error of some generations has no place for the reason.
    bucket.set("key", &value).map_err(|error| match error.as_str() {
        "invalid-argument" => Failure::Unsupported(error),
        _ => not_supported("set", error),
    })?;
    holds("the value came back different", get(&*bucket, "key")?.as_ref() == Some(&value))
}

fn similar_keys(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    let keys =
        ["key", "Key", "key ", " key", "key/", "key.", "key\0", "../key", "clé", "cle\u{301}", "鍵", "🔑", "%6Bey"];
    for key in keys {
        set(&*bucket, key, key.as_bytes())?;
    }
    for key in keys {
        same(key, get(&*bucket, key)?, Some(key.as_bytes().to_vec()))?;
    }
    Ok(())
}

fn delete_removes(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "key", b"value")?;
    set(&*bucket, "neighbour", b"value")?;
    ok("delete", bucket.delete("key"))?;
    same("exists", ok("exists", bucket.exists("key"))?, false)?;
    same("exists of its neighbour", ok("exists", bucket.exists("neighbour"))?, true)?;
    set(&*bucket, "key", b"again")?;
    same("get after setting it again", get(&*bucket, "key")?, Some(b"again".to_vec()))
}

fn delete_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "neighbour", b"value")?;
    ok("delete of a key never set", bucket.delete("key"))?;
    set(&*bucket, "key", b"value")?;
    ok("delete", bucket.delete("key"))?;
    ok("a second delete", bucket.delete("key"))?;
    same("get of its neighbour", get(&*bucket, "neighbour")?, Some(b"value".to_vec()))
}

fn exists_tells(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    same("exists before", ok("exists", bucket.exists("key"))?, false)?;
    set(&*bucket, "key", b"value")?;
    same("exists after", ok("exists", bucket.exists("key"))?, true)
}

fn all_keys(bucket: &dyn Bucket) -> Result<Vec<String>, Failure> {
    let (mut keys, mut cursor) = listed("listing", bucket.list(None))?;
    let mut pages = 1;
    while let Some(at) = cursor {
        let page = ok("listing the next page", bucket.list(Some(&at)))?;
        keys.extend(page.0);
        cursor = page.1;
        pages += 1;
        holds("the listing has no end", pages < 100_000)?;
    }
    keys.sort();
    Ok(keys)
}

fn list_empty(subject: &Subject) -> Verdict {
    same("the listing", all_keys(&*subject.open()?)?, Vec::new())
}

fn list_all(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    let wanted: Vec<String> = (0..2500).map(|n| format!("key {n:04}")).collect();
    for key in &wanted {
        set(&*bucket, key, b"value")?;
    }
    let keys = all_keys(&*bucket)?;
    same("the number of keys", keys.len(), wanted.len())?;
    holds("other keys were listed than were set", keys == wanted)
}

fn list_deleted(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    for key in ["a", "b", "c"] {
        set(&*bucket, key, b"value")?;
    }
    ok("delete", bucket.delete("b"))?;
    same("the listing", all_keys(&*bucket)?, vec!["a".to_string(), "c".to_string()])
}

fn increment_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    same("increment", ok("increment", bucket.increment("counter", 5))?, 5)?;
    same("exists", ok("exists", bucket.exists("counter"))?, true)
}

fn increment_adds(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    let mut sum = 0;
    for delta in [1, 10, 1, 1_000_000_007, 1 << 40] {
        sum += i128::from(delta);
        same("increment", ok("increment", bucket.increment("counter", delta))?, sum)?;
    }
    Ok(())
}

fn increment_by_zero(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    same("increment of a missing key", ok("increment", bucket.increment("counter", 0))?, 0)?;
    ok("increment", bucket.increment("counter", 7))?;
    same("increment by 0", ok("increment", bucket.increment("counter", 0))?, 7)
}

fn counter_is_a_key(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    ok("increment", bucket.increment("counter", 3))?;
    holds("a counter has no value", get(&*bucket, "counter")?.is_some())?;
    ok("delete", bucket.delete("counter"))?;
    same("increment after delete", ok("increment", bucket.increment("counter", 1))?, 1)
}

fn increment_text(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "key", b"not a number")?;
    refused("increment", bucket.increment("key", 1))?;
    same("get", get(&*bucket, "key")?, Some(b"not a number".to_vec()))
}

/// The largest value of a counter differs from generation to generation, so it is approached by the largest delta, until
/// one more step exceeds it in each of them.
fn increment_overflow(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    let mut last = 0;
    for _ in 0..4 {
        match bucket.increment("counter", i64::MAX as u64) {
            Ok(sum) => {
                same("increment", sum, last + i128::from(i64::MAX))?;
                last = sum;
            }
            Err(_) => return same("increment by 0", ok("increment", bucket.increment("counter", 0))?, last),
        }
    }
    Err(Failure::Failed(format!("the counter reached {last}")))
}

fn get_many(bucket: &dyn Bucket, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    ok("get-many", bucket.get_many(keys))
}

fn get_many_order(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    for key in ["a", "b", "c"] {
        set(&*bucket, key, key.as_bytes())?;
    }
    let wanted = ["c", "a", "b", "a"].map(|key| Some(key.as_bytes().to_vec())).to_vec();
    same("get-many", get_many(&*bucket, &["c", "a", "b", "a"])?, wanted)
}

fn get_many_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "a", b"1")?;
    same("get-many", get_many(&*bucket, &["missing", "a"])?, vec![None, Some(b"1".to_vec())])?;
    same("get-many of missing keys only", get_many(&*bucket, &["x", "y"])?, vec![None, None])
}

fn set_many_sets(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    set(&*bucket, "old", b"before")?;
    ok("set-many", bucket.set_many(&[("new", b"1"), ("old", b"after"), ("empty", b"")]))?;
    for (key, value) in [("new", "1"), ("old", "after"), ("empty", "")] {
        same(key, get(&*bucket, key)?, Some(value.as_bytes().to_vec()))?;
    }
    Ok(())
}

fn delete_many_skips(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    for key in ["a", "b", "c"] {
        set(&*bucket, key, b"value")?;
    }
    ok("delete-many", bucket.delete_many(&["a", "missing", "c"]))?;
    for (key, there) in [("a", false), ("b", true), ("c", false), ("missing", false)] {
        same(key, ok("exists", bucket.exists(key))?, there)?;
    }
    Ok(())
}

fn empty_batches(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    same("get-many", get_many(&*bucket, &[])?, Vec::new())?;
    ok("set-many", bucket.set_many(&[]))?;
    ok("delete-many", bucket.delete_many(&[]))
}

fn large_batch(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    let keys: Vec<String> = (0..500).map(|n| format!("key {n}")).collect();
    let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), key.as_bytes())).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    ok("set-many", bucket.set_many(&pairs))?;
    let values = get_many(&*bucket, &keys)?;
    holds("get-many gave other values", values.iter().zip(&keys).all(|(v, k)| v.as_deref() == Some(k.as_bytes())))?;
    same("the number of values", values.len(), keys.len())?;
    ok("delete-many", bucket.delete_many(&keys))?;
    same("exists", ok("exists", bucket.exists("key 250"))?, false)
}
