//! `spin:key-value@3.0.0`, with calls that are lowered synchronously, but for the one that gives a stream: while one is made,
//! nothing else of this component runs.

wit_bindgen::generate!({
    path: "../../../wit/spin3",
    world: "spin:key-value/imports@3.0.0",
    async: ["import:spin:key-value/key-value@3.0.0#[method]store.get-keys", "-all"],
});

use kvfuse_conformance_guests::check::{holds, listed, ok, same};
use kvfuse_conformance_guests::{Case, Subject, Verdict, common};
use spin::key_value::key_value::{Error, Store};
use std::collections::BTreeSet;
use wit_bindgen::block_on;

struct Handle(Store);

fn opened(name: &str) -> Result<Store, String> {
    Store::open(name).map_err(text)
}

fn open(name: &str) -> Result<Box<dyn kvfuse_conformance_guests::Bucket>, String> {
    Ok(Box::new(Handle(opened(name)?)))
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

    /// To the end of the stream, and then how it ended.
    fn list(&self, _: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
        block_on(async {
            let (keys, ended) = self.0.get_keys().await;
            let keys = keys.collect().await;
            ended.await.map_err(text)?;
            Ok((keys, None))
        })
    }
}

/// The keys as a stream.
const STREAM: &[Case] = &[
    ("a caller may ask how a listing ends before it reads the keys", ended_first),
    ("a caller may make other calls between two keys", calls_between_keys),
    ("a caller may stop reading the keys, and the store goes on", stops_reading),
];

fn filled(subject: &Subject, count: usize) -> Result<(Store, BTreeSet<String>), kvfuse_conformance_guests::Failure> {
    let store = ok("open", opened(subject.name))?;
    let keys: BTreeSet<String> = (0..count).map(|n| format!("key {n:04}")).collect();
    for key in &keys {
        ok("set", store.set(key, key.as_bytes()).map_err(text))?;
    }
    Ok((store, keys))
}

fn ended_first(subject: &Subject) -> Verdict {
    let (store, wanted) = filled(subject, 30)?;
    block_on(async {
        let (keys, ended) = store.get_keys().await;
        let (keys, ended) = kvfuse_conformance_guests::wasmcloud::both(keys.collect(), async { ended.await }).await;
        listed("the end", ended.map_err(text))?;
        same("the keys", keys.into_iter().collect(), wanted)
    })
}

fn calls_between_keys(subject: &Subject) -> Verdict {
    let (store, wanted) = filled(subject, 30)?;
    block_on(async {
        let (mut keys, ended) = store.get_keys().await;
        let mut found = BTreeSet::new();
        while let Some(key) = keys.next().await {
            let value = ok("get", store.get(&key).map_err(text))?;
            same("the value of a key that was listed", value, Some(key.clone().into_bytes()))?;
            holds("a key was given twice", found.insert(key))?;
        }
        listed("the end", ended.await.map_err(text))?;
        same("the keys", found, wanted)
    })
}

fn stops_reading(subject: &Subject) -> Verdict {
    let (store, wanted) = filled(subject, 30)?;
    block_on(async {
        let (mut keys, ended) = store.get_keys().await;
        let first = keys.next().await;
        if first.is_none() {
            return listed("the end", ended.await.map_err(text));
        }
        holds("there is no first key", first.is_some_and(|key| wanted.contains(&key)))?;
        drop(keys);
        drop(ended);
        let (keys, _) = store.get_keys().await;
        drop(keys);
        ok("set", store.set("another", b"").map_err(text))
    })?;
    let all = ok("get-keys", kvfuse_conformance_guests::Bucket::list(&Handle(store), None))?;
    same("the number of keys", all.0.len(), wanted.len() + 1)
}

kvfuse_conformance_guests::guest_p3! {
    open,
    &[common::KEYS, common::DELETE_MISSING, common::MISSING, common::LISTING],
    common::STORES,
    STREAM,
}
