//! The cache interface on top of any store: a separate bucket whose values start with their expiry time.
//!
//! Operations are carried out when they are called, so their futures are ready immediately. The one exception is
//! `get-or-set` while another caller holds the vacancy of the key: it waits for that one.

use crate::Provider;
use crate::values::{Incoming, Outgoing};
use kvfuse_core::{Bucket, Error, Result};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::rc::Rc;
use wasip2::io::poll::Pollable;

/// A provider with a clock, which the cache needs.
pub trait Caching: Provider {
    /// Milliseconds since 1970 by the wall clock.
    fn now() -> u64;
    /// A pollable that becomes ready after this many milliseconds.
    fn timer(milliseconds: u64) -> Pollable;
}

/// How often a caller that waits for a vacancy checks again, in milliseconds. A vacancy ends with a call into this
/// instance, which no pollable can wait for. So the clock wakes the caller, which finds `none` and waits again.
const LOOK_AGAIN_MS: u64 = 10;

/// The expiry time of entries that do not expire.
const NEVER: u64 = u64::MAX;

thread_local! {
    /// The keys whose vacancy someone holds.
    static VACANT: RefCell<BTreeSet<Rc<str>>> = const { RefCell::new(BTreeSet::new()) };
}

/// The cache of a provider's store.
pub struct Cache<P>(PhantomData<P>);

impl<P: Caching> Cache<P> {
    fn bucket() -> Result<Rc<dyn Bucket>> {
        P::with_store(|store| store.open_cache())
    }

    pub fn get(key: &str) -> Result<Option<Vec<u8>>> {
        let bucket = Self::bucket()?;
        let Some(entry) = bucket.get(key)? else { return Ok(None) };
        // Anything too short to be written by `set` is ignored.
        let Some((expiry, value)) = entry.split_first_chunk() else { return Ok(None) };
        if P::now() < u64::from_le_bytes(*expiry) {
            return Ok(Some(value.to_vec()));
        }
        // This may delete an entry that was set just now. A cache is free to do that.
        bucket.delete(key)?;
        Ok(None)
    }

    pub fn set(key: &str, value: &[u8], ttl_ms: Option<u32>) -> Result<()> {
        let expiry = ttl_ms.map_or(NEVER, |ttl| P::now().saturating_add(ttl.into()));
        let entry = [&expiry.to_le_bytes(), value].concat();
        Self::bucket()?.set(key, &entry)
    }

    pub fn set_value(key: &str, value: &Outgoing<P>, ttl_ms: Option<u32>) -> Result<()> {
        value.with_whole(|bytes| Self::set(key, bytes, ttl_ms))
    }

    pub fn delete(key: &str) -> Result<()> {
        Self::bucket()?.delete(key)
    }
}

/// A future that is ready from the start. Its result can be read any number of times.
pub struct Ready<P, T> {
    result: Result<T>,
    provider: PhantomData<P>,
}

impl<P: Caching, T: Clone> Ready<P, T> {
    pub fn new(result: Result<T>) -> Self {
        Self { result, provider: PhantomData }
    }

    pub fn result(&self) -> Result<T> {
        self.result.clone()
    }

    pub fn pollable(&self) -> Pollable {
        P::timer(0)
    }
}

pub type FutureGet<P> = Ready<P, Option<Vec<u8>>>;
pub type FutureExists<P> = Ready<P, bool>;
pub type FutureDone<P> = Ready<P, ()>;

/// What `get-or-set` found.
pub enum Entry<P> {
    Occupied(Incoming),
    Vacant(Vacancy<P>),
}

pub struct FutureEntry<P> {
    key: Rc<str>,
    state: Cell<Waiting<P>>,
}

enum Waiting<P> {
    /// Someone else holds the vacancy of this key.
    ForVacancy,
    Found(Result<Entry<P>>),
    Given,
}

impl<P: Caching> FutureEntry<P> {
    pub fn new(key: String) -> Self {
        let key = Rc::from(key);
        Self { state: Cell::new(look_up(&key)), key }
    }

    /// `None` while waiting.
    pub fn entry(&self) -> Option<Result<Entry<P>>> {
        let state = match self.state.replace(Waiting::Given) {
            Waiting::ForVacancy => look_up(&self.key),
            state => state,
        };
        match state {
            Waiting::ForVacancy => {
                self.state.set(Waiting::ForVacancy);
                None
            }
            Waiting::Found(result) => Some(result),
            Waiting::Given => {
                Some(Err(Error::invalid("the entry of this future has already been taken; call get-or-set again")))
            }
        }
    }

    pub fn pollable(&self) -> Pollable {
        let state = match self.state.replace(Waiting::Given) {
            Waiting::ForVacancy => look_up(&self.key),
            state => state,
        };
        let wait = if matches!(state, Waiting::ForVacancy) { LOOK_AGAIN_MS } else { 0 };
        self.state.set(state);
        P::timer(wait)
    }
}

fn look_up<P: Caching>(key: &Rc<str>) -> Waiting<P> {
    match Cache::<P>::get(key) {
        Ok(Some(value)) => Waiting::Found(Ok(Entry::Occupied(Incoming::whole(value)))),
        Ok(None) if VACANT.with_borrow_mut(|vacant| vacant.insert(key.clone())) => {
            let claim = Rc::new(Claim { key: key.clone(), over: Cell::new(false) });
            Waiting::Found(Ok(Entry::Vacant(Vacancy { claim, provider: PhantomData })))
        }
        Ok(None) => Waiting::ForVacancy,
        Err(error) => Waiting::Found(Err(error)),
    }
}

/// The right to fill the entry of a key.
pub struct Vacancy<P> {
    claim: Rc<Claim>,
    provider: PhantomData<P>,
}

impl<P: Caching> Vacancy<P> {
    pub fn fill(&self, ttl_ms: Option<u32>) -> Outgoing<P> {
        let claim = self.claim.clone();
        Outgoing::with_hook(Box::new(move |value| {
            Cache::<P>::set(&claim.key, value, ttl_ms)?;
            claim.end();
            Ok(())
        }))
    }
}

/// A key in [`VACANT`]. It is removed when the value has been written, or when both the vacancy and the value to be
/// written have been dropped.
struct Claim {
    key: Rc<str>,
    over: Cell<bool>,
}

impl Claim {
    fn end(&self) {
        if !self.over.replace(true) {
            VACANT.with_borrow_mut(|vacant| vacant.remove(&self.key));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.end();
    }
}
