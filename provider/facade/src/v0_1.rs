//! `wasi:keyvalue@0.1.0` (2024-01), which Golem hosts. Values are resources that can be streamed, errors are resources
//! with a trace, compare-and-swap works on counters, and there is a cache.

wit_bindgen::generate!({
    path: ["../../wit/io", "../../wit/v0_1"],
    world: "wasi:keyvalue/v0-1-provider@0.1.0",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::v0_1",
});

use crate::caching::{Cache, Entry, FutureDone, FutureEntry, FutureExists, FutureGet, Vacancy};
use crate::values::{Bucket, Incoming, Outgoing};
use exports::wasi::keyvalue::{cache, eventual, eventual_batch, types};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::classic_consume_static!();
crate::classic_eventual!();
