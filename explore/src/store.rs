//! The calls of `wasi:keyvalue`.

use crate::message::{Delete, Get, Increment, Keys, Listed, Set, State, Sum, version};
use wasi::keyvalue::atomics::{self, Cas, CasError};
use wasi::keyvalue::store::{self, Bucket, Error};

wit_bindgen::generate!({ path: "../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

/// A listing answers once it has so many keys,
const ENOUGH: usize = 200;
/// or so many bytes of keys,
const ENOUGH_BYTES: usize = 4 << 20;
/// or has read so many keys of which few matched.
const READ: usize = 20_000;

/// How often a swap is tried while others write the same value again and again.
const ATTEMPTS: usize = 8;

/// Why an operation has no answer.
pub enum Failed {
    /// The store returned an error.
    Store(String),
    /// The key is not as the page has seen it. Nothing was done.
    Conflict(State),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Store(match error {
            Error::NoSuchStore => "there is no such bucket, and the store does not create buckets".into(),
            Error::AccessDenied => {
                "access is denied: the login has to be allowed to do this, and KEYVALUE_BUCKETS, if it is set, has to name \
                 the bucket"
                    .into()
            }
            Error::Other(text) => text,
        })
    }
}

pub fn keys(asked: &Keys) -> Result<Listed, Failed> {
    let bucket = store::open(&asked.bucket)?;
    let mut listed = Listed { cursor: asked.cursor.clone(), ..Listed::default() };
    let mut bytes = 0;
    loop {
        let page = bucket.list_keys(listed.cursor.as_deref())?;
        listed.read += page.keys.len();
        listed.cursor = page.cursor;
        for key in page.keys {
            if key.starts_with(&asked.prefix) {
                bytes += key.len();
                listed.keys.push(key);
            }
        }
        if listed.cursor.is_none() || listed.keys.len() >= ENOUGH || bytes >= ENOUGH_BYTES || listed.read >= READ {
            return Ok(listed);
        }
    }
}

/// The state of a key, and its value or the beginning of it.
pub fn get(asked: &Get) -> Result<(State, Vec<u8>), Failed> {
    let value = store::open(&asked.bucket)?.get(&asked.key)?;
    let mut state = State::of(value.as_deref());
    state.same = asked.unless.is_some() && asked.unless == state.version;
    let mut value = value.unwrap_or_default();
    value.truncate(if state.same { 0 } else { asked.limit.unwrap_or(usize::MAX) });
    Ok((state, value))
}

/// The page's versions are those of values. A handle lives no longer than its request, so the value that the page has
/// seen is compared with the one that the handle is on, and the swap fails if anything is written after that.
pub fn set(asked: &Set, value: &[u8]) -> Result<State, Failed> {
    let bucket = store::open(&asked.bucket)?;
    let mut handle = Cas::new(&bucket, &asked.key)?;
    for _ in 0..ATTEMPTS {
        as_seen(&asked.seen, handle.current()?.as_deref())?;
        handle = match atomics::swap(handle, value) {
            Ok(()) => return Ok(State { version: Some(version(value)), size: value.len(), same: false }),
            // It was written in between. If that left the value that the page has seen, it may still be replaced.
            Err(CasError::CasFailed(now)) => now,
            Err(CasError::StoreError(error)) => return Err(error.into()),
        };
    }
    Err(Failed::Store("others write this key all the time: try again".into()))
}

/// The interface has no conditional delete, so a write between the comparison and the deletion is lost.
pub fn delete(asked: &Delete) -> Result<State, Failed> {
    let bucket: Bucket = store::open(&asked.bucket)?;
    as_seen(&asked.seen, bucket.get(&asked.key)?.as_deref())?;
    bucket.delete(&asked.key)?;
    Ok(State::of(None))
}

pub fn increment(asked: &Increment) -> Result<Sum, Failed> {
    let delta = asked.delta.parse();
    let delta = delta.map_err(|_| Failed::Store("the step is not a whole number between -2^63 and 2^63-1".into()))?;
    let bucket = store::open(&asked.bucket)?;
    Ok(Sum { sum: atomics::increment(&bucket, &asked.key, delta)?.to_string() })
}

fn as_seen(seen: &Option<String>, now: Option<&[u8]>) -> Result<(), Failed> {
    let now = State::of(now);
    if *seen == now.version { Ok(()) } else { Err(Failed::Conflict(now)) }
}
