//! What the generations of `wasmcloud:keyvalue` have in common. Their functions are asynchronous in type. Over stores that wait
//! inside their calls they are lifted synchronously: a call is over when it returns. Over those whose calls wait beside each
//! other they are lifted asynchronously (the crate `kvfuse-facade-waiting`).
//!
//! Most cases of the error carry no text. A program gets the case, and a person the reason, on standard error.

use crate::Provider;
use kvfuse_core::{Error, Kind, Snapshot};

/// Says what a case without text would keep to itself. What has a case of its own because a program can ask for it without
/// knowing, such as a bucket that is not there, needs no explanation.
pub fn explain<P: Provider>(package: &str, error: &Error) {
    if matches!(error.kind(), Kind::InvalidArgument | Kind::Timeout | Kind::Unavailable | Kind::QuotaExceeded) {
        P::say(&format!("{package}: {error}"));
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

/// What is more than one call of a bucket, for buckets of either world.
macro_rules! operations {
    ($bucket:path $(, $async:ident, $await:ident)?) => {
        use super::Swapped;
        use crate::shared::TRIES;
        use kvfuse_core::{Error, Result, Swap};
        use std::time::Duration;

        /// Sets a key as `set-options` say. False if it was only to be set if it is not there, and it is.
        pub $($async)? fn set(
            bucket: &(impl $bucket + ?Sized),
            key: &str,
            value: &[u8],
            ttl_ms: Option<u64>,
            if_not_exists: bool,
        ) -> Result<bool> {
            match ttl_ms.map(Duration::from_millis) {
                lifetime if if_not_exists => bucket.create(key, value, lifetime)$(.$await)?,
                Some(lifetime) => bucket.set_expiring(key, value, lifetime)$(.$await)?.map(|()| true),
                None => bucket.set(key, value)$(.$await)?.map(|()| true),
            }
        }

        /// Sets a key if its version and its value are what is required.
        pub $($async)? fn swap(
            bucket: &(impl $bucket + ?Sized),
            key: &str,
            value: &[u8],
            version: Option<&str>,
            required: Option<&[u8]>,
        ) -> Result<Swapped> {
            let Some(version) = version else {
                return match required {
                    Some(required) => swap_value(bucket, key, value, required)$(.$await)?,
                    None => Ok(Swapped::Unconditional),
                };
            };
            let Some(version) = bucket.version_of_text(key, version) else {
                return bucket.snapshot(key)$(.$await)?.map(Swapped::Stale);
            };
            // No snapshot: in some stores a new one ends the older one. If the version is still the same afterwards, this was its value.
            if required.is_some() && bucket.get(key)$(.$await)??.as_deref() != required {
                return bucket.snapshot(key)$(.$await)?.map(Swapped::Stale);
            }
            Ok(match bucket.swap(key, &version, value)$(.$await)?? {
                Swap::Done => Swapped::Done,
                Swap::Conflict(now) => Swapped::Stale(now),
            })
        }

        $($async)? fn swap_value(bucket: &(impl $bucket + ?Sized), key: &str, value: &[u8], required: &[u8]) -> Result<Swapped> {
            let mut state = bucket.snapshot(key)$(.$await)??;
            for _ in 0..TRIES {
                if state.value.as_deref() != Some(required) {
                    return Ok(Swapped::Stale(state));
                }
                // Others may have written the same value.
                match bucket.swap(key, &state.version, value)$(.$await)?? {
                    Swap::Done => return Ok(Swapped::Done),
                    Swap::Conflict(now) => state = now,
                }
            }
            Err::<_, Error>(crate::shared::too_many_conflicts())
        }
    };
}

/// Where a call is over when it returns.
pub mod plain {
    operations!(kvfuse_core::Bucket);
}

/// Where calls wait beside each other.
pub mod waiting {
    operations!(kvfuse_core::AsyncBucket, async, await);
}

/// The whole generation. `$types` is the interface that has the types, `$package` its name for people; `waiting` says that calls
/// wait beside each other.
///
/// Needs in scope: `atomics`, `batch`, `cas`, `store`, and `Facade`. Implements everything but `open`, which is `opened`.
#[doc(hidden)]
#[macro_export]
macro_rules! wasmcloud {
    ($types:ident, $package:literal) => {
        use $crate::{shared::Opened as Bucket, wasmcloud::plain as operations};
        $crate::wasmcloud!($types, $package, Provider, plain, kvfuse_core::Bucket,);
    };
    ($types:ident, $package:literal, waiting) => {
        use kvfuse_core::AsyncBucket as _;
        use $crate::{shared::WaitingOpened as Bucket, wasmcloud::waiting as operations};
        $crate::wasmcloud!($types, $package, WaitingProvider, settled, kvfuse_core::AsyncBucket, async, await);
    };
    ($types:ident, $package:literal, $provider:ident, $whole:ident, $contract:path, $($async:ident, $await:ident)?) => {
        use $crate::wasmcloud::Swapped;

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

        $($async)? fn opened<P: $crate::$provider>(identifier: String) -> Result<$types::Bucket, $types::Error> {
            $crate::$whole!(Bucket::<P>::open(&identifier).map($types::Bucket::new).map_err(failed::<P>))
        }

        impl<P: $crate::$provider> $types::GuestBucket for Bucket<P> {
            $($async)? fn get(&self, key: String) -> Result<Option<Vec<u8>>, $types::Error> {
                $crate::$whole!({
                    self.0.get(&key)$(.$await)?.map_err(failed::<P>)
                })
            }

            $($async)? fn set(
                &self,
                key: String,
                value: Vec<u8>,
                options: Option<$types::SetOptions>,
            ) -> Result<(), $types::Error> {
                $crate::$whole!({
                    let options = options.unwrap_or($types::SetOptions { ttl_ms: None, if_not_exists: false });
                    match operations::set(&*self.0, &key, &value, options.ttl_ms, options.if_not_exists)$(.$await)? {
                        Ok(true) => Ok(()),
                        Ok(false) => Err($types::Error::PreconditionFailed),
                        Err(error) => Err(failed::<P>(error)),
                    }
                })
            }

            $($async)? fn delete(&self, key: String) -> Result<(), $types::Error> {
                $crate::$whole!({
                    self.0.delete(&key)$(.$await)?.map_err(failed::<P>)
                })
            }

            $($async)? fn exists(&self, key: String) -> Result<bool, $types::Error> {
                $crate::$whole!({
                    self.0.exists(&key)$(.$await)?.map_err(failed::<P>)
                })
            }

            $($async)? fn list_keys(
                &self,
                prefix: Option<String>,
                cursor: Option<String>,
            ) -> Result<$types::KeyResponse, $types::Error> {
                $crate::$whole!({
                    let page = match prefix {
                        Some(prefix) => self.0.list_prefix(&prefix, cursor.as_deref())$(.$await)?,
                        None => self.0.list(cursor.as_deref())$(.$await)?,
                    };
                    let kvfuse_core::Page { keys, cursor } = page.map_err(failed::<P>)?;
                    Ok($types::KeyResponse { keys, cursor })
                })
            }
        }

        impl<P: $crate::$provider> atomics::Guest for Facade<P> {
            $($async)? fn increment(bucket: $types::BucketBorrow<'_>, key: String, delta: i64) -> Result<i64, $types::Error> {
                $crate::$whole!({
                    bucket.get::<Bucket<P>>().0.increment(&key, delta, i64::MIN)$(.$await)?.map_err(failed::<P>)
                })
            }
        }

        /// The state of a key as the interface has it.
        fn entry(bucket: &(impl $contract + ?Sized), key: &str, state: kvfuse_core::Snapshot) -> Option<cas::Entry> {
            let version = bucket.version_text(key, &state.version);
            state.value.map(|value| cas::Entry { value, version })
        }

        impl<P: $crate::$provider> cas::Guest for Facade<P> {
            $($async)? fn current(bucket: $types::BucketBorrow<'_>, key: String) -> Result<Option<cas::Entry>, $types::Error> {
                $crate::$whole!({
                    let bucket = &*bucket.get::<Bucket<P>>().0;
                    let state = bucket.snapshot(&key)$(.$await)?.map_err(failed::<P>)?;
                    Ok(entry(bucket, &key, state))
                })
            }

            $($async)? fn swap(
                bucket: $types::BucketBorrow<'_>,
                key: String,
                value: Vec<u8>,
                options: cas::CasOptions,
            ) -> Result<cas::CasResult, $types::Error> {
                $crate::$whole!({
                    let bucket = &*bucket.get::<Bucket<P>>().0;
                    let (version, required) = (options.require_version.as_deref(), options.require_value.as_deref());
                    match operations::swap(bucket, &key, &value, version, required)$(.$await)?.map_err(failed::<P>)? {
                        Swapped::Done => Ok(cas::CasResult::Swapped),
                        Swapped::Stale(state) => Ok(cas::CasResult::Stale(entry(bucket, &key, state))),
                        Swapped::Unconditional => Err($types::Error::InvalidArgument),
                    }
                })
            }
        }

        impl<P: $crate::$provider> batch::Guest for Facade<P> {
            $($async)? fn get_many(
                bucket: $types::BucketBorrow<'_>,
                keys: Vec<String>,
            ) -> Result<Vec<Option<(String, Vec<u8>)>>, $types::Error> {
                $crate::$whole!({
                    let bucket = &bucket.get::<Bucket<P>>().0;
                    let values = bucket.get_many(&$crate::shared::strs(&keys))$(.$await)?.map_err(failed::<P>)?;
                    Ok($crate::shared::present(keys, values))
                })
            }

            $($async)? fn set_many(
                bucket: $types::BucketBorrow<'_>,
                key_values: Vec<(String, Vec<u8>)>,
            ) -> Result<(), $types::Error> {
                $crate::$whole!({
                    let bucket = &bucket.get::<Bucket<P>>().0;
                    bucket.set_many(&$crate::shared::pairs(&key_values))$(.$await)?.map_err(failed::<P>)
                })
            }

            $($async)? fn delete_many(bucket: $types::BucketBorrow<'_>, keys: Vec<String>) -> Result<(), $types::Error> {
                $crate::$whole!({
                    let bucket = &bucket.get::<Bucket<P>>().0;
                    bucket.delete_many(&$crate::shared::strs(&keys))$(.$await)?.map_err(failed::<P>)
                })
            }
        }
    };
}
