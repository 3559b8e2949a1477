//! `wasi:keyvalue@0.2.0-draft` (2024-04), which wasmtime and wasmCloud host: `u64` cursors and counters, no
//! compare-and-swap, and a `get-many` that returns the keys that exist with their values.

wit_bindgen::generate!({
    path: "../../wit/draft",
    world: "wasi:keyvalue/draft-provider@0.2.0-draft",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::draft",
});

use crate::drafts::Bucket;
use crate::shared::{cursor_from_number, increment, number_from_cursor, present};
use exports::wasi::keyvalue::{atomics, batch, store};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::drafts_error!();
crate::drafts_store!(cursor: u64, cursor_from_number, number_from_cursor);
crate::drafts_batch!(get_many: Vec<Option<(String, Vec<u8>)>>, present);

impl<P: crate::Provider> atomics::Guest for Facade<P> {
    fn increment(bucket: store::BucketBorrow<'_>, key: String, delta: u64) -> Result<u64, store::Error> {
        Ok(increment(&*bucket.get::<Bucket>().0, &key, delta)?)
    }
}
