//! `wasi:keyvalue@0.2.0-draft` as it was for some weeks in 2024-02 (early wasmCloud): the interfaces of 0.1.0, under
//! the version that is now that of [`draft`](crate::draft). Their names differ, so one component can export both.

wit_bindgen::generate!({
    path: ["../../wit/io", "../../wit/draft_eventual"],
    world: "wasi:keyvalue/draft-eventual-provider@0.2.0-draft",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::draft_eventual",
});

use crate::caching::{Cache, Entry, FutureDone, FutureEntry, FutureExists, FutureGet, Vacancy};
use crate::values::{Bucket, Incoming, Outgoing};
use exports::wasi::keyvalue::{cache, eventual, eventual_batch, types};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::classic_consume_static!();
crate::classic_eventual!();
