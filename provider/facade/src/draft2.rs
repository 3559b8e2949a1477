//! `wasi:keyvalue@0.2.0-draft2`, in Spin's shape, which upstream adopted in 2026-08: string cursors, signed counters,
//! compare-and-swap, and a `get-many` that gives every key with an optional value.

wit_bindgen::generate!({
    path: "../../wit/draft2",
    world: "wasi:keyvalue/draft2-provider@0.2.0-draft2",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::draft2",
});

use crate::drafts::{Bucket, Cas};
use crate::shared::zip;
use exports::wasi::keyvalue::{atomics, batch, store};
use kvfuse_core::{Error, Swap};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::drafts_error!();
crate::drafts_store!(cursor: String, Ok::<_, Error>, |cursor| cursor);
crate::drafts_atomics!();
crate::drafts_batch!(get_many: Vec<(String, Option<Vec<u8>>)>, zip);
