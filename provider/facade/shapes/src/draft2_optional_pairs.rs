//! `wasi:keyvalue@0.2.0-draft2` with a `get-many` that gives an optional pair for each key; otherwise identical to
//! [`draft2`](kvfuse_facade::draft2). Upstream had this shape until 2026-08; wRPC, componentized/valkey and WAVS use it.

wit_bindgen::generate!({
    path: "../../../wit/draft2_optional_pairs",
    world: "wasi:keyvalue/draft2-optional-pairs-provider@0.2.0-draft2",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade_shapes::draft2_optional_pairs",
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
