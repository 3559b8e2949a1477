//! `wasi:keyvalue` without a version (2023-11 to 2024-01), the interface of Golem's tutorial: like
//! [`v0_1`](crate::v0_1), except that a missing key is an error, and that `get-keys` has no place for one: it traps when
//! the bucket cannot be listed, with the reason on standard error.

wit_bindgen::generate!({
    path: ["../../wit/io", "../../wit/unversioned"],
    world: "wasi:keyvalue/unversioned-provider",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::unversioned",
});

use crate::caching::{Cache, Entry, FutureDone, FutureEntry, FutureExists, FutureGet, Vacancy};
use crate::shared::{all_keys, no_place_for, strs};
use crate::values::{Bucket, Incoming, Outgoing, found};
use exports::wasi::keyvalue::{batch, cache, readwrite, types};
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

crate::classic_types!(wasi_cloud_error);
crate::classic_atomic!();
crate::classic_cache!();

impl types::GuestIncomingValue for Incoming {
    fn incoming_value_consume_sync(&self) -> Result<Vec<u8>, types::Error> {
        Ok(self.consume()?)
    }

    fn incoming_value_consume_async(&self) -> Result<types::InputStream, types::Error> {
        Ok(self.consume_stream()?)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl<P: crate::Caching> readwrite::Guest for Facade<P> {
    fn get(bucket: types::BucketBorrow<'_>, key: String) -> Result<types::IncomingValue, types::Error> {
        let value = Incoming::get(&*bucket.get::<Bucket<P>>().0, &key)?;
        Ok(types::IncomingValue::new(found(value)?))
    }

    crate::classic_single!();
}

impl<P: crate::Caching> batch::Guest for Facade<P> {
    fn get_many(bucket: types::BucketBorrow<'_>, keys: Vec<String>) -> Result<Vec<types::IncomingValue>, types::Error> {
        let values = bucket.get::<Bucket<P>>().0.get_many(&strs(&keys))?;
        let values = values.into_iter().map(|value| found(value.map(Incoming::whole)));
        Ok(values.map(|value| value.map(types::IncomingValue::new)).collect::<Result<_, _>>()?)
    }

    fn get_keys(bucket: types::BucketBorrow<'_>) -> Vec<String> {
        match all_keys(&*bucket.get::<Bucket<P>>().0) {
            Ok(keys) => keys,
            Err(error) => P::trap(&no_place_for("get-keys", &error)),
        }
    }

    crate::classic_batch!();
}
