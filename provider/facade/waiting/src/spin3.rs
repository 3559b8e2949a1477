//! `spin:key-value/key-value@3.0.0`, the interface of Spin 4.

wit_bindgen::generate!({
    path: "../../../wit/spin3",
    world: "spin:key-value/spin3-provider@3.0.0",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade_waiting::spin3",
});

use exports::spin::key_value::key_value;
use kvfuse_core::{AsyncBucket, Kind};
use kvfuse_facade::{WaitingProvider, settled};
use std::marker::PhantomData;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

/// An open store.
pub struct Open<P: WaitingProvider>(Rc<P::Bucket>);

impl From<kvfuse_core::Error> for key_value::Error {
    fn from(error: kvfuse_core::Error) -> Self {
        match error.kind() {
            Kind::NoSuchStore => Self::NoSuchStore,
            Kind::AccessDenied => Self::AccessDenied,
            _ => Self::Other(error.message().to_string()),
        }
    }
}

impl<P: WaitingProvider> key_value::Guest for Facade<P> {
    type Store = Open<P>;
}

impl<P: WaitingProvider> key_value::GuestStore for Open<P> {
    async fn open(label: String) -> Result<key_value::Store, key_value::Error> {
        settled!(Ok(key_value::Store::new(Self(Rc::new(P::open(&label)?)))))
    }

    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, key_value::Error> {
        settled!(Ok(self.0.get(&key).await?))
    }

    async fn set(&self, key: String, value: Vec<u8>) -> Result<(), key_value::Error> {
        settled!(Ok(self.0.set(&key, &value).await?))
    }

    async fn delete(&self, key: String) -> Result<(), key_value::Error> {
        settled!(Ok(self.0.delete(&key).await?))
    }

    async fn exists(&self, key: String) -> Result<bool, key_value::Error> {
        settled!(Ok(self.0.exists(&key).await?))
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
async fn list(bucket: &impl AsyncBucket, writer: &mut StreamWriter<String>) -> kvfuse_core::Result<()> {
    let mut page = bucket.list(None).await?;
    loop {
        let left = writer.write_all(std::mem::take(&mut page.keys)).await;
        match page.cursor {
            Some(cursor) if left.is_empty() => page = bucket.list(Some(&cursor)).await?,
            _ => return Ok(()),
        }
    }
}
