//! What every provider does before its store is asked:
//!
//! - **names**: the empty identifier is the bucket `default`; names in colons are reserved, of which `:memory:` is the
//!   instance's own memory; a name is at most 256 bytes.
//! - **the allow-list** `KEYVALUE_BUCKETS`: with it, every bucket that it does not name is access-denied.
//! - **limits**: keys and values over their limit are refused.
//!
//! A [`Gate`] is itself a [`Store`], so facades see no difference.

mod guarded;
mod names;

use guarded::Guarded;
use kvfuse_core::{Body, Bucket, Error, Kind, Limits, Result, Settings, Store, error::quoted};
use kvfuse_memory::MemoryStore;
use names::Names;
use std::rc::Rc;

pub use names::{DEFAULT, MAX_NAME, MEMORY};

/// A store behind the checks that all providers share.
///
/// The store may be missing (nothing was granted, a setting is wrong): then opening any bucket but `:memory:` gives
/// that error.
pub struct Gate<S> {
    store: Result<S>,
    memory: MemoryStore,
    policy: Result<(Names, Limits)>,
}

impl<S: Store> Gate<S> {
    pub fn new(settings: &Settings, store: Result<S>) -> Self {
        let policy = Limits::from_settings(settings).map(|limits| (Names::from_settings(settings), limits));
        Self { store, memory: MemoryStore::default(), policy }
    }
}

impl<S: Store> Store for Gate<S> {
    fn open(&self, identifier: &str) -> Result<Rc<dyn Bucket>> {
        let (names, limits) = self.policy.as_ref().map_err(Clone::clone)?;
        let name = names.resolve(identifier)?;
        let bucket = if name == MEMORY { self.memory.open(name)? } else { self.store()?.open(name)? };
        Ok(Rc::new(Guarded::new(bucket, *limits)))
    }

    /// Apart from the allow-list: that names buckets, and the cache is none that a consumer could name.
    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        let (_, limits) = self.policy.as_ref().map_err(Clone::clone)?;
        Ok(Rc::new(Guarded::new(self.store()?.open_cache()?, *limits)))
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        self.store()?.create_body()
    }
}

impl<S: Store> Gate<S> {
    fn store(&self) -> Result<&S> {
        self.store.as_ref().map_err(Clone::clone)
    }
}

pub(crate) fn denied(name: &str) -> Error {
    Error::new(
        Kind::AccessDenied,
        format!("the bucket {} is not in the list that the variable KEYVALUE_BUCKETS allows", quoted(name)),
    )
}
