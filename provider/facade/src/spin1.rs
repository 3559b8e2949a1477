//! `fermyon:spin/key-value` without a version, the interface of Spin 1: like [`spin2`](crate::spin2), except that a
//! store is a number, and that a missing key is an error.

wit_bindgen::generate!({
    path: "../../wit/spin1",
    world: "fermyon:spin/spin1-provider",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::spin1",
});

use crate::Provider;
use crate::shared::all_keys;
use exports::fermyon::spin::key_value;
use kvfuse_core::{Bucket, Kind};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;

/// This generation over a provider's store.
pub struct Facade<P>(PhantomData<P>);

/// How many stores may be open at once. Spin's own limit is 256.
const MOST: usize = 1024;

/// The open stores. A number is never used twice, so the number of a closed store is invalid.
struct Handles {
    next: Option<u32>,
    open: BTreeMap<u32, Rc<dyn Bucket>>,
}

thread_local! {
    static HANDLES: RefCell<Handles> = const { RefCell::new(Handles { next: Some(0), open: BTreeMap::new() }) };
}

impl Handles {
    fn open(&mut self, bucket: Rc<dyn Bucket>) -> Result<u32, key_value::Error> {
        match self.next {
            Some(number) if self.open.len() < MOST => {
                self.open.insert(number, bucket);
                self.next = number.checked_add(1);
                Ok(number)
            }
            _ => Err(key_value::Error::StoreTableFull),
        }
    }
}

fn bucket(store: u32) -> Result<Rc<dyn Bucket>, key_value::Error> {
    HANDLES.with_borrow(|handles| handles.open.get(&store).cloned()).ok_or(key_value::Error::InvalidStore)
}

impl From<kvfuse_core::Error> for key_value::Error {
    fn from(error: kvfuse_core::Error) -> Self {
        match error.kind() {
            Kind::NoSuchStore => Self::NoSuchStore,
            Kind::AccessDenied => Self::AccessDenied,
            _ => Self::Io(error.message().to_string()),
        }
    }
}

impl<P: Provider> key_value::Guest for Facade<P> {
    fn open(name: String) -> Result<u32, key_value::Error> {
        let bucket = P::with_store(|store| store.open(&name))?;
        HANDLES.with_borrow_mut(|handles| handles.open(bucket))
    }

    fn get(store: u32, key: String) -> Result<Vec<u8>, key_value::Error> {
        bucket(store)?.get(&key)?.ok_or(key_value::Error::NoSuchKey)
    }

    fn set(store: u32, key: String, value: Vec<u8>) -> Result<(), key_value::Error> {
        Ok(bucket(store)?.set(&key, &value)?)
    }

    fn delete(store: u32, key: String) -> Result<(), key_value::Error> {
        Ok(bucket(store)?.delete(&key)?)
    }

    fn exists(store: u32, key: String) -> Result<bool, key_value::Error> {
        Ok(bucket(store)?.exists(&key)?)
    }

    fn get_keys(store: u32) -> Result<Vec<String>, key_value::Error> {
        Ok(all_keys(&*bucket(store)?)?)
    }

    fn close(store: u32) {
        HANDLES.with_borrow_mut(|handles| handles.open.remove(&store));
    }
}
