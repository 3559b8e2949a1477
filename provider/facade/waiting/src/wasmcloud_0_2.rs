//! `wasmcloud:keyvalue@0.2.0`, the interface of wasmCloud 2. Its types have an interface of their own.

wit_bindgen::generate!({
    path: "../../../wit/wasmcloud_0_2",
    world: "wasmcloud:keyvalue/wasmcloud-0-2-provider@0.2.0",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade_waiting::wasmcloud_0_2",
});

use exports::wasmcloud::keyvalue::{atomics, batch, cas, store, types};
use kvfuse_facade::WaitingProvider;
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

kvfuse_facade::wasmcloud!(types, "wasmcloud:keyvalue", waiting);

impl<P: WaitingProvider> types::Guest for Facade<P> {
    type Bucket = Bucket<P>;
}

impl<P: WaitingProvider> store::Guest for Facade<P> {
    async fn open(identifier: String) -> Result<types::Bucket, types::Error> {
        opened::<P>(identifier).await
    }
}
