//! What the generations since 2024-04 have in common: an error with three cases, buckets as resources, and, since
//! draft2, handles for compare-and-swap.
//!
//! Macros, for the same reason as in [`classic`](crate::classic). Each needs certain names in the scope of the module
//! that uses it, which its documentation lists. Lower-case ones are modules of generated bindings, `Facade` is the
//! module's own type, `Bucket` and `Cas` are those of this file, and `Swap` is that of [`kvfuse_core`].

use kvfuse_core::Snapshot;
use std::rc::Rc;

/// An open bucket.
pub struct Bucket(pub Rc<dyn kvfuse_core::Bucket>);

/// The state of a key when the handle was created.
pub struct Cas {
    pub bucket: Rc<dyn kvfuse_core::Bucket>,
    pub key: String,
    pub state: Snapshot,
}

/// Converts errors to the nearest of the three cases. The one that carries text keeps the message.
///
/// Needs in scope: `store`.
#[doc(hidden)]
#[macro_export]
macro_rules! drafts_error {
    () => {
        impl From<kvfuse_core::Error> for store::Error {
            fn from(error: kvfuse_core::Error) -> Self {
                match error.kind() {
                    kvfuse_core::Kind::NoSuchStore => Self::NoSuchStore,
                    kvfuse_core::Kind::AccessDenied => Self::AccessDenied,
                    _ => Self::Other(error.message().to_string()),
                }
            }
        }
    };
}

/// `open` and the bucket. `$from` converts a cursor to that of the store, `$into` converts it back.
///
/// Needs in scope: `store`, `Bucket`, `Facade`, and what [`drafts_error`] defines.
#[doc(hidden)]
#[macro_export]
macro_rules! drafts_store {
    (cursor: $cursor:ty, $from:expr, $into:expr) => {
        impl<P: $crate::Provider> store::Guest for Facade<P> {
            type Bucket = Bucket;

            fn open(identifier: String) -> Result<store::Bucket, store::Error> {
                let bucket = P::with_store(|store| store.open(&identifier))?;
                Ok(store::Bucket::new(Bucket(bucket)))
            }
        }

        impl store::GuestBucket for Bucket {
            fn get(&self, key: String) -> Result<Option<Vec<u8>>, store::Error> {
                Ok(self.0.get(&key)?)
            }

            fn set(&self, key: String, value: Vec<u8>) -> Result<(), store::Error> {
                Ok(self.0.set(&key, &value)?)
            }

            fn delete(&self, key: String) -> Result<(), store::Error> {
                Ok(self.0.delete(&key)?)
            }

            fn exists(&self, key: String) -> Result<bool, store::Error> {
                Ok(self.0.exists(&key)?)
            }

            fn list_keys(&self, cursor: Option<$cursor>) -> Result<store::KeyResponse, store::Error> {
                let cursor = cursor.map($from).transpose()?;
                let page = self.0.list(cursor.as_deref())?;
                Ok(store::KeyResponse { keys: page.keys, cursor: page.cursor.map($into) })
            }
        }
    };
}

/// `atomics`, with signed counters and compare-and-swap.
///
/// Needs in scope: `atomics`, `store`, `Bucket`, `Cas`, `Facade`, `Swap`, and what [`drafts_error`] defines.
#[doc(hidden)]
#[macro_export]
macro_rules! drafts_atomics {
    () => {
        impl<P: $crate::Provider> atomics::Guest for Facade<P> {
            type Cas = Cas;

            fn increment(bucket: store::BucketBorrow<'_>, key: String, delta: i64) -> Result<i64, store::Error> {
                Ok(bucket.get::<Bucket>().0.increment(&key, delta, i64::MIN)?)
            }

            fn swap(cas: atomics::Cas, value: Vec<u8>) -> Result<(), atomics::CasError> {
                let cas = cas.into_inner::<Cas>();
                match cas.bucket.swap(&cas.key, &cas.state.version, &value) {
                    Ok(Swap::Done) => Ok(()),
                    Ok(Swap::Conflict(state)) => {
                        Err(atomics::CasError::CasFailed(atomics::Cas::new(Cas { state, ..cas })))
                    }
                    Err(error) => Err(atomics::CasError::StoreError(error.into())),
                }
            }
        }

        impl atomics::GuestCas for Cas {
            fn new(bucket: store::BucketBorrow<'_>, key: String) -> Result<atomics::Cas, store::Error> {
                let bucket = bucket.get::<Bucket>().0.clone();
                let state = bucket.snapshot(&key)?;
                Ok(atomics::Cas::new(Self { bucket, key, state }))
            }

            fn current(&self) -> Result<Option<Vec<u8>>, store::Error> {
                Ok(self.state.value.clone())
            }
        }
    };
}

/// `batch`. `$present` makes the result of `get-many` from the keys and their values.
///
/// Needs in scope: `batch`, `store`, `Bucket`, `Facade`, and what [`drafts_error`] defines.
#[doc(hidden)]
#[macro_export]
macro_rules! drafts_batch {
    (get_many: $answer:ty, $present:expr) => {
        impl<P: $crate::Provider> batch::Guest for Facade<P> {
            fn get_many(bucket: store::BucketBorrow<'_>, keys: Vec<String>) -> Result<$answer, store::Error> {
                let values = bucket.get::<Bucket>().0.get_many(&$crate::shared::strs(&keys))?;
                Ok($present(keys, values))
            }

            fn set_many(
                bucket: store::BucketBorrow<'_>,
                key_values: Vec<(String, Vec<u8>)>,
            ) -> Result<(), store::Error> {
                Ok(bucket.get::<Bucket>().0.set_many(&$crate::shared::pairs(&key_values))?)
            }

            fn delete_many(bucket: store::BucketBorrow<'_>, keys: Vec<String>) -> Result<(), store::Error> {
                Ok(bucket.get::<Bucket>().0.delete_many(&$crate::shared::strs(&keys))?)
            }
        }
    };
}
