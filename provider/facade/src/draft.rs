//! `wasi:keyvalue@0.2.0-draft` (2024-04), which wasmtime and wasmCloud host: `u64` cursors and counters, no
//! compare-and-swap, and a `get-many` that gives each key that is there with its value.

wit_bindgen::generate!({
    path: "../../wit/draft",
    world: "wasi:keyvalue/draft-provider@0.2.0-draft",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::draft",
});

use crate::Provider;
use crate::shared::{cursor_from_number, number_from_cursor, pairs, signed, strs};
use exports::wasi::keyvalue::{atomics, batch, store};
use kvfuse_core::{Error, Kind};
use std::marker::PhantomData;
use std::rc::Rc;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

pub struct Bucket(Rc<dyn kvfuse_core::Bucket>);

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

    fn list_keys(&self, cursor: Option<u64>) -> Result<store::KeyResponse, store::Error> {
        let cursor = cursor.map(cursor_from_number).transpose()?;
        let page = self.0.list(cursor.as_deref())?;
        Ok(store::KeyResponse { keys: page.keys, cursor: page.cursor.map(number_from_cursor) })
    }
}

impl<P: Provider> atomics::Guest for Facade<P> {
    fn increment(handle: store::BucketBorrow<'_>, key: String, delta: u64) -> Result<u64, store::Error> {
        let sum = bucket(&handle).increment(&key, signed(delta)?, 0)?;
        Ok(sum.unsigned_abs())
    }
}

impl<P: Provider> batch::Guest for Facade<P> {
    fn get_many(
        handle: store::BucketBorrow<'_>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, store::Error> {
        let values = bucket(&handle).get_many(&strs(&keys))?;
        Ok(keys.into_iter().zip(values).map(|(key, value)| Some((key, value?))).collect())
    }

    fn set_many(handle: store::BucketBorrow<'_>, key_values: Vec<(String, Vec<u8>)>) -> Result<(), store::Error> {
        Ok(bucket(&handle).set_many(&pairs(&key_values))?)
    }

    fn delete_many(handle: store::BucketBorrow<'_>, keys: Vec<String>) -> Result<(), store::Error> {
        Ok(bucket(&handle).delete_many(&strs(&keys))?)
    }
}
