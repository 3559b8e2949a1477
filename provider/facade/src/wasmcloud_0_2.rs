//! `wasmcloud:keyvalue@0.2.0`, the interface of wasmCloud 2: named errors, lifetimes, conditional writes, listings by prefix,
//! and compare-and-swap without handles. Its types have an interface of their own.

wit_bindgen::generate!({
    path: "../../wit/wasmcloud_0_2",
    world: "wasmcloud:keyvalue/wasmcloud-0-2-provider@0.2.0",
    async: false,
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::wasmcloud_0_2",
});

use crate::Provider;
use exports::wasmcloud::keyvalue::{atomics, batch, cas, store, types};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::wasmcloud!(types, "wasmcloud:keyvalue");

impl<P: Provider> types::Guest for Facade<P> {
    type Bucket = Bucket<P>;
}

impl<P: Provider> store::Guest for Facade<P> {
    fn open(identifier: String) -> Result<types::Bucket, types::Error> {
        opened::<P>(identifier)
    }
}
