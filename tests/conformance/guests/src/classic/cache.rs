//! The cache.

use super::{Classic, Entry, value};
use crate::check::{holds, listed, ok, same};
use crate::{Case, Failure, Subject, Verdict};
use wasip2::io::poll;

pub fn cache<C: Classic>() -> Vec<Case> {
    vec![
        ("the cache gives none for a key that was never set", missing::<C>),
        ("the cache gives the value that was set, and exists is true of it", set_and_get::<C>),
        ("setting a key of the cache again updates its value in place", update::<C>),
        ("delete removes a key from the cache, and a missing key is not an error", delete::<C>),
        ("an entry of the cache is gone after its time to live", expires::<C>),
        ("an entry of the cache with much time to live is kept", kept::<C>),
        ("an entry of the cache set again without a time to live stays", stays::<C>),
        ("the cache lies apart from the buckets", apart::<C>),
        ("a future of the cache gives its result once its pollable is ready", futures::<C>),
        ("get-or-set of a key that is there is occupied by its value", occupied::<C>),
        ("a vacancy that is filled is the entry", fill::<C>),
        ("a vacancy can be filled for a time to live", fill_expires::<C>),
        ("get-or-set waits while the key's vacancy is out, and then finds the entry", rendezvous::<C>),
        ("a vacancy that is dropped is free for the next, and leaves nothing", dropped::<C>),
        ("vacancies of different keys do not wait for each other", two_keys::<C>),
    ]
}

/// There is one cache for all buckets. On a target that keeps data between cases, the bucket's name tells keys apart.
fn own(subject: &Subject, key: &str) -> String {
    format!("{}/{key}", subject.name)
}

fn get<C: Classic>(subject: &Subject, key: &str) -> Result<Option<Vec<u8>>, Failure> {
    let value = C::cache_get(&own(subject, key)).wait("get")?;
    value.map(|value| ok("consuming a value", C::consume(value))).transpose()
}

fn exists<C: Classic>(subject: &Subject, key: &str) -> Result<bool, Failure> {
    C::cache_exists(&own(subject, key)).wait("exists")
}

fn set<C: Classic>(subject: &Subject, key: &str, bytes: &[u8], ttl_ms: Option<u32>) -> Verdict {
    let value = ok("writing a value", value::<C>(bytes))?;
    C::cache_set(&own(subject, key), &value, ttl_ms).wait("set")
}

fn vacancy<C: Classic>(subject: &Subject, key: &str) -> Result<C::Vacancy, Failure> {
    match C::cache_get_or_set(&own(subject, key)).wait("get-or-set")? {
        Entry::Vacant(vacancy) => Ok(vacancy),
        Entry::Occupied(_) => Err(Failure::Failed("get-or-set found an entry that nobody made".into())),
    }
}

fn entry<C: Classic>(subject: &Subject, key: &str) -> Result<Vec<u8>, Failure> {
    match C::cache_get_or_set(&own(subject, key)).wait("get-or-set")? {
        Entry::Occupied(value) => ok("consuming a value", C::consume(value)),
        Entry::Vacant(_) => Err(Failure::Failed("get-or-set gave a vacancy where there is an entry".into())),
    }
}

/// Waits until an entry is gone. The guests do not import a clock, so the limit is a number of calls.
fn gone<C: Classic>(subject: &Subject, key: &str) -> Verdict {
    for _ in 0..5_000_000 {
        if get::<C>(subject, key)?.is_none() {
            return Ok(());
        }
    }
    Err(Failure::Failed("the entry outlived its time".into()))
}

fn missing<C: Classic>(subject: &Subject) -> Verdict {
    same("get", get::<C>(subject, "missing")?, None)?;
    same("exists", exists::<C>(subject, "missing")?, false)
}

fn set_and_get<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"value", None)?;
    same("get", get::<C>(subject, "key")?, Some(b"value".to_vec()))?;
    same("exists", exists::<C>(subject, "key")?, true)?;
    set::<C>(subject, "empty", b"", None)?;
    same("get of an empty value", get::<C>(subject, "empty")?, Some(Vec::new()))
}

fn update<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"one", Some(60_000))?;
    set::<C>(subject, "key", b"another", None)?;
    same("get", get::<C>(subject, "key")?, Some(b"another".to_vec()))
}

fn delete<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"value", None)?;
    C::cache_delete(&own(subject, "key")).wait("delete")?;
    same("get", get::<C>(subject, "key")?, None)?;
    same("exists", exists::<C>(subject, "key")?, false)?;
    C::cache_delete(&own(subject, "key")).wait("a second delete")
}

fn expires<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"value", Some(30))?;
    gone::<C>(subject, "key")?;
    same("exists", exists::<C>(subject, "key")?, false)?;
    set::<C>(subject, "key", b"value", Some(0))?;
    same("get of what lives for 0 ms", get::<C>(subject, "key")?, None)
}

fn kept<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"value", Some(u32::MAX))?;
    set::<C>(subject, "short", b"value", Some(30))?;
    gone::<C>(subject, "short")?;
    same("get", get::<C>(subject, "key")?, Some(b"value".to_vec()))
}

fn stays<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"value", Some(30))?;
    set::<C>(subject, "key", b"again", None)?;
    set::<C>(subject, "later", b"value", Some(60))?;
    gone::<C>(subject, "later")?;
    same("get", get::<C>(subject, "key")?, Some(b"again".to_vec()))
}

fn apart<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    ok("set", bucket.set("key", b"in the bucket"))?;
    same("get from the cache", get::<C>(subject, "key")?, None)?;
    set::<C>(subject, "key", b"in the cache", None)?;
    set::<C>(subject, "only cached", b"in the cache", None)?;
    same("get from the bucket", ok("get", bucket.get("key"))?, Some(b"in the bucket".to_vec()))?;
    same("exists in the bucket", ok("exists", bucket.exists("only cached"))?, false)?;
    same("the bucket's keys", listed("listing", bucket.list(None))?.0, vec!["key".to_string()])?;
    C::cache_delete(&own(subject, "key")).wait("delete")?;
    same("exists in the bucket", ok("exists", bucket.exists("key"))?, true)
}

fn futures<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"value", None)?;
    let (one, other) = (C::cache_get(&own(subject, "key")), C::cache_exists(&own(subject, "key")));
    let pollables = [(one.listen)(), (other.listen)()];
    let mut waiting = vec![0u32, 1];
    while !waiting.is_empty() {
        let list: Vec<_> = waiting.iter().filter_map(|n| pollables.get(*n as usize)).collect();
        let ready: Vec<u32> = poll::poll(&list).into_iter().filter_map(|n| waiting.get(n as usize).copied()).collect();
        holds("poll gave nothing that is ready", !ready.is_empty())?;
        for n in &ready {
            holds("a pollable that poll gave is not ready", pollables.get(*n as usize).is_some_and(|p| p.ready()))?;
        }
        waiting.retain(|n| !ready.contains(n));
    }
    let found = (one.get)().ok_or_else(|| Failure::Failed("a ready future of get has no result".into()))?;
    let found = ok("get", found)?.map(|value| ok("consuming a value", C::consume(value))).transpose()?;
    same("the future of get", found, Some(b"value".to_vec()))?;
    let exists = (other.get)().ok_or_else(|| Failure::Failed("a ready future of exists has no result".into()))?;
    same("the future of exists", ok("exists", exists)?, true)?;
    // A pollable may outlive its future.
    drop((one, other));
    holds("a ready pollable is not ready later", pollables.iter().all(|p| p.ready()))
}

fn occupied<C: Classic>(subject: &Subject) -> Verdict {
    set::<C>(subject, "key", b"value", None)?;
    same("the entry", entry::<C>(subject, "key")?, b"value".to_vec())
}

fn fill<C: Classic>(subject: &Subject) -> Verdict {
    let vacancy = vacancy::<C>(subject, "key")?;
    same("get while the vacancy is out", get::<C>(subject, "key")?, None)?;
    let value = C::fill(&vacancy, None);
    ok("writing the value", C::write(&value, b"filled"))?;
    drop(value);
    drop(vacancy);
    same("get", get::<C>(subject, "key")?, Some(b"filled".to_vec()))?;
    same("the entry", entry::<C>(subject, "key")?, b"filled".to_vec())
}

fn fill_expires<C: Classic>(subject: &Subject) -> Verdict {
    let vacancy = vacancy::<C>(subject, "key")?;
    ok("writing the value", C::write(&C::fill(&vacancy, Some(30)), b"filled"))?;
    drop(vacancy);
    gone::<C>(subject, "key")
}

fn rendezvous<C: Classic>(subject: &Subject) -> Verdict {
    let first = vacancy::<C>(subject, "key")?;
    let second = C::cache_get_or_set(&own(subject, "key"));
    let third = C::cache_get_or_set(&own(subject, "key"));
    match (second.get)() {
        None => {}
        Some(Ok(Entry::Vacant(_))) => return Err(Failure::Unsupported("a second vacancy is given out at once".into())),
        Some(_) => return Err(Failure::Failed("get-or-set has an entry that nobody made".into())),
    }
    holds("a third get-or-set did not wait", (third.get)().is_none())?;
    ok("writing the value", C::write(&C::fill(&first, None), b"filled"))?;
    drop(first);
    for waiting in [second, third] {
        match waiting.wait("get-or-set")? {
            Entry::Occupied(value) => same("the entry", ok("consuming", C::consume(value))?, b"filled".to_vec())?,
            Entry::Vacant(_) => return Err(Failure::Failed("one that waited got a vacancy, not the entry".into())),
        }
    }
    Ok(())
}

fn dropped<C: Classic>(subject: &Subject) -> Verdict {
    let first = vacancy::<C>(subject, "key")?;
    let second = C::cache_get_or_set(&own(subject, "key"));
    // Neither an unwritten value nor the vacancy itself remains.
    drop(C::fill(&first, None));
    drop(first);
    same("get", get::<C>(subject, "key")?, None)?;
    match second.wait("get-or-set")? {
        Entry::Vacant(_) => {}
        Entry::Occupied(_) => return Err(Failure::Failed("a dropped vacancy left an entry".into())),
    }
    drop(vacancy::<C>(subject, "key")?);
    // Dropping a future gives back the vacancy in it as well.
    drop(C::cache_get_or_set(&own(subject, "key")));
    vacancy::<C>(subject, "key").map(drop)
}

fn two_keys<C: Classic>(subject: &Subject) -> Verdict {
    let (one, other) = (vacancy::<C>(subject, "one")?, vacancy::<C>(subject, "other")?);
    ok("writing the value", C::write(&C::fill(&other, None), b"2"))?;
    ok("writing the value", C::write(&C::fill(&one, None), b"1"))?;
    same("one", get::<C>(subject, "one")?, Some(b"1".to_vec()))?;
    same("other", get::<C>(subject, "other")?, Some(b"2".to_vec()))
}
