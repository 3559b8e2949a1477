//! `wrpc:keyvalue@0.2.0-draft`.

wit_bindgen::generate!({ path: "../../../wit/wrpc", world: "wrpc:keyvalue/imports@0.2.0-draft" });

use kvfuse_conformance_guests::check::{holds, ok, same};
use kvfuse_conformance_guests::{Bucket, Case, Subject, Verdict, common};
use wrpc::keyvalue::{atomics, batch, store};

/// A bucket's name: this generation has no handles, so opening one is nothing.
struct Handle(String);

fn open(name: &str) -> Result<Box<dyn Bucket>, String> {
    Ok(Box::new(Handle(name.to_string())))
}

fn text(error: store::Error) -> String {
    match error {
        store::Error::NoSuchStore => "no-such-store".into(),
        store::Error::AccessDenied => "access-denied".into(),
        store::Error::Other(message) => message,
    }
}

fn strings(keys: &[&str]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

fn owned(pairs: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_vec())).collect()
}

impl Bucket for Handle {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        store::get(&self.0, key).map_err(text)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        store::set(&self.0, key, value).map_err(text)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        store::delete(&self.0, key).map_err(text)
    }

    fn exists(&self, key: &str) -> Result<bool, String> {
        store::exists(&self.0, key).map_err(text)
    }

    fn list(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
        let cursor = cursor.map(|cursor| cursor.parse().map_err(|_| "not a cursor".to_string())).transpose()?;
        let page = store::list_keys(&self.0, cursor).map_err(text)?;
        Ok((page.keys, page.cursor.map(|cursor| cursor.to_string())))
    }

    fn increment(&self, key: &str, delta: u64) -> Result<i128, String> {
        atomics::increment(&self.0, key, delta).map(i128::from).map_err(text)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, String> {
        let pairs = batch::get_many(&self.0, &strings(keys)).map_err(text)?;
        Ok(pairs.into_iter().map(|pair| pair.map(|(_, value)| value)).collect())
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), String> {
        batch::set_many(&self.0, &owned(pairs)).map_err(text)
    }

    fn delete_many(&self, keys: &[&str]) -> Result<(), String> {
        batch::delete_many(&self.0, &strings(keys)).map_err(text)
    }
}

/// What this generation has besides.
const OWN: &[Case] = &[
    ("get-many gives each pair with its key", pairs_have_keys),
    ("a cursor that was never given is refused, or lists no key twice", strange_cursor),
];

kvfuse_conformance_guests::guest! {
    open,
    common::KEYS,
    common::DELETE_MISSING,
    common::MISSING,
    common::LISTING,
    common::COUNTERS,
    common::BATCHES,
    OWN,
}

fn pairs_have_keys(subject: &Subject) -> Verdict {
    let bucket = subject.name;
    let pairs = owned(&[("a", b"1"), ("b", b"2")]);
    ok("set-many", batch::set_many(&bucket, &pairs).map_err(text))?;
    let got = ok("get-many", batch::get_many(&bucket, &strings(&["b", "a"])).map_err(text))?;
    let wanted = vec![Some(("b".to_string(), b"2".to_vec())), Some(("a".to_string(), b"1".to_vec()))];
    same("get-many", got, wanted)
}

fn strange_cursor(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    ok("set", bucket.set("key", b"value"))?;
    let Ok((keys, _)) = bucket.list(Some("18446744073709551615")) else { return Ok(()) };
    holds("a listing from nowhere gave a key more than once", keys.len() <= 1)
}
