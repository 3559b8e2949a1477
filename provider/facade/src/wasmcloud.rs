//! What the generations of `wasmcloud:keyvalue` have in common. Their functions are asynchronous in type, and lifted
//! synchronously: a call is over when it returns, and the stores wait inside, as they do for all other generations.
//!
//! Most cases of the error carry no text. A program gets the case, and a person the reason, on standard error.

use crate::Provider;
use crate::shared::TRIES;
use kvfuse_core::{Error, Kind, Result, Snapshot, Swap};
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

/// An open bucket.
pub struct Bucket<P>(pub Rc<dyn kvfuse_core::Bucket>, pub PhantomData<P>);

/// Says what a case without text would keep to itself. What has a case of its own because a program can ask for it without
/// knowing, such as a bucket that is not there, needs no explanation.
pub fn explain<P: Provider>(package: &str, error: &Error) {
    if matches!(error.kind(), Kind::InvalidArgument | Kind::Timeout | Kind::Unavailable | Kind::QuotaExceeded) {
        P::say(&format!("{package}: {error}"));
    }
}

/// Sets a key as `set-options` say. False if it was only to be set if it is not there, and it is.
pub fn set(
    bucket: &dyn kvfuse_core::Bucket,
    key: &str,
    value: &[u8],
    ttl_ms: Option<u64>,
    if_not_exists: bool,
) -> Result<bool> {
    match ttl_ms.map(Duration::from_millis) {
        lifetime if if_not_exists => bucket.create(key, value, lifetime),
        Some(lifetime) => bucket.set_expiring(key, value, lifetime).map(|()| true),
        None => bucket.set(key, value).map(|()| true),
    }
}

/// The outcome of a swap, as the interface has it.
pub enum Swapped {
    Done,
    /// With the state of the key now.
    Stale(Snapshot),
    /// Nothing was required.
    Unconditional,
}

/// Sets a key if its version and its value are what is required.
pub fn swap(
    bucket: &dyn kvfuse_core::Bucket,
    key: &str,
    value: &[u8],
    version: Option<&str>,
    required: Option<&[u8]>,
) -> Result<Swapped> {
    let stale = |bucket: &dyn kvfuse_core::Bucket| bucket.snapshot(key).map(Swapped::Stale);
    let Some(version) = version else {
        return match required {
            Some(required) => swap_value(bucket, key, value, required),
            None => Ok(Swapped::Unconditional),
        };
    };
    let Some(version) = bucket.version_of_text(key, version) else { return stale(bucket) };
    // No snapshot: in some stores a new one ends the older one. If the version is still the same afterwards, this was its value.
    if required.is_some() && bucket.get(key)?.as_deref() != required {
        return stale(bucket);
    }
    Ok(match bucket.swap(key, &version, value)? {
        Swap::Done => Swapped::Done,
        Swap::Conflict(now) => Swapped::Stale(now),
    })
}

fn swap_value(bucket: &dyn kvfuse_core::Bucket, key: &str, value: &[u8], required: &[u8]) -> Result<Swapped> {
    let mut state = bucket.snapshot(key)?;
    for _ in 0..TRIES {
        if state.value.as_deref() != Some(required) {
            return Ok(Swapped::Stale(state));
        }
        // Others may have written the same value.
        match bucket.swap(key, &state.version, value)? {
            Swap::Done => return Ok(Swapped::Done),
            Swap::Conflict(now) => state = now,
        }
    }
    Err(crate::shared::too_many_conflicts())
}

/// The whole generation. `$types` is the interface that has the types, `$package` its name for people.
///
/// Needs in scope: `atomics`, `batch`, `cas`, `store`, and `Facade`. Implements everything but `open`.
#[doc(hidden)]
#[macro_export]
macro_rules! wasmcloud {
    ($types:ident, $package:literal) => {
        use $crate::wasmcloud::{Bucket, Swapped};

        /// The nearest case.
        fn failed<P: $crate::Provider>(error: kvfuse_core::Error) -> $types::Error {
            use kvfuse_core::Kind;
            $crate::wasmcloud::explain::<P>($package, &error);
            match error.kind() {
                Kind::NoSuchStore => $types::Error::NoSuchStore,
                Kind::AccessDenied => $types::Error::AccessDenied,
                Kind::InvalidArgument => $types::Error::InvalidArgument,
                Kind::Timeout => $types::Error::Timeout,
                Kind::Unavailable => $types::Error::StoreUnavailable,
                Kind::QuotaExceeded => $types::Error::QuotaExceeded,
                _ => $types::Error::Other(error.message().to_string()),
            }
        }

        fn opened<P: $crate::Provider>(identifier: &str) -> Result<$types::Bucket, $types::Error> {
            let bucket = P::with_store(|store| store.open(identifier)).map_err(failed::<P>)?;
            Ok($types::Bucket::new(Bucket::<P>(bucket, PhantomData)))
        }

        impl<P: $crate::Provider> $types::GuestBucket for Bucket<P> {
            fn get(&self, key: String) -> Result<Option<Vec<u8>>, $types::Error> {
                self.0.get(&key).map_err(failed::<P>)
            }

            fn set(
                &self,
                key: String,
                value: Vec<u8>,
                options: Option<$types::SetOptions>,
            ) -> Result<(), $types::Error> {
                let options = options.unwrap_or($types::SetOptions { ttl_ms: None, if_not_exists: false });
                match $crate::wasmcloud::set(&*self.0, &key, &value, options.ttl_ms, options.if_not_exists) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err($types::Error::PreconditionFailed),
                    Err(error) => Err(failed::<P>(error)),
                }
            }

            fn delete(&self, key: String) -> Result<(), $types::Error> {
                self.0.delete(&key).map_err(failed::<P>)
            }

            fn exists(&self, key: String) -> Result<bool, $types::Error> {
                self.0.exists(&key).map_err(failed::<P>)
            }

            fn list_keys(
                &self,
                prefix: Option<String>,
                cursor: Option<String>,
            ) -> Result<$types::KeyResponse, $types::Error> {
                let page = match prefix {
                    Some(prefix) => self.0.list_prefix(&prefix, cursor.as_deref()),
                    None => self.0.list(cursor.as_deref()),
                };
                let kvfuse_core::Page { keys, cursor } = page.map_err(failed::<P>)?;
                Ok($types::KeyResponse { keys, cursor })
            }
        }

        impl<P: $crate::Provider> atomics::Guest for Facade<P> {
            fn increment(bucket: $types::BucketBorrow<'_>, key: String, delta: i64) -> Result<i64, $types::Error> {
                bucket.get::<Bucket<P>>().0.increment(&key, delta, i64::MIN).map_err(failed::<P>)
            }
        }

        /// The state of a key as the interface has it.
        fn entry(bucket: &dyn kvfuse_core::Bucket, key: &str, state: kvfuse_core::Snapshot) -> Option<cas::Entry> {
            let version = bucket.version_text(key, &state.version);
            state.value.map(|value| cas::Entry { value, version })
        }

        impl<P: $crate::Provider> cas::Guest for Facade<P> {
            fn current(bucket: $types::BucketBorrow<'_>, key: String) -> Result<Option<cas::Entry>, $types::Error> {
                let bucket = &*bucket.get::<Bucket<P>>().0;
                let state = bucket.snapshot(&key).map_err(failed::<P>)?;
                Ok(entry(bucket, &key, state))
            }

            fn swap(
                bucket: $types::BucketBorrow<'_>,
                key: String,
                value: Vec<u8>,
                options: cas::CasOptions,
            ) -> Result<cas::CasResult, $types::Error> {
                let bucket = &*bucket.get::<Bucket<P>>().0;
                let (version, required) = (options.require_version.as_deref(), options.require_value.as_deref());
                match $crate::wasmcloud::swap(bucket, &key, &value, version, required).map_err(failed::<P>)? {
                    Swapped::Done => Ok(cas::CasResult::Swapped),
                    Swapped::Stale(state) => Ok(cas::CasResult::Stale(entry(bucket, &key, state))),
                    Swapped::Unconditional => Err($types::Error::InvalidArgument),
                }
            }
        }

        impl<P: $crate::Provider> batch::Guest for Facade<P> {
            fn get_many(
                bucket: $types::BucketBorrow<'_>,
                keys: Vec<String>,
            ) -> Result<Vec<Option<(String, Vec<u8>)>>, $types::Error> {
                let bucket = &bucket.get::<Bucket<P>>().0;
                let values = bucket.get_many(&$crate::shared::strs(&keys)).map_err(failed::<P>)?;
                Ok($crate::shared::present(keys, values))
            }

            fn set_many(
                bucket: $types::BucketBorrow<'_>,
                key_values: Vec<(String, Vec<u8>)>,
            ) -> Result<(), $types::Error> {
                let bucket = &bucket.get::<Bucket<P>>().0;
                bucket.set_many(&$crate::shared::pairs(&key_values)).map_err(failed::<P>)
            }

            fn delete_many(bucket: $types::BucketBorrow<'_>, keys: Vec<String>) -> Result<(), $types::Error> {
                let bucket = &bucket.get::<Bucket<P>>().0;
                bucket.delete_many(&$crate::shared::strs(&keys)).map_err(failed::<P>)
            }
        }
    };
}
