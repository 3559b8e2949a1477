//! `wasi:keyvalue@0.1.0` with values that are consumed by methods, as it was until 2024-02-12; otherwise identical to
//! [`v0_1`](kvfuse_facade::v0_1), where static functions consume them.

wit_bindgen::generate!({
    path: ["../../../wit/io", "../../../wit/v0_1_consume_methods"],
    world: "wasi:keyvalue/v0-1-consume-methods-provider@0.1.0",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade_shapes::v0_1_consume_methods",
});

use exports::wasi::keyvalue::{cache, eventual, eventual_batch, types};
use kvfuse_facade::caching::{Cache, Entry, FutureDone, FutureEntry, FutureExists, FutureGet, Vacancy};
use kvfuse_facade::values::{Bucket, Incoming, Outgoing};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

kvfuse_facade::classic_eventual!();

impl types::GuestIncomingValue for Incoming {
    fn incoming_value_consume_sync(&self) -> Result<Vec<u8>, types::Error> {
        Ok(self.consume()?)
    }

    fn incoming_value_consume_async(&self) -> Result<types::InputStream, types::Error> {
        Ok(self.consume_stream()?)
    }

    fn incoming_value_size(&self) -> Result<u64, types::Error> {
        Ok(self.size)
    }
}
