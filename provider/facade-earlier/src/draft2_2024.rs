//! `wasi:keyvalue@0.2.0-draft2` as it was upstream from 2024-09 to 2026-08, and as wRPC, componentized/valkey and WAVS
//! use it: like [`draft2`](kvfuse_facade::draft2), except that `get-many` returns the keys that exist with their
//! values. Both have the same version string, so a component cannot export both.

wit_bindgen::generate!({
    path: "../../wit/draft2_2024",
    world: "wasi:keyvalue/draft2-2024-provider@0.2.0-draft2",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade_earlier::draft2_2024",
});

use exports::wasi::keyvalue::{atomics, batch, store};
use kvfuse_core::{Error, Swap};
use kvfuse_facade::drafts::{Bucket, Cas};
use kvfuse_facade::shared::present;
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

kvfuse_facade::drafts_error!();
kvfuse_facade::drafts_store!(cursor: String, Ok::<_, Error>, |cursor| cursor);
kvfuse_facade::drafts_atomics!();
kvfuse_facade::drafts_batch!(get_many: Vec<Option<(String, Vec<u8>)>>, present);
