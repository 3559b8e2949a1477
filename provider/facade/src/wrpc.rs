//! `wrpc:keyvalue@0.2.0-draft`, the interface of wRPC's providers: like [`draft`](crate::draft), except that there are
//! no handles and every call names its bucket.

wit_bindgen::generate!({
    path: "../../wit/wrpc",
    world: "wrpc:keyvalue/wrpc-provider@0.2.0-draft",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::wrpc",
});

use crate::Provider;
use crate::shared::{cursor_from_number, increment, number_from_cursor, pairs, present, strs};
use exports::wrpc::keyvalue::{atomics, batch, store};
use kvfuse_core::Bucket;
use std::marker::PhantomData;
use std::rc::Rc;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::drafts_error!();

impl<P: Provider> Facade<P> {
    fn open(bucket: &str) -> Result<Rc<dyn Bucket>, store::Error> {
        Ok(P::with_store(|store| store.open(bucket))?)
    }
}

impl<P: Provider> store::Guest for Facade<P> {
    fn get(bucket: String, key: String) -> Result<Option<Vec<u8>>, store::Error> {
        Ok(Self::open(&bucket)?.get(&key)?)
    }

    fn set(bucket: String, key: String, value: Vec<u8>) -> Result<(), store::Error> {
        Ok(Self::open(&bucket)?.set(&key, &value)?)
    }

    fn delete(bucket: String, key: String) -> Result<(), store::Error> {
        Ok(Self::open(&bucket)?.delete(&key)?)
    }

    fn exists(bucket: String, key: String) -> Result<bool, store::Error> {
        Ok(Self::open(&bucket)?.exists(&key)?)
    }

    fn list_keys(bucket: String, cursor: Option<u64>) -> Result<store::KeyResponse, store::Error> {
        let cursor = cursor.map(cursor_from_number).transpose()?;
        let page = Self::open(&bucket)?.list(cursor.as_deref())?;
        Ok(store::KeyResponse { keys: page.keys, cursor: page.cursor.map(number_from_cursor) })
    }
}

impl<P: Provider> atomics::Guest for Facade<P> {
    fn increment(bucket: String, key: String, delta: u64) -> Result<u64, store::Error> {
        Ok(increment(&*Self::open(&bucket)?, &key, delta)?)
    }
}

impl<P: Provider> batch::Guest for Facade<P> {
    fn get_many(bucket: String, keys: Vec<String>) -> Result<Vec<Option<(String, Vec<u8>)>>, store::Error> {
        let values = Self::open(&bucket)?.get_many(&strs(&keys))?;
        Ok(present(keys, values))
    }

    fn set_many(bucket: String, key_values: Vec<(String, Vec<u8>)>) -> Result<(), store::Error> {
        Ok(Self::open(&bucket)?.set_many(&pairs(&key_values))?)
    }

    fn delete_many(bucket: String, keys: Vec<String>) -> Result<(), store::Error> {
        Ok(Self::open(&bucket)?.delete_many(&strs(&keys))?)
    }
}
