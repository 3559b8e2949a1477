//! `fermyon:spin/key-value@2.0.0`.

wit_bindgen::generate!({ path: "../../../wit/spin2", world: "fermyon:spin/imports@2.0.0" });

use fermyon::spin::key_value::{Error, Store};
use kvfuse_conformance_guests::common;

struct Handle(Store);

fn open(name: &str) -> Result<Box<dyn kvfuse_conformance_guests::Bucket>, String> {
    Ok(Box::new(Handle(Store::open(name).map_err(text)?)))
}

fn text(error: Error) -> String {
    match error {
        Error::StoreTableFull => "store-table-full".into(),
        Error::NoSuchStore => "no-such-store".into(),
        Error::AccessDenied => "access-denied".into(),
        Error::Other(message) => message,
    }
}

impl kvfuse_conformance_guests::Bucket for Handle {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.0.get(key).map_err(text)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.0.set(key, value).map_err(text)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        self.0.delete(key).map_err(text)
    }

    fn exists(&self, key: &str) -> Result<bool, String> {
        self.0.exists(key).map_err(text)
    }

    fn list(&self, _: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
        Ok((self.0.get_keys().map_err(text)?, None))
    }
}

kvfuse_conformance_guests::guest! {
    open,
    &[common::KEYS, common::DELETE_MISSING, common::MISSING, common::LISTING],
    common::STORES,
}
