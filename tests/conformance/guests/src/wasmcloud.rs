//! wasmCloud's own interface, in both versions, over the bindings of the guest that calls the macro.

use crate::check::{holds, listed, not_supported, ok, refused, same};
use crate::{Bucket, Case, Failure, Subject, Verdict};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// An entry: the value and the version.
pub type Entry = (Vec<u8>, String);

/// A key with its value, if it is there.
pub type Pair = Option<(String, Vec<u8>)>;

/// What only these have. An error is the name of its case, or the text that it carries.
pub trait Cloud: Bucket {
    fn set_with(&self, key: &str, value: &[u8], ttl_ms: Option<u64>, if_not_exists: bool) -> Result<(), String>;
    fn list_with(&self, prefix: Option<&str>, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), String>;
    fn add(&self, key: &str, delta: i64) -> Result<i64, String>;
    fn pairs(&self, keys: &[&str]) -> Result<Vec<Pair>, String>;
    fn current(&self, key: &str) -> Result<Option<Entry>, String>;
    /// `None` if it was swapped, otherwise the entry that is there.
    fn swap(
        &self,
        key: &str,
        value: &[u8],
        version: Option<&str>,
        required: Option<&[u8]>,
    ) -> Result<Option<Option<Entry>>, String>;
    /// Sets these, all at once; then gets them, all at once and beside a timer.
    fn at_once(&self, pairs: &[(String, Vec<u8>)]) -> Result<Vec<Option<Vec<u8>>>, String>;
    /// Adds one, so many times at once.
    fn count_at_once(&self, key: &str, times: usize) -> Result<Vec<i64>, String>;
}

/// A guest's bindings.
pub trait Clouds: 'static {
    fn open(name: &str) -> Result<Box<dyn Cloud>, String>;
    /// Waits for 20 ms.
    fn pause();
}

/// Drives futures to their ends, all at once.
pub async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(outcome) = future.as_mut().poll(context)
            {
                *done = Some(outcome);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Drives two futures to their ends at once.
pub async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (Box::pin(one), Box::pin(other));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(outcome) = one.as_mut().poll(context)
        {
            first = Some(outcome);
        }
        if second.is_none()
            && let Poll::Ready(outcome) = other.as_mut().poll(context)
        {
            second = Some(outcome);
        }
        match (first.take(), second.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// Implements [`Clouds`] for `Bindings` and [`Cloud`] for `Handle`, with calls that are lowered asynchronously, as most consumers
/// have them. `$types` is the module with the types.
#[macro_export]
macro_rules! wasmcloud {
    (types: $types:ident) => {
        use wit_bindgen::block_on;
        use $crate::wasmcloud::{Cloud, Clouds, Entry, all, both};

        struct Handle($types::Bucket);
        struct Bindings;

        fn opened(name: &str) -> Result<Handle, String> {
            Ok(Handle(block_on(store::open(name.to_string())).map_err(text)?))
        }

        fn open(name: &str) -> Result<Box<dyn $crate::Bucket>, String> {
            Ok(Box::new(opened(name)?))
        }

        impl Clouds for Bindings {
            fn open(name: &str) -> Result<Box<dyn Cloud>, String> {
                Ok(Box::new(opened(name)?))
            }

            fn pause() {
                block_on(wasip3::clocks::monotonic_clock::wait_for(20_000_000));
            }
        }

        fn text(error: $types::Error) -> String {
            match error {
                $types::Error::NoSuchStore => "no-such-store".into(),
                $types::Error::AccessDenied => "access-denied".into(),
                $types::Error::InvalidArgument => "invalid-argument".into(),
                $types::Error::PreconditionFailed => "precondition-failed".into(),
                $types::Error::Timeout => "timeout".into(),
                $types::Error::StoreUnavailable => "store-unavailable".into(),
                $types::Error::QuotaExceeded => "quota-exceeded".into(),
                $types::Error::Other(message) => message,
            }
        }

        impl $crate::Bucket for Handle {
            fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
                block_on(self.0.get(key.to_string())).map_err(text)
            }

            fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
                block_on(self.0.set(key.to_string(), value.to_vec(), None)).map_err(text)
            }

            fn delete(&self, key: &str) -> Result<(), String> {
                block_on(self.0.delete(key.to_string())).map_err(text)
            }

            fn exists(&self, key: &str) -> Result<bool, String> {
                block_on(self.0.exists(key.to_string())).map_err(text)
            }

            fn list(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
                self.list_with(None, cursor)
            }

            fn increment(&self, key: &str, delta: u64) -> Result<i128, String> {
                self.add(key, $crate::drafts::delta(delta)?).map(i128::from)
            }

            fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, String> {
                Ok(self.pairs(keys)?.into_iter().map($crate::drafts::Pair::value).collect())
            }

            fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), String> {
                block_on(batch::set_many(&self.0, $crate::drafts::owned(pairs))).map_err(text)
            }

            fn delete_many(&self, keys: &[&str]) -> Result<(), String> {
                block_on(batch::delete_many(&self.0, $crate::drafts::strings(keys))).map_err(text)
            }
        }

        fn entry(entry: cas::Entry) -> Entry {
            (entry.value, entry.version)
        }

        impl Cloud for Handle {
            fn set_with(
                &self,
                key: &str,
                value: &[u8],
                ttl_ms: Option<u64>,
                if_not_exists: bool,
            ) -> Result<(), String> {
                let options = Some($types::SetOptions { ttl_ms, if_not_exists });
                block_on(self.0.set(key.to_string(), value.to_vec(), options)).map_err(text)
            }

            fn list_with(
                &self,
                prefix: Option<&str>,
                cursor: Option<&str>,
            ) -> Result<(Vec<String>, Option<String>), String> {
                let (prefix, cursor) = (prefix.map(str::to_string), cursor.map(str::to_string));
                let page = block_on(self.0.list_keys(prefix, cursor)).map_err(text)?;
                Ok((page.keys, page.cursor))
            }

            fn add(&self, key: &str, delta: i64) -> Result<i64, String> {
                block_on(atomics::increment(&self.0, key.to_string(), delta)).map_err(text)
            }

            fn pairs(&self, keys: &[&str]) -> Result<Vec<$crate::wasmcloud::Pair>, String> {
                block_on(batch::get_many(&self.0, $crate::drafts::strings(keys))).map_err(text)
            }

            fn current(&self, key: &str) -> Result<Option<Entry>, String> {
                Ok(block_on(cas::current(&self.0, key.to_string())).map_err(text)?.map(entry))
            }

            fn swap(
                &self,
                key: &str,
                value: &[u8],
                version: Option<&str>,
                required: Option<&[u8]>,
            ) -> Result<Option<Option<Entry>>, String> {
                let (require_version, require_value) = (version.map(str::to_string), required.map(<[u8]>::to_vec));
                let options = cas::CasOptions { require_version, require_value };
                match block_on(cas::swap(&self.0, key.to_string(), value.to_vec(), options)).map_err(text)? {
                    cas::CasResult::Swapped => Ok(None),
                    cas::CasResult::Stale(now) => Ok(Some(now.map(entry))),
                }
            }

            fn at_once(&self, pairs: &[(String, Vec<u8>)]) -> Result<Vec<Option<Vec<u8>>>, String> {
                let sets = pairs.iter().map(|(key, value)| self.0.set(key.clone(), value.clone(), None)).collect();
                for set in block_on(all(sets)) {
                    set.map_err(text)?;
                }
                let gets = pairs.iter().map(|(key, _)| self.0.get(key.clone())).collect();
                let pause = wasip3::clocks::monotonic_clock::wait_for(1_000_000);
                block_on(both(pause, all(gets))).1.into_iter().map(|got: Result<_, _>| got.map_err(text)).collect()
            }

            fn count_at_once(&self, key: &str, times: usize) -> Result<Vec<i64>, String> {
                let adds = (0..times).map(|_| atomics::increment(&self.0, key.to_string(), 1)).collect();
                block_on(all(adds)).into_iter().map(|sum: Result<_, _>| sum.map_err(text)).collect()
            }
        }

        $crate::guest_p3! { open, $crate::common::ALL, $crate::wasmcloud::cases::<Bindings>() }
    };
}

/// What only these promise.
pub fn cases<C: Clouds>() -> Vec<Case> {
    vec![
        ("set with options that ask for nothing is a set", plain_options::<C>),
        ("set with if-not-exists creates a key that is not there", creates::<C>),
        ("set with if-not-exists is precondition-failed if the key is there, and changes nothing", creates_once::<C>),
        ("a key with a ttl is there, and gone once that is over", expires::<C>),
        ("set without a ttl ends the one that the key had", set_ends_ttl::<C>),
        ("set with if-not-exists and a ttl creates a key that ends, and then creates it again", creates_expiring::<C>),
        ("list-keys with a prefix gives the keys that begin with it and no others", prefix_restricts::<C>),
        ("list-keys with a prefix gives every such key exactly once, however many pages it takes", prefix_pages::<C>),
        ("list-keys with a prefix that no key has gives none", prefix_of_nothing::<C>),
        ("increment by a negative delta subtracts, below zero too", increment_negative::<C>),
        ("get-many gives each pair with its key", pairs_have_keys::<C>),
        ("current gives the value and a version, or none if the key is not there", current_gives::<C>),
        ("swap with the current version writes, once", swap_by_version::<C>),
        ("swap with the version of before a write is stale with what is there, and changes nothing", swap_stale::<C>),
        ("swap with the version of before a value went away and came back is stale", swap_aba::<C>),
        ("the entry of a stale swap is good for the next one, without another read", swap_retry::<C>),
        ("swap with the version of a deleted key is stale without an entry", swap_deleted::<C>),
        ("swap with the current value writes, and with another one is stale", swap_by_value::<C>),
        ("swap with a version and a value writes only if both are right", swap_by_both::<C>),
        ("swap that requires nothing is invalid-argument, and changes nothing", swap_unconditional::<C>),
        ("many calls at once all take effect, and each has its own answer", many_at_once::<C>),
    ]
}

fn here<C: Clouds>(subject: &Subject) -> Result<Box<dyn Cloud>, Failure> {
    ok("open", C::open(subject.name))
}

fn get(bucket: &dyn Cloud, key: &str) -> Result<Option<Vec<u8>>, Failure> {
    ok("get", bucket.get(key))
}

fn is(bucket: &dyn Cloud, key: &str, value: &[u8]) -> Verdict {
    same("get", get(bucket, key)?, Some(value.to_vec()))
}

/// A lifetime that is short, and one that outlasts the case.
const SHORT: u64 = 100;
const LONG: u64 = 600_000;

fn set_for(bucket: &dyn Cloud, key: &str, value: &[u8], ttl_ms: u64, if_not_exists: bool) -> Verdict {
    bucket.set_with(key, value, Some(ttl_ms), if_not_exists).map_err(|error| not_supported("set with a ttl", error))
}

/// A store may count in seconds. One that never ends it makes the runner end the case.
fn until_gone<C: Clouds>(bucket: &dyn Cloud, key: &str) -> Verdict {
    while ok("exists", bucket.exists(key))? {
        C::pause();
    }
    same("get", get(bucket, key)?, None)
}

fn plain_options<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set_with("key", b"first", None, false))?;
    ok("set", bucket.set_with("key", b"second", None, false))?;
    is(&*bucket, "key", b"second")
}

fn creates<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set with if-not-exists", bucket.set_with("key", b"value", None, true))?;
    is(&*bucket, "key", b"value")?;
    ok("delete", bucket.delete("key"))?;
    ok("set with if-not-exists", bucket.set_with("key", b"", None, true))?;
    is(&*bucket, "key", b"")
}

fn creates_once<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"value"))?;
    let error = refused("set with if-not-exists", bucket.set_with("key", b"other", None, true))?;
    same("the error", error.as_str(), "precondition-failed")?;
    is(&*bucket, "key", b"value")
}

fn expires<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    set_for(&*bucket, "long", b"value", LONG, false)?;
    is(&*bucket, "long", b"value")?;
    ok("set", bucket.set("key", b"before"))?;
    set_for(&*bucket, "key", b"value", SHORT, false)?;
    until_gone::<C>(&*bucket, "key")?;
    is(&*bucket, "long", b"value")
}

fn set_ends_ttl<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    set_for(&*bucket, "stays", b"value", SHORT, false)?;
    ok("set", bucket.set("stays", b"value"))?;
    // This one would end after it.
    set_for(&*bucket, "goes", b"value", SHORT, false)?;
    until_gone::<C>(&*bucket, "goes")?;
    is(&*bucket, "stays", b"value")
}

fn creates_expiring<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    set_for(&*bucket, "lock", b"mine", LONG, true)?;
    let error = refused("set with if-not-exists", bucket.set_with("lock", b"theirs", Some(LONG), true))?;
    same("the error", error.as_str(), "precondition-failed")?;
    is(&*bucket, "lock", b"mine")?;
    set_for(&*bucket, "key", b"value", SHORT, true)?;
    until_gone::<C>(&*bucket, "key")?;
    set_for(&*bucket, "key", b"again", LONG, true)?;
    is(&*bucket, "key", b"again")
}

fn all_with(bucket: &dyn Cloud, prefix: &str) -> Result<Vec<String>, Failure> {
    let (mut keys, mut cursor) = listed("list-keys", bucket.list_with(Some(prefix), None))?;
    let mut pages = 1;
    while let Some(at) = cursor {
        let page = ok("list-keys with a cursor", bucket.list_with(Some(prefix), Some(&at)))?;
        keys.extend(page.0);
        cursor = page.1;
        pages += 1;
        holds("the listing has no end", pages < 100_000)?;
    }
    keys.sort();
    Ok(keys)
}

fn prefix_restricts<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    let keys = ["a", "a*", "a*b", "aXb", "ab", "A*", "b", "é1", "é2", "e", "[x]1", "x1", "\\1"];
    for key in keys {
        ok("set", bucket.set(key, b"value"))?;
    }
    for prefix in ["", "a", "a*", "ab", "A", "b", "é", "[x]", "\\", "a*b"] {
        let mut wanted: Vec<&str> = keys.into_iter().filter(|key| key.starts_with(prefix)).collect();
        wanted.sort_unstable();
        same(prefix, all_with(&*bucket, prefix)?, wanted.iter().map(ToString::to_string).collect())?;
    }
    Ok(())
}

fn prefix_pages<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    let wanted: Vec<String> = (0..1200).map(|n| format!("user/{n:04}")).collect();
    for part in wanted.chunks(100) {
        let others: Vec<String> = part.iter().map(|key| key.replace("user", "visit")).collect();
        let pairs: Vec<(&str, &[u8])> = part.iter().chain(&others).map(|key| (key.as_str(), &b"1"[..])).collect();
        ok("set-many", bucket.set_many(&pairs))?;
    }
    let keys = all_with(&*bucket, "user/")?;
    same("the number of keys", keys.len(), wanted.len())?;
    holds("other keys were listed than have the prefix", keys == wanted)
}

fn prefix_of_nothing<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    same("of an empty store", all_with(&*bucket, "a")?, Vec::new())?;
    ok("set", bucket.set("key", b"value"))?;
    same("list-keys", all_with(&*bucket, "key2")?, Vec::new())
}

fn increment_negative<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    for (delta, sum) in [(5, 5), (-7, -2), (-1 << 40, -2 - (1 << 40)), (0, -2 - (1 << 40))] {
        same("increment", ok("increment", bucket.add("counter", delta))?, sum)?;
    }
    Ok(())
}

fn pairs_have_keys<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set-many", bucket.set_many(&[("a", b"1"), ("b", b"2")]))?;
    let wanted = vec![Some(("b".to_string(), b"2".to_vec())), None, Some(("a".to_string(), b"1".to_vec()))];
    same("get-many", ok("get-many", bucket.pairs(&["b", "none", "a"]))?, wanted)
}

fn current(bucket: &dyn Cloud) -> Result<Entry, Failure> {
    let entry = ok("current", bucket.current("key"))?;
    entry.ok_or_else(|| Failure::Failed("current gave none for a key that is there".into()))
}

fn swapped(bucket: &dyn Cloud, value: &[u8], version: Option<&str>, required: Option<&[u8]>) -> Verdict {
    let stale = ok("swap", bucket.swap("key", value, version, required))?;
    holds("a swap was stale though everything was as it required", stale.is_none())
}

fn stale(
    bucket: &dyn Cloud,
    value: &[u8],
    version: Option<&str>,
    required: Option<&[u8]>,
) -> Result<Option<Entry>, Failure> {
    let stale = ok("swap", bucket.swap("key", value, version, required))?;
    stale.ok_or_else(|| Failure::Failed("a swap wrote though not everything was as it required".into()))
}

fn current_gives<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    same("current", ok("current", bucket.current("key"))?, None)?;
    ok("set", bucket.set("key", b"value"))?;
    same("the value", current(&*bucket)?.0, b"value".to_vec())
}

fn swap_by_version<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"before"))?;
    let (_, version) = current(&*bucket)?;
    swapped(&*bucket, b"after", Some(&version), None)?;
    is(&*bucket, "key", b"after")?;
    stale(&*bucket, b"again", Some(&version), None)?;
    is(&*bucket, "key", b"after")
}

fn swap_stale<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"before"))?;
    let (_, version) = current(&*bucket)?;
    ok("set", bucket.set("key", b"between"))?;
    let now = stale(&*bucket, b"after", Some(&version), None)?;
    same("the entry", now.map(|(value, _)| value), Some(b"between".to_vec()))?;
    is(&*bucket, "key", b"between")
}

fn swap_aba<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"A"))?;
    let (_, version) = current(&*bucket)?;
    ok("set", bucket.set("key", b"B"))?;
    ok("set", bucket.set("key", b"A"))?;
    stale(&*bucket, b"C", Some(&version), None)?;
    stale(&*bucket, b"C", Some(&version), Some(b"A"))?;
    is(&*bucket, "key", b"A")
}

fn swap_retry<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"1"))?;
    let (_, mut version) = current(&*bucket)?;
    for between in [&b"2"[..], b"3", b"4"] {
        ok("set", bucket.set("key", between))?;
        let now = stale(&*bucket, b"mine", Some(&version), None)?;
        let (value, next) = now.ok_or_else(|| Failure::Failed("a stale swap gave no entry".into()))?;
        same("the entry", value, between.to_vec())?;
        version = next;
    }
    swapped(&*bucket, b"mine", Some(&version), None)?;
    is(&*bucket, "key", b"mine")
}

fn swap_deleted<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"before"))?;
    let (_, version) = current(&*bucket)?;
    ok("delete", bucket.delete("key"))?;
    same("the entry", stale(&*bucket, b"after", Some(&version), None)?, None)?;
    same("the entry", stale(&*bucket, b"after", None, Some(b"before"))?, None)?;
    same("get", get(&*bucket, "key")?, None)
}

fn swap_by_value<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"before"))?;
    let now = stale(&*bucket, b"after", None, Some(b"another"))?;
    same("the entry", now.map(|(value, _)| value), Some(b"before".to_vec()))?;
    is(&*bucket, "key", b"before")?;
    swapped(&*bucket, b"after", None, Some(b"before"))?;
    is(&*bucket, "key", b"after")
}

fn swap_by_both<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"before"))?;
    let (_, old) = current(&*bucket)?;
    ok("set", bucket.set("key", b"value"))?;
    let (_, version) = current(&*bucket)?;
    stale(&*bucket, b"after", Some(&old), Some(b"value"))?;
    let (_, version) = match stale(&*bucket, b"after", Some(&version), Some(b"another"))? {
        Some(now) => now,
        None => return Err(Failure::Failed("a stale swap gave no entry".into())),
    };
    is(&*bucket, "key", b"value")?;
    swapped(&*bucket, b"after", Some(&version), Some(b"value"))?;
    is(&*bucket, "key", b"after")
}

fn swap_unconditional<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    ok("set", bucket.set("key", b"value"))?;
    let error = refused("swap without a requirement", bucket.swap("key", b"other", None, None))?;
    same("the error", error.as_str(), "invalid-argument")?;
    is(&*bucket, "key", b"value")
}

fn many_at_once<C: Clouds>(subject: &Subject) -> Verdict {
    let bucket = here::<C>(subject)?;
    let pairs: Vec<(String, Vec<u8>)> = (0..100u8).map(|n| (format!("key {n}"), vec![n; 100])).collect();
    let values = ok("100 calls at once", bucket.at_once(&pairs))?;
    holds(
        "a call got the answer of another",
        values.iter().zip(&pairs).all(|(got, (_, set))| got.as_ref() == Some(set)),
    )?;
    same("the number of answers", values.len(), pairs.len())?;
    let sums = ok("100 increments at once", bucket.count_at_once("counter", 100))?;
    same("the sums", sums.into_iter().collect::<BTreeSet<_>>(), (1..=100).collect())
}
