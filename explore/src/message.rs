//! What the page asks and what it is answered.
//!
//! A request is a `POST` to `api/<name>`. Its body is a line of JSON and, behind a line feed, the bytes of a value where the
//! request has one. Answers have the same form. So keys of any length and values of any bytes pass unchanged.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Which state of a key the page has seen: 32 hexadecimal digits that differ from value to value, `None` if the key does not
/// exist. They are the beginning of the value's SHA-256.
pub type Version = Option<String>;

/// The version of a value.
///
/// ```
/// // The beginning of the SHA-256 of no bytes (FIPS 180-4).
/// assert_eq!(kvfuse_explorer::message::version(b""), "e3b0c44298fc1c149afbf4c8996fb924");
/// ```
pub fn version(value: &[u8]) -> String {
    Sha256::digest(value).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// `api/keys`: some of a bucket's keys.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The bucket.
    pub bucket: String,
    /// Only keys that begin with this.
    #[serde(default)]
    pub prefix: String,
    /// Where to continue.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// The answer to [`Keys`].
#[derive(Serialize, Debug, Default)]
pub struct Listed {
    /// Those that match, in the store's order.
    pub keys: Vec<String>,
    /// Where to continue; `None` at the end. There may be more keys although none of these match.
    pub cursor: Option<String>,
    /// How many keys were read to find them.
    pub read: usize,
}

/// `api/get`: the value of a key.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// At most so many bytes of it, from its beginning.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Only if it is another one than this.
    #[serde(default)]
    pub unless: Option<String>,
}

/// `api/set`: sets a key, if it still has the value that the page has seen. The value follows.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// What the page has seen.
    pub seen: Version,
}

/// `api/delete`: deletes a key, if it still has the value that the page has seen.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// What the page has seen.
    pub seen: Version,
}

/// `api/increment`: adds to a counter.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Increment {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Decimal: not every 64-bit number is one of JavaScript's.
    pub delta: String,
}

/// The answer to [`Increment`].
#[derive(Serialize, Debug)]
pub struct Sum {
    /// Decimal.
    pub sum: String,
}

/// A key's present state: the answer to [`Get`], [`Set`] and [`Delete`]. Beside a status of 409, what was asked was not
/// done, because this is not what the page has seen.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct State {
    /// Which value it has.
    pub version: Version,
    /// The size of the value in bytes; 0 if the key does not exist.
    pub size: usize,
    /// The value is the one that the page has, and does not follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub same: bool,
}

impl State {
    /// The state of a key with this value.
    pub fn of(value: Option<&[u8]>) -> Self {
        Self { version: value.map(version), size: value.map_or(0, <[u8]>::len), same: false }
    }
}

/// `api/about`: what there is beside the keys.
#[derive(Serialize, Debug, Default)]
pub struct About {
    /// The store, for the title.
    pub store: Option<String>,
    /// Whether `api/buckets` lists the buckets.
    pub buckets: bool,
    /// Whether `api/stat` describes the store's files.
    pub stat: bool,
    /// Whether `api/changes` tells what changes.
    pub watch: bool,
}

/// `api/changes`: what changes in a bucket from now on, as lines of JSON, each a [`Changed`]. Answered by `kvfuse explore`, until
/// the store cannot be reached any more. The status is 501 if the store cannot be watched.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The bucket.
    pub bucket: String,
}

/// Keys that have changed. A key may have changed again since.
#[derive(Serialize, Debug, Default)]
pub struct Changed {
    /// Keys that were set.
    pub set: Vec<String>,
    /// Keys that were deleted.
    pub deleted: Vec<String>,
    /// Any others may have changed as well: at the beginning, and where the store could not tell.
    pub all: bool,
}

/// `api/stat`: what the files of a store contain. Answered by `kvfuse explore`, with what `kvfuse stat --json` prints.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    /// Whether value files are read as well.
    pub verify: bool,
}

/// The answer to `api/buckets`, from `kvfuse explore`.
#[derive(Serialize, Debug)]
pub struct Buckets {
    /// Those whose names are known.
    pub buckets: Vec<String>,
}

/// What an answer with another status than 200 and 409 says.
#[derive(Serialize, Debug)]
pub struct Problem {
    /// What went wrong, and what to do.
    pub error: String,
}

/// A request's line of JSON, and the value behind it.
///
/// # Errors
/// What is wrong with it. Never any of the value.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<(T, &'a [u8]), String> {
    let end = body.iter().position(|byte| *byte == b'\n');
    let (line, value) = match end {
        Some(end) => (body.get(..end).unwrap_or_default(), body.get(end + 1..).unwrap_or_default()),
        None => (body, &[][..]),
    };
    // Of data that is wrong the message has the value, so only the place is taken over.
    let read = serde_json::from_slice(line);
    read.map(|head| (head, value)).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => "a field is missing, unknown or of another type".to_string(),
        _ => format!("it is not JSON at byte {}", e.column()),
    })
}

/// A line of JSON, and a value behind it.
pub fn write(head: &impl Serialize, value: &[u8]) -> Vec<u8> {
    // Strings, numbers and booleans always have a JSON form.
    let mut body = serde_json::to_vec(head).unwrap_or_default();
    body.push(b'\n');
    body.extend_from_slice(value);
    body
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_line_feeds_and_zeros_follows_the_first_line() {
        let (head, value) = read::<Set>(b"{\"bucket\":\"b\",\"key\":\"a\\nb\",\"seen\":null}\n\n\0\xff\n").unwrap();
        assert_eq!((head.key.as_str(), head.seen, value), ("a\nb", None, &b"\n\0\xff\n"[..]));
        let body = write(&State { version: Some("v".into()), size: 3, same: false }, b"a\nb");
        assert_eq!(body, b"{\"version\":\"v\",\"size\":3}\na\nb");
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said_without_what_it_contains() {
        for body in ["{", "", "{\"bucket\":\"secret\"}", "{\"bucket\":1,\"secret\":2}", "[\"secret\"]"] {
            let said = read::<Set>(body.as_bytes()).unwrap_err();
            assert!(!said.is_empty() && !said.contains("secret"), "{body}: {said}");
        }
    }
}
