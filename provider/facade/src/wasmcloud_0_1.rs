//! `wasmcloud:keyvalue@0.1.0`: as [`wasmcloud_0_2`](crate::wasmcloud_0_2), with the types in `store`.

wit_bindgen::generate!({
    path: "../../wit/wasmcloud_0_1",
    world: "wasmcloud:keyvalue/wasmcloud-0-1-provider@0.1.0",
    async: false,
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::wasmcloud_0_1",
});

use crate::Provider;
use exports::wasmcloud::keyvalue::{atomics, batch, cas, store};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::wasmcloud!(store, "wasmcloud:keyvalue");

impl<P: Provider> store::Guest for Facade<P> {
    type Bucket = Bucket<P>;

    fn open(identifier: String) -> Result<store::Bucket, store::Error> {
        opened::<P>(identifier)
    }
}
