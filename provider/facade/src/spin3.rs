//! `spin:key-value/key-value@3.0.0`, the interface of Spin 4: that of [`spin2`](crate::spin2) with functions that are
//! asynchronous in type, and the keys of a store as a stream.
//!
//! Over stores that wait inside their calls, all functions are lifted synchronously but `get-keys`, which goes on after it has
//! returned: it lists a page whenever the caller has taken the one before. So a store of any size takes the memory of a page.

wit_bindgen::generate!({
    path: "../../wit/spin3",
    world: "spin:key-value/spin3-provider@3.0.0",
    // The first that matches counts.
    async: ["export:spin:key-value/key-value@3.0.0#[method]store.get-keys", "-all"],
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::spin3",
});

use exports::spin::key_value::key_value;
use std::marker::PhantomData;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

/// The whole generation; `waiting` says that calls wait beside each other.
///
/// Needs in scope: `key_value`, `wit_future`, `wit_stream`, and `Facade`.
#[doc(hidden)]
#[macro_export]
macro_rules! spin3 {
    () => {
        use $crate::shared::Opened as Open;
        $crate::spin3!(Provider, plain, kvfuse_core::Bucket,);
    };
    (waiting) => {
        use kvfuse_core::AsyncBucket as _;
        use $crate::shared::WaitingOpened as Open;
        $crate::spin3!(WaitingProvider, settled, kvfuse_core::AsyncBucket, async, await);
    };
    ($provider:ident, $whole:ident, $contract:path, $($async:ident, $await:ident)?) => {
        use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

        impl From<kvfuse_core::Error> for key_value::Error {
            fn from(error: kvfuse_core::Error) -> Self {
                match error.kind() {
                    kvfuse_core::Kind::NoSuchStore => Self::NoSuchStore,
                    kvfuse_core::Kind::AccessDenied => Self::AccessDenied,
                    _ => Self::Other(error.message().to_string()),
                }
            }
        }

        impl<P: $crate::$provider> key_value::Guest for Facade<P> {
            type Store = Open<P>;
        }

        impl<P: $crate::$provider> key_value::GuestStore for Open<P> {
            $($async)? fn open(label: String) -> Result<key_value::Store, key_value::Error> {
                $crate::$whole!(Ok(key_value::Store::new(Open::<P>::open(&label)?)))
            }

            $($async)? fn get(&self, key: String) -> Result<Option<Vec<u8>>, key_value::Error> {
                $crate::$whole!(Ok(self.0.get(&key)$(.$await)??))
            }

            $($async)? fn set(&self, key: String, value: Vec<u8>) -> Result<(), key_value::Error> {
                $crate::$whole!(Ok(self.0.set(&key, &value)$(.$await)??))
            }

            $($async)? fn delete(&self, key: String) -> Result<(), key_value::Error> {
                $crate::$whole!(Ok(self.0.delete(&key)$(.$await)??))
            }

            $($async)? fn exists(&self, key: String) -> Result<bool, key_value::Error> {
                $crate::$whole!(Ok(self.0.exists(&key)$(.$await)??))
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
        async fn list(
            bucket: &(impl $contract + ?Sized),
            writer: &mut StreamWriter<String>,
        ) -> kvfuse_core::Result<()> {
            let mut page = bucket.list(None)$(.$await)??;
            loop {
                // Only a write that has something left says that nobody reads any more, and the next write would trap. So a page
                // without keys, which a store may give, is not written.
                let keys = std::mem::take(&mut page.keys);
                let left = if keys.is_empty() { keys } else { writer.write_all(keys).await };
                match page.cursor {
                    Some(cursor) if left.is_empty() => page = bucket.list(Some(&cursor))$(.$await)??,
                    _ => return Ok(()),
                }
            }
        }
    };
}

crate::spin3!();
