//! `wasi:keyvalue@0.2.0-draft2`, in the shape that upstream has had since 2026-08 and Spin since 2024: string cursors,
//! signed counters, compare-and-swap, and a `get-many` that gives each key with its value, if any.

wit_bindgen::generate!({
    path: "../../wit/draft2",
    world: "wasi:keyvalue/draft2-provider@0.2.0-draft2",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::draft2",
});

use crate::Provider;
use crate::shared::{pairs, strs};
use exports::wasi::keyvalue::{atomics, batch, store};
use kvfuse_core::{Error, Kind, Snapshot, Swap};
use std::marker::PhantomData;
use std::rc::Rc;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

pub struct Bucket(Rc<dyn kvfuse_core::Bucket>);

/// A key's state when the handle was made.
pub struct Cas {
    bucket: Rc<dyn kvfuse_core::Bucket>,
    key: String,
    state: Snapshot,
}

impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NoSuchStore => Self::NoSuchStore,
            Kind::AccessDenied => Self::AccessDenied,
            _ => Self::Other(error.message().to_string()),
        }
    }
}

fn bucket<'a>(handle: &'a store::BucketBorrow<'_>) -> &'a Rc<dyn kvfuse_core::Bucket> {
    &handle.get::<Bucket>().0
}

impl<P: Provider> store::Guest for Facade<P> {
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

    fn list_keys(&self, cursor: Option<String>) -> Result<store::KeyResponse, store::Error> {
        let page = self.0.list(cursor.as_deref())?;
        Ok(store::KeyResponse { keys: page.keys, cursor: page.cursor })
    }
}

impl<P: Provider> atomics::Guest for Facade<P> {
    type Cas = Cas;

    fn increment(handle: store::BucketBorrow<'_>, key: String, delta: i64) -> Result<i64, store::Error> {
        Ok(bucket(&handle).increment(&key, delta, i64::MIN)?)
    }

    fn swap(cas: atomics::Cas, value: Vec<u8>) -> Result<(), atomics::CasError> {
        let cas = cas.into_inner::<Cas>();
        match cas.bucket.swap(&cas.key, &cas.state.version, &value) {
            Ok(Swap::Done) => Ok(()),
            Ok(Swap::Conflict(state)) => Err(atomics::CasError::CasFailed(atomics::Cas::new(Cas { state, ..cas }))),
            Err(error) => Err(atomics::CasError::StoreError(error.into())),
        }
    }
}

impl atomics::GuestCas for Cas {
    fn new(handle: store::BucketBorrow<'_>, key: String) -> Result<atomics::Cas, store::Error> {
        let bucket = bucket(&handle).clone();
        let state = bucket.snapshot(&key)?;
        Ok(atomics::Cas::new(Self { bucket, key, state }))
    }

    fn current(&self) -> Result<Option<Vec<u8>>, store::Error> {
        Ok(self.state.value.clone())
    }
}

impl<P: Provider> batch::Guest for Facade<P> {
    fn get_many(
        handle: store::BucketBorrow<'_>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, store::Error> {
        let values = bucket(&handle).get_many(&strs(&keys))?;
        Ok(keys.into_iter().zip(values).collect())
    }

    fn set_many(handle: store::BucketBorrow<'_>, key_values: Vec<(String, Vec<u8>)>) -> Result<(), store::Error> {
        Ok(bucket(&handle).set_many(&pairs(&key_values))?)
    }

    fn delete_many(handle: store::BucketBorrow<'_>, keys: Vec<String>) -> Result<(), store::Error> {
        Ok(bucket(&handle).delete_many(&strs(&keys))?)
    }
}
