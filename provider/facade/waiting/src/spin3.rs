//! `spin:key-value/key-value@3.0.0`, the interface of Spin 4.

wit_bindgen::generate!({
    path: "../../../wit/spin3",
    world: "spin:key-value/spin3-provider@3.0.0",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade_waiting::spin3",
});

use exports::spin::key_value::key_value;
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

kvfuse_facade::spin3!(waiting);
