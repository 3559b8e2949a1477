//! The checks that every provider makes before it calls its store:
//!
//! - **Names.** The empty identifier means the bucket `default`. Names that start and end with a colon are reserved;
//!   one of them, `:memory:`, is a bucket in the instance's own memory. A name has at most 256 bytes.
//! - **The allow-list**, `KEYVALUE_BUCKETS`. If it is set, access to every other bucket is denied.
//! - **Limits.** Keys and values over their limit are rejected.
//! - **Bounded staleness**, `KEYVALUE_STALE_MS`. If it is set, reads are answered from what this instance has seen
//!   within that time. `docs/staleness.md` has the rules.
//!
//! Behind the checks, and still before the store:
//!
//! - **Labels.** With `KEYVALUE_LABEL`, buckets belong to that label and are separate from all others ([`Labelled`]). Where one
//!   instance has to serve several labels, each has a gate of its own ([`Labels`]).
//! - **Routes.** A provider of several stores uses the one that the bucket's name is routed to ([`Routes`]).
//!
//! All of them are a [`Store`], so facades do not notice them. Calls, settings and errors use the bucket name that the
//! consumer wrote.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod asking;
mod guarded;
mod label;
mod labels;
mod names;
mod recent;
mod routes;
mod seen;
mod waiting;

use guarded::Guarded;
use kvfuse_core::store::CACHE;
use kvfuse_core::{Body, Bucket, Error, Kind, Limits, Result, Settings, Store, error::quoted};
use kvfuse_memory::MemoryStore;
use kvfuse_transport::clock::{Clock, Moment};
use names::Names;
use recent::Recent;
use std::rc::Rc;

pub use label::{Labelled, MAX_LABEL};
pub use labels::Labels;
pub use names::{DEFAULT, MAX_NAME, MEMORY};
pub use routes::{Make, Routes};
pub use seen::{BUDGET, LARGEST};
pub use waiting::Checked;

/// A store behind the checks that all providers share.
///
/// The store may be an error (nothing was granted, a setting is invalid). In that case opening any bucket other than
/// `:memory:` returns that error.
pub struct Gate<S> {
    store: Result<S>,
    memory: MemoryStore,
    policy: Result<(Names, Limits)>,
    /// `None` if every read asks the store.
    recent: Option<Rc<Recent>>,
}

impl<S: Store> Gate<S> {
    /// Puts the checks that the settings ask for in front of a store. Only bounded staleness and lifetimes in `:memory:`
    /// read the clock.
    pub fn new(settings: &Settings, store: Result<S>, clock: impl Clock + 'static) -> Self {
        let clock = Rc::new(clock);
        let (recent, policy) = match Recent::from_settings(settings, clock.clone()) {
            Ok(recent) => (recent, Limits::from_settings(settings)),
            Err(error) => (None, Err(error)),
        };
        let policy = policy.map(|limits| (Names::from_settings(settings), limits));
        let memory = MemoryStore::with_clock(move || clock.now().since(Moment(0)));
        Self { store, memory, policy, recent }
    }
}

impl<S: Store> Store for Gate<S> {
    fn open(&self, identifier: &str) -> Result<Rc<dyn Bucket>> {
        let (names, limits) = self.policy.as_ref().map_err(Clone::clone)?;
        let name = names.resolve(identifier)?;
        let bucket = if name == MEMORY {
            self.memory.open(name)?
        } else {
            let store = self.store()?;
            self.perhaps_recent(store.open(name)?, store.space(name))
        };
        Ok(Rc::new(Guarded::new(bucket, *limits)))
    }

    /// Not subject to the allow-list, because consumers cannot name the bucket of the cache.
    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        let (_, limits) = self.policy.as_ref().map_err(Clone::clone)?;
        let bucket = {
            let store = self.store()?;
            self.perhaps_recent(store.open_cache()?, store.space(CACHE))
        };
        Ok(Rc::new(Guarded::new(bucket, *limits)))
    }

    /// Not subject to the allow-list either, and never answered from what was seen before.
    fn open_positions(&self) -> Result<Rc<dyn Bucket>> {
        let (_, limits) = self.policy.as_ref().map_err(Clone::clone)?;
        Ok(Rc::new(Guarded::new(self.store()?.open_positions()?, *limits)))
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        self.store()?.create_body()
    }
}

impl<S: Store> Gate<S> {
    fn store(&self) -> Result<&S> {
        self.store.as_ref().map_err(Clone::clone)
    }

    fn perhaps_recent(&self, bucket: Rc<dyn Bucket>, space: &str) -> Rc<dyn Bucket> {
        match &self.recent {
            Some(recent) => recent.before(bucket, space),
            None => bucket,
        }
    }
}

pub(crate) fn denied(name: &str) -> Error {
    Error::new(
        Kind::AccessDenied,
        format!("the bucket {} is not in the allow-list, the variable KEYVALUE_BUCKETS", quoted(name)),
    )
}
