//! What several generations use.

use crate::{Provider, WaitingProvider};
use kvfuse_core::{Bucket, Error, Kind, Result, Swap, counter};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// An open bucket, where a generation has no more to keep.
pub struct Opened<P>(pub Rc<dyn Bucket>, PhantomData<P>);

impl<P: Provider> Opened<P> {
    pub fn open(identifier: &str) -> Result<Self> {
        P::with_store(|store| Ok(Self(store.open(identifier)?, PhantomData)))
    }
}

/// An open bucket whose calls wait beside each other.
pub struct WaitingOpened<P: WaitingProvider>(pub Rc<P::Bucket>);

impl<P: WaitingProvider> WaitingOpened<P> {
    pub fn open(identifier: &str) -> Result<Self> {
        P::open(identifier).map(|bucket| Self(Rc::new(bucket)))
    }
}

pub fn strs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

pub fn pairs(key_values: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    key_values.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect()
}

/// The result of a call, which does not return before it has waited once: of a call that returns at once, wasmtime 46 to 49 keep
/// some hundred bytes for as long as the instance lives.
pub async fn settled<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut turn = 0;
    let mut done = None;
    poll_fn(|context| {
        turn += 1;
        if done.is_none()
            && let Poll::Ready(result) = call.as_mut().poll(context)
        {
            done = Some(result);
        }
        if turn > 1 {
            return done.take().map_or(Poll::Pending, Poll::Ready);
        }
        if done.is_some() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// Each key with its value, if any: the result of `get-many` in one shape.
pub fn zip(keys: Vec<String>, values: Vec<Option<Vec<u8>>>) -> Vec<(String, Option<Vec<u8>>)> {
    keys.into_iter().zip(values).collect()
}

/// The key and value of each key that exists: the result of `get-many` in the other shape.
pub fn present(keys: Vec<String>, values: Vec<Option<Vec<u8>>>) -> Vec<Option<(String, Vec<u8>)>> {
    keys.into_iter().zip(values).map(|(key, value)| Some((key, value?))).collect()
}

/// All keys of a bucket, for generations without pages.
pub fn all_keys(bucket: &dyn Bucket) -> Result<Vec<String>> {
    let mut page = bucket.list(None)?;
    let mut keys = std::mem::take(&mut page.keys);
    while let Some(cursor) = page.cursor {
        page = bucket.list(Some(&cursor))?;
        keys.append(&mut page.keys);
    }
    Ok(keys)
}

/// The message before a trap, when a call failed and its signature has no place for the error.
pub fn no_place_for(call: &str, error: &Error) -> String {
    format!("wasi:keyvalue: {call}: {error}; this generation of the interface has no error for {call}, so it traps")
}

/// Adds to a counter, in a generation that counts in `u64`.
pub fn increment(bucket: &dyn Bucket, key: &str, delta: u64) -> Result<u64> {
    Ok(bucket.increment(key, signed(delta)?, 0)?.unsigned_abs())
}

/// The most attempts at a swap of counters while others write the key. Each conflict means that another writer made
/// progress, so this is only reached if something is badly wrong.
pub const TRIES: usize = 1000;

/// Replaces the number `old` in a counter by `new`. Returns false if the key holds anything else or does not exist.
pub fn compare_and_swap(bucket: &dyn Bucket, key: &str, old: u64, new: u64) -> Result<bool> {
    let new = counter::format(signed(new)?);
    let mut state = bucket.snapshot(key)?;
    for _ in 0..TRIES {
        let number = state.value.as_deref().and_then(counter::parse);
        if number.and_then(|number| u64::try_from(number).ok()) != Some(old) {
            return Ok(false);
        }
        match bucket.swap(key, &state.version, &new)? {
            Swap::Done => return Ok(true),
            Swap::Conflict(now) => state = now,
        }
    }
    Err(too_many_conflicts())
}

pub fn too_many_conflicts() -> Error {
    Error::new(Kind::Unavailable, format!("other clients wrote the key {TRIES} times in between; nothing was changed"))
}

/// Converts a number of a generation that counts in `u64`. Counters are signed, so not every number fits.
fn signed(delta: u64) -> Result<i64> {
    i64::try_from(delta).map_err(|_| {
        Error::invalid(format!(
            "{delta} is more than 9223372036854775807, the largest number that a counter can hold; the counter was \
             left unchanged"
        ))
    })
}

/// Numbers from here on stand for cursors kept in the instance. Those below are the store's own.
const KEPT_FROM: u64 = 1 << 63;
/// The most cursors that an instance keeps. Older ones are forgotten.
const KEPT: usize = 4096;

thread_local! {
    static CURSORS: RefCell<Kept> = const { RefCell::new(Kept { first: KEPT_FROM, cursors: Vec::new() }) };
}

struct Kept {
    /// The number of `cursors[0]`.
    first: u64,
    cursors: Vec<String>,
}

/// The number that a generation with `u64` cursors returns for a cursor of the store. [`Page`](kvfuse_core::Page) says
/// which cursors have to be kept.
pub fn number_from_cursor(cursor: String) -> u64 {
    if let Some(number) = cursor.parse::<u64>().ok().filter(|n| *n < KEPT_FROM && n.to_string() == cursor) {
        return number;
    }
    CURSORS.with_borrow_mut(|kept| {
        if kept.cursors.len() >= KEPT {
            kept.cursors.drain(..KEPT / 2);
            kept.first += (KEPT / 2) as u64;
        }
        kept.cursors.push(cursor);
        kept.first + kept.cursors.len() as u64 - 1
    })
}

/// The store's cursor for such a number.
pub fn cursor_from_number(number: u64) -> Result<String> {
    if number < KEPT_FROM {
        return Ok(number.to_string());
    }
    CURSORS
        .with_borrow(|kept| {
            let index = usize::try_from(number.checked_sub(kept.first)?).ok()?;
            kept.cursors.get(index).cloned()
        })
        .ok_or_else(|| {
            Error::invalid(
                "this cursor is unknown: with this store and this generation of the interface, a cursor is only valid \
                 in the instance that returned it, and not forever; start the listing again without one",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_that_are_numbers_pass_unchanged_and_others_come_back_from_the_instance() {
        for cursor in ["0", "17", "9223372036854775807"] {
            assert_eq!(number_from_cursor(cursor.into()).to_string(), cursor);
            assert_eq!(cursor_from_number(cursor.parse().unwrap()).unwrap(), cursor);
        }
        for cursor in ["", "007", "+1", "a/b", "9223372036854775808", "18446744073709551616"] {
            let number = number_from_cursor(cursor.into());
            assert!(number >= KEPT_FROM);
            assert_eq!(cursor_from_number(number).unwrap(), cursor);
        }
        assert!(cursor_from_number(u64::MAX).is_err());
    }

    #[test]
    fn old_cursors_are_forgotten_with_an_error_and_never_confused() {
        let first = number_from_cursor("first".into());
        let numbers: Vec<u64> = (0..3 * KEPT).map(|n| number_from_cursor(format!("c{n}"))).collect();
        assert!(cursor_from_number(first).is_err());
        let last = numbers.len() - 1;
        assert_eq!(cursor_from_number(numbers[last]).unwrap(), format!("c{last}"));
        assert_eq!(cursor_from_number(numbers[last - KEPT / 2]).unwrap(), format!("c{}", last - KEPT / 2));
    }
}
