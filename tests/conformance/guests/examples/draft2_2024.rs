//! `wasi:keyvalue@0.2.0-draft2` as it was from 2024-09 until 2026-08, with the older `get-many`.

wit_bindgen::generate!({ path: "../../../wit/draft2_2024", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use kvfuse_conformance_guests::check::{holds, ok, same};
use kvfuse_conformance_guests::{Bucket, Case, Failure, Subject, Verdict, common};
use wasi::keyvalue::{atomics, batch, store};

struct Handle(store::Bucket);

fn open(name: &str) -> Result<Box<dyn Bucket>, String> {
    Ok(Box::new(Handle(store::open(name).map_err(text)?)))
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

    fn list(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
        let page = self.0.list_keys(cursor).map_err(text)?;
        Ok((page.keys, page.cursor))
    }

    fn increment(&self, key: &str, delta: u64) -> Result<i128, String> {
        let delta = i64::try_from(delta).map_err(|error| error.to_string())?;
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
    ("increment by a negative delta subtracts, below zero too", increment_negative),
    ("a cursor that was never given is refused, or lists no key twice", strange_cursor),
];

kvfuse_conformance_guests::cas!();

kvfuse_conformance_guests::guest! {
    open,
    common::KEYS,
    common::DELETE_MISSING,
    common::MISSING,
    common::LISTING,
    common::COUNTERS,
    common::BATCHES,
    OWN,
    CAS,
}

fn pairs_have_keys(subject: &Subject) -> Verdict {
    let bucket = open_here(subject)?;
    let pairs = owned(&[("a", b"1"), ("b", b"2")]);
    ok("set-many", batch::set_many(&bucket, &pairs).map_err(text))?;
    let got = ok("get-many", batch::get_many(&bucket, &strings(&["b", "a"])).map_err(text))?;
    let wanted = vec![Some(("b".to_string(), b"2".to_vec())), Some(("a".to_string(), b"1".to_vec()))];
    same("get-many", got, wanted)
}

fn open_here(subject: &Subject) -> Result<store::Bucket, Failure> {
    ok("open", store::open(subject.name).map_err(text))
}

fn increment_negative(subject: &Subject) -> Verdict {
    let bucket = open_here(subject)?;
    for (delta, sum) in [(5, 5), (-7, -2), (-1 << 40, -2 - (1 << 40)), (0, -2 - (1 << 40))] {
        same("increment", ok("increment", atomics::increment(&bucket, "counter", delta).map_err(text))?, sum)?;
    }
    Ok(())
}

fn strange_cursor(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    ok("set", bucket.set("key", b"value"))?;
    let Ok((keys, _)) = bucket.list(Some("never given")) else { return Ok(()) };
    holds("a listing from nowhere gave a key more than once", keys.len() <= 1)
}
