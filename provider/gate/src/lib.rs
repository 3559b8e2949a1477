//! The checks that every provider makes before it calls its store:
//!
//! - **Names.** The empty identifier means the bucket `default`. Names that start and end with a colon are reserved;
//!   one of them, `:memory:`, is a bucket in the instance's own memory. A name has at most 256 bytes.
//! - **The allow-list**, `KEYVALUE_BUCKETS`. If it is set, access to every other bucket is denied.
//! - **Limits.** Keys and values over their limit are rejected.
//!
//! A [`Gate`] is itself a [`Store`], so facades do not notice it.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

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
/// The store may be an error (nothing was granted, a setting is invalid). In that case opening any bucket other than
/// `:memory:` returns that error.
pub struct Gate<S> {
    store: Result<S>,
    memory: MemoryStore,
    policy: Result<(Names, Limits)>,
}

impl<S: Store> Gate<S> {
    /// Puts the checks that the settings ask for in front of a store.
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

    /// Not subject to the allow-list, because consumers cannot name the bucket of the cache.
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
        format!("the bucket {} is not in the allow-list, the variable KEYVALUE_BUCKETS", quoted(name)),
    )
}
