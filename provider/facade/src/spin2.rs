//! `fermyon:spin/key-value@2.0.0`, the interface of Spin 2 and 3: a store is a bucket by its label. There are no counters,
//! batches or pages.

wit_bindgen::generate!({
    path: "../../wit/spin2",
    world: "fermyon:spin/spin2-provider@2.0.0",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::spin2",
});

use crate::Provider;
use crate::shared::all_keys;
use exports::fermyon::spin::key_value;
use kvfuse_core::{Bucket, Kind};
use std::marker::PhantomData;
use std::rc::Rc;

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

    fn get_keys(&self) -> Result<Vec<String>, key_value::Error> {
        Ok(all_keys(&*self.0)?)
    }
}
