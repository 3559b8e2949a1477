//! One instance that reads commands from standard input, one on each line, so that a test can do something to its
//! server in between.
//!
//! ```text
//! get K          = V, or = alone if the key does not exist
//! set K V        =
//! incr K N       = the counter
//! get-many K…    = how many of them exist
//! exists K       = true or false
//! delete K       =
//! cas K          = the value that a swap would start from
//! list           = how many keys there are
//! ```
//! Before each, `in BUCKET: ` names another bucket than the one without a name.
//! The answer to a command that fails is `! ` and the error.

wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use std::io::Write as _;
use wasi::keyvalue::store::{self, Bucket, Error};
use wasi::keyvalue::{atomics, batch};

fn main() {
    let mut out = std::io::stdout();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let other = line.strip_prefix("in ").and_then(|rest| rest.split_once(": "));
        let (name, order) = other.unwrap_or(("", &line));
        let words: Vec<&str> = order.split(' ').collect();
        let answer = match store::open(name).and_then(|bucket| obey(&bucket, &words)) {
            Ok(text) => format!("= {text}\n"),
            Err(Error::Other(text)) => format!("! {}\n", text.escape_debug()),
            Err(error) => format!("! {error:?}\n"),
        };
        out.write_all(answer.as_bytes()).and_then(|()| out.flush()).expect("someone listens");
    }
}

fn obey(bucket: &Bucket, words: &[&str]) -> Result<String, Error> {
    match words {
        ["get", key] => {
            Ok(bucket.get(key)?.map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default())
        }
        ["set", key, value] => bucket.set(key, value.as_bytes()).map(|()| String::new()),
        ["incr", key, delta] => Ok(atomics::increment(bucket, key, delta.parse().expect("a number"))?.to_string()),
        ["get-many", keys @ ..] => {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            Ok(batch::get_many(bucket, &keys)?.iter().filter(|(_, value)| value.is_some()).count().to_string())
        }
        ["exists", key] => Ok(bucket.exists(key)?.to_string()),
        ["delete", key] => bucket.delete(key).map(|()| String::new()),
        ["cas", key] => {
            let current = atomics::Cas::new(bucket, key)?.current()?;
            Ok(current.map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default())
        }
        ["list"] => Ok(bucket.list_keys(None)?.keys.len().to_string()),
        other => panic!("unknown command {other:?}"),
    }
}
