//! `fermyon:spin/key-value` without a version: stores are numbers, and a missing key is an error.

wit_bindgen::generate!({ path: "../../../wit/spin1", world: "fermyon:spin/imports" });

use fermyon::spin::key_value::{self, Error};
use kvfuse_conformance_guests::check::{holds, ok, same};
use kvfuse_conformance_guests::{Case, Failure, Subject, Verdict, common};

struct Handle(key_value::Store);

impl Drop for Handle {
    fn drop(&mut self) {
        key_value::close(self.0);
    }
}

fn open(name: &str) -> Result<Box<dyn kvfuse_conformance_guests::Bucket>, String> {
    Ok(Box::new(Handle(key_value::open(name).map_err(text)?)))
}

fn text(error: Error) -> String {
    match error {
        Error::StoreTableFull => "store-table-full".into(),
        Error::NoSuchStore => "no-such-store".into(),
        Error::AccessDenied => "access-denied".into(),
        Error::InvalidStore => "invalid-store".into(),
        Error::NoSuchKey => "no-such-key".into(),
        Error::Io(message) => message,
    }
}

impl kvfuse_conformance_guests::Bucket for Handle {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        key_value::get(self.0, key).map(Some).map_err(text)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        key_value::set(self.0, key, value).map_err(text)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        key_value::delete(self.0, key).map_err(text)
    }

    fn exists(&self, key: &str) -> Result<bool, String> {
        key_value::exists(self.0, key).map_err(text)
    }

    fn list(&self, _: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
        Ok((key_value::get_keys(self.0).map_err(text)?, None))
    }
}

/// What is different in this generation.
const OWN: &[Case] = &[
    ("get of a key that is not there is the error no-such-key", missing),
    ("a store that was closed is invalid for every call", closed),
    ("a number that was never given is invalid for every call", never_given),
    ("close of a store that is not open does nothing", close_twice),
    ("closing a store leaves another handle of it open", close_one),
    ("when too many stores are open, closing one makes room", full),
];

kvfuse_conformance_guests::guest! {
    open,
    &[common::KEYS, common::DELETE_MISSING, common::LISTING, common::STORES],
    OWN,
}

fn open_here(subject: &Subject) -> Result<key_value::Store, Failure> {
    ok("open", key_value::open(subject.name).map_err(text))
}

fn missing(subject: &Subject) -> Verdict {
    let store = open_here(subject)?;
    holds("get gave another answer", matches!(key_value::get(store, "nobody set this"), Err(Error::NoSuchKey)))?;
    ok("set", key_value::set(store, "key", b"value").map_err(text))?;
    ok("delete", key_value::delete(store, "key").map_err(text))?;
    holds("get gave another answer after delete", matches!(key_value::get(store, "key"), Err(Error::NoSuchKey)))
}

fn invalid(store: key_value::Store) -> Verdict {
    let is = |call: &str, error: Option<Error>| holds(call, matches!(error, Some(Error::InvalidStore)));
    is("get was not refused", key_value::get(store, "key").err())?;
    is("set was not refused", key_value::set(store, "key", b"value").err())?;
    is("delete was not refused", key_value::delete(store, "key").err())?;
    is("exists was not refused", key_value::exists(store, "key").err())?;
    is("get-keys was not refused", key_value::get_keys(store).err())
}

fn closed(subject: &Subject) -> Verdict {
    let store = open_here(subject)?;
    ok("set", key_value::set(store, "key", b"value").map_err(text))?;
    key_value::close(store);
    invalid(store)?;
    let again = open_here(subject)?;
    same("get", ok("get", key_value::get(again, "key").map_err(text))?, b"value".to_vec())
}

fn never_given(subject: &Subject) -> Verdict {
    let store = open_here(subject)?;
    invalid(store.wrapping_add(1_000_000))
}

fn close_twice(subject: &Subject) -> Verdict {
    let (one, other) = (open_here(subject)?, open_here(subject)?);
    key_value::close(one);
    key_value::close(one);
    key_value::close(other.wrapping_add(1_000_000));
    ok("set", key_value::set(other, "key", b"value").map_err(text))
}

fn close_one(subject: &Subject) -> Verdict {
    let (one, other) = (open_here(subject)?, open_here(subject)?);
    ok("set", key_value::set(one, "key", b"value").map_err(text))?;
    key_value::close(one);
    same("get", ok("get", key_value::get(other, "key").map_err(text))?, b"value".to_vec())
}

fn full(subject: &Subject) -> Verdict {
    let mut open = Vec::new();
    for _ in 0..100_000 {
        match key_value::open(subject.name) {
            Ok(store) => open.push(store),
            Err(Error::StoreTableFull) => {
                let last = open.pop().ok_or(Failure::Failed("not one store can be opened".into()))?;
                key_value::close(last);
                return ok("open after close", key_value::open(subject.name).map_err(text)).map(drop);
            }
            Err(error) => return Err(Failure::Failed(format!("open gave the error: {}", text(error)))),
        }
    }
    // There is room for all of these.
    Ok(())
}
