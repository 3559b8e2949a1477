//! A store in use: its provider in the embedded wasmtime, and calls of its exports.

use super::extras::Extras;
use super::place::Place;
use crate::catalogue;
use crate::needs::Needs;
use crate::refusal::{Refusal, Result, code};
use crate::run::{Flags, Grants, Host, linker, reasons};
use crate::table::Grant;
use exports::wasi::keyvalue::store::Error;
pub use exports::wasi::keyvalue::store::KeyResponse;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::component::{Component, ResourceAny};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};

// Of wit/draft2, the functions that are called. A provider whose functions have other types is refused.
wasmtime::component::bindgen!({
    inline: "
        package wasi:keyvalue@0.2.0-draft2;

        interface store {
            variant error { no-such-store, access-denied, other(string) }
            record key-response { keys: list<string>, cursor: option<string> }
            open: func(identifier: string) -> result<bucket, error>;
            resource bucket {
                get: func(key: string) -> result<option<list<u8>>, error>;
                set: func(key: string, value: list<u8>) -> result<_, error>;
                delete: func(key: string) -> result<_, error>;
                exists: func(key: string) -> result<bool, error>;
                list-keys: func(cursor: option<string>) -> result<key-response, error>;
            }
        }

        interface atomics {
            use store.{bucket, error};
            increment: func(bucket: borrow<bucket>, key: string, delta: s64) -> result<s64, error>;
        }

        interface batch {
            use store.{bucket, error};
            get-many: func(bucket: borrow<bucket>, keys: list<string>)
                -> result<list<tuple<string, option<list<u8>>>>, error>;
            set-many: func(bucket: borrow<bucket>, key-values: list<tuple<string, list<u8>>>) -> result<_, error>;
            delete-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<_, error>;
        }

        world provider { export store; export atomics; export batch; }
    ",
    exports: { default: async },
});

pub type Pair = (String, Vec<u8>);

/// Why a call failed.
pub enum Failed {
    /// The store returned an error.
    Store(Error),
    /// The provider trapped, and its instance is no longer usable.
    Trap(wasmtime::Error),
}

/// What to do with a directory that does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Refuse,
    Create,
}

/// An instance of a store's provider with one bucket open at a time.
pub struct Session {
    made: Arc<Made>,
    pub(super) store: Store<Host>,
    provider: Provider,
    pub(super) extras: Extras,
    bucket: ResourceAny,
    pub(super) name: String,
}

struct Made {
    ready: ProviderPre<Host>,
    grants: Grants,
    file: PathBuf,
    title: String,
}

impl Made {
    async fn open(self: &Arc<Self>, bucket: &str) -> Result<Session> {
        let host = self.grants.host(&self.file)?;
        let mut store = Store::new(self.ready.engine(), host);
        let failed = |e: wasmtime::Error| broken(&self.title, "its provider does not start", &e);
        let instance = self.ready.instance_pre().instantiate_async(&mut store).await.map_err(failed)?;
        let provider = Provider::new(&mut store, &instance).map_err(failed)?;
        let extras = Extras::new(&mut store, &instance).map_err(failed)?;
        let opened = provider.wasi_keyvalue_store().call_open(&mut store, bucket).await;
        let bucket_handle = match opened {
            Ok(Ok(handle)) => handle,
            Ok(Err(e)) => return Err(refused(&self.title, &format!("the bucket {bucket:?} cannot be opened"), &e)),
            Err(e) => return Err(broken(&self.title, "its provider failed", &e)),
        };
        Ok(Session { made: self.clone(), store, provider, extras, bucket: bucket_handle, name: bucket.into() })
    }
}

impl Session {
    /// Starts the provider of a store and opens a bucket.
    pub async fn open(place: &Place, bucket: &str, missing: Missing) -> Result<Self> {
        if missing == Missing::Refuse {
            place.must_exist()?;
        }
        let built_in = catalogue::providers(place.store)?;
        let Some(provider) = built_in.first() else {
            return Refusal::new(&place.title, "this store has no provider").err();
        };
        let granted = place.store.grants();
        let needs = Needs {
            directory: granted.contains(&Grant::Directory),
            sockets: granted.contains(&Grant::Network),
            ..Needs::default()
        };
        let flags = Flags { arguments: &[], env: &place.env, net: &[], dir: &[], data: &place.data, alone: true };
        let grants = Grants::with(&flags, Some(provider), &needs).map_err(|refusal| {
            let kept = if place.keeps_files() { code::FILES } else { code::REFUSED };
            Box::new(refusal.with_code(kept))
        })?;
        let failed = |e: wasmtime::Error| broken(&place.title, "its provider does not start", &e);
        let mut config = Config::new();
        config.concurrency_support(false);
        config.cache(Cache::new(CacheConfig::new()).ok());
        let engine = Engine::new(&config).map_err(failed)?;
        let component = Component::new(&engine, &provider.bytes).map_err(failed)?;
        let linker = linker(&engine, false).map_err(failed)?;
        let ready = linker.instantiate_pre(&component).and_then(ProviderPre::new).map_err(failed)?;
        let made = Made { ready, grants, file: PathBuf::from(&provider.file), title: place.title.clone() };
        Arc::new(made).open(bucket).await
    }

    /// Another instance, with the same bucket.
    pub fn another(&self) -> impl Future<Output = Result<Self>> + use<> {
        // Nothing of this instance may be borrowed while the other one starts.
        let (made, name) = (self.made.clone(), self.name.clone());
        async move { made.open(&name).await }
    }

    /// Replaces the instance after a call of it trapped.
    pub async fn renew(&mut self) -> Result<()> {
        let name = std::mem::take(&mut self.name);
        *self = self.made.open(&name).await?;
        Ok(())
    }

    /// The error that users see of a call: what was asked, and of which key.
    pub fn failed(&self, what: &str, e: &Failed) -> Box<Refusal> {
        let place = format!("{}, bucket {:?}", self.made.title, self.name);
        match e {
            Failed::Store(e) => refused(&place, what, e),
            Failed::Trap(e) => broken(&place, what, e),
        }
    }

    pub async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_store().bucket().call_get(store, *bucket, key).await)
    }

    pub async fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_store().bucket().call_set(store, *bucket, key, value).await)
    }

    pub async fn exists(&mut self, key: &str) -> Result<bool, Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_store().bucket().call_exists(store, *bucket, key).await)
    }

    pub async fn list(&mut self, cursor: Option<&str>) -> Result<KeyResponse, Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_store().bucket().call_list_keys(store, *bucket, cursor).await)
    }

    pub async fn increment(&mut self, key: &str, delta: i64) -> Result<i64, Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_atomics().call_increment(store, *bucket, key, delta).await)
    }

    pub async fn get_many(&mut self, keys: &[String]) -> Result<Vec<(String, Option<Vec<u8>>)>, Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_batch().call_get_many(store, *bucket, keys).await)
    }

    pub async fn set_many(&mut self, pairs: &[Pair]) -> Result<(), Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_batch().call_set_many(store, *bucket, pairs).await)
    }

    pub async fn delete_many(&mut self, keys: &[String]) -> Result<(), Failed> {
        let Self { store, provider, bucket, .. } = self;
        answer(provider.wasi_keyvalue_batch().call_delete_many(store, *bucket, keys).await)
    }

    /// The values of keys; if that fails, one by one: they may be too large together, and the error is to name the key.
    pub async fn get_all(&mut self, keys: &[String]) -> Result<Vec<(String, Option<Vec<u8>>)>> {
        let first = match self.get_many(keys).await {
            Ok(found) => return Ok(found),
            Err(e) => e,
        };
        if let Failed::Trap(_) = first {
            self.renew().await?;
        }
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            match self.get(key).await {
                Ok(value) => found.push((key.clone(), value)),
                Err(e) => return Err(self.failed(&format!("the key {} cannot be read", shown(key)), &e)),
            }
        }
        Ok(found)
    }

    /// Sets pairs; if that fails, one by one, so that the error names the key.
    pub async fn put_all(&mut self, pairs: &[Pair]) -> Result<()> {
        let Err(first) = self.set_many(pairs).await else { return Ok(()) };
        if let Failed::Trap(_) = first {
            self.renew().await?;
        }
        for (key, value) in pairs {
            if let Err(e) = self.set(key, value).await {
                return Err(self.failed(&format!("the key {} cannot be set", shown(key)), &e));
            }
        }
        Ok(())
    }
}

/// The error of a store with this text.
pub fn other(text: String) -> Error {
    Error::Other(text)
}

fn answer<T>(called: wasmtime::Result<Result<T, Error>>) -> Result<T, Failed> {
    match called {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(e)) => Err(Failed::Store(e)),
        Err(e) => Err(Failed::Trap(e)),
    }
}

fn refused(place: &str, what: &str, e: &Error) -> Box<Refusal> {
    let refusal = Refusal::new(place, what);
    Box::new(match e {
        Error::NoSuchStore => refusal.note("there is no such bucket, and the store does not create buckets"),
        Error::AccessDenied => refusal
            .note("access is denied")
            .help("the login must be allowed to do this, and KEYVALUE_BUCKETS, if it is set, must name the bucket"),
        Error::Other(text) => refusal.note(text.as_str()),
    })
}

fn broken(place: &str, what: &str, e: &wasmtime::Error) -> Box<Refusal> {
    Box::new(Refusal::new(place, what).note(reasons(e)))
}

/// A key for a message: quoted, and cut off if it is long.
pub fn shown(key: &str) -> String {
    match key.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}… ({} bytes)", key.get(..end).unwrap_or_default(), key.len()),
        None => format!("{key:?}"),
    }
}
