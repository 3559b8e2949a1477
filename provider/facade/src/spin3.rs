//! `spin:key-value/key-value@3.0.0`, the interface of Spin 4: that of [`spin2`](crate::spin2) with functions that are
//! asynchronous in type, and the keys of a store as a stream.
//!
//! All functions are lifted synchronously but `get-keys`, which goes on after it has returned: it lists a page whenever the
//! caller has taken the one before. So a store of any size takes the memory of a page.

wit_bindgen::generate!({
    path: "../../wit/spin3",
    world: "spin:key-value/spin3-provider@3.0.0",
    // The first that matches counts.
    async: ["export:spin:key-value/key-value@3.0.0#[method]store.get-keys", "-all"],
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::spin3",
});

use crate::Provider;
use exports::spin::key_value::key_value;
use kvfuse_core::{Bucket, Kind};
use std::marker::PhantomData;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

/// An open store.
pub struct Open<P>(Rc<dyn Bucket>, PhantomData<P>);

impl From<kvfuse_core::Error> for key_value::Error {
    fn from(error: kvfuse_core::Error) -> Self {
        match error.kind() {
            Kind::NoSuchStore => Self::NoSuchStore,
            Kind::AccessDenied => Self::AccessDenied,
            _ => Self::Other(error.message().to_string()),
        }
    }
}

impl<P: Provider> key_value::Guest for Facade<P> {
    type Store = Open<P>;
}

impl<P: Provider> key_value::GuestStore for Open<P> {
    fn open(label: String) -> Result<key_value::Store, key_value::Error> {
        let bucket = P::with_store(|store| store.open(&label))?;
        Ok(key_value::Store::new(Self(bucket, PhantomData)))
    }

    fn get(&self, key: String) -> Result<Option<Vec<u8>>, key_value::Error> {
        Ok(self.0.get(&key)?)
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), key_value::Error> {
        Ok(self.0.set(&key, &value)?)
    }

    fn delete(&self, key: String) -> Result<(), key_value::Error> {
        Ok(self.0.delete(&key)?)
    }

    fn exists(&self, key: String) -> Result<bool, key_value::Error> {
        Ok(self.0.exists(&key)?)
    }

    async fn get_keys(&self) -> (StreamReader<String>, FutureReader<Result<(), key_value::Error>>) {
        let (mut writer, keys) = wit_stream::new();
        // Only what ends without an answer would give this one.
        let (outcome, ended) = wit_future::new(|| Err(key_value::Error::Other("the listing was cut off".into())));
        let bucket = self.0.clone();
        wit_bindgen::spawn_local(async move {
            let listed = list(&*bucket, &mut writer).await.map_err(key_value::Error::from);
            // The end of the stream first: a caller that reads it to its end then asks how it ended.
            drop(writer);
            // A caller that does not want to know has dropped its end.
            drop(outcome.write(listed).await);
        });
        (keys, ended)
    }
}

/// Writes all keys to the stream, until the caller has enough.
async fn list(bucket: &dyn Bucket, writer: &mut StreamWriter<String>) -> kvfuse_core::Result<()> {
    let mut page = bucket.list(None)?;
    loop {
        let left = writer.write_all(std::mem::take(&mut page.keys)).await;
        match page.cursor {
            Some(cursor) if left.is_empty() => page = bucket.list(Some(&cursor))?,
            _ => return Ok(()),
        }
    }
}
