//! What this program's providers export beside wasi:keyvalue: watching, and lifetimes.

use super::session::{Failed, Session};
pub use exports::kvfuse::provider::watch::{Change, Changes, Failure, Start};
use wasmtime::component::ResourceAny;

// Of wit/provider.
wasmtime::component::bindgen!({
    inline: "
        package kvfuse:provider@0.1.0;

        interface watch {
            variant failure { refused(string), unavailable(string) }
            variant start { now, beginning, position(string) }
            variant change { set(tuple<string, list<u8>>), delete(string) }
            record changes { changes: list<change>, position: option<string>, missed: option<string> }
            open: func(bucket: string, prefix: string, start: start) -> result<watcher, failure>;
            resource watcher {
                next: func(patience: u32) -> result<changes, failure>;
            }
        }

        interface lifetimes {
            set-expiring: func(bucket: string, key: string, value: list<u8>, lifetime: u64) -> result<_, string>;
            left: func(bucket: string, keys: list<string>) -> result<list<option<u64>>, string>;
        }

        world extras { export watch; export lifetimes; }
    ",
    exports: { default: async },
});

impl Session {
    /// Begins to watch the keys that begin with a prefix.
    pub async fn watch(&mut self, prefix: &str, start: &Start) -> wasmtime::Result<Result<ResourceAny, Failure>> {
        let Self { store, extras, name, .. } = self;
        extras.kvfuse_provider_watch().call_open(store, name, prefix, start).await
    }

    /// The next changes, within about this many milliseconds.
    pub async fn changes(&mut self, watcher: ResourceAny, patience: u32) -> wasmtime::Result<Result<Changes, Failure>> {
        let Self { store, extras, .. } = self;
        extras.kvfuse_provider_watch().watcher().call_next(store, watcher, patience).await
    }

    /// Sets a key that expires after this many milliseconds.
    pub async fn set_expiring(&mut self, key: &str, value: &[u8], lifetime: u64) -> Result<(), Failed> {
        let Self { store, extras, name, .. } = self;
        told(extras.kvfuse_provider_lifetimes().call_set_expiring(store, name, key, value, lifetime).await)
    }

    /// How many milliseconds keys have left.
    pub async fn left(&mut self, keys: &[String]) -> Result<Vec<Option<u64>>, Failed> {
        let Self { store, extras, name, .. } = self;
        told(extras.kvfuse_provider_lifetimes().call_left(store, name, keys).await)
    }
}

fn told<T>(called: wasmtime::Result<Result<T, String>>) -> Result<T, Failed> {
    match called {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(text)) => Err(Failed::Store(super::session::other(text))),
        Err(e) => Err(Failed::Trap(e)),
    }
}
