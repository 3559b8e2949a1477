//! Instances over one store, under a clock that the test moves.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_core::{Body, BodyReader, Bucket, Error, Kind, Page, Result, Settings, Snapshot, Store, Swap, Version};
use kvfuse_gate::Gate;
use kvfuse_memory::MemoryStore;
use kvfuse_transport::clock::{Clock, Moment};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Nanoseconds of the bound in these tests: those of the setting's 5 ms.
pub const BOUND: u64 = 5_000_000;

#[derive(Clone, Default)]
pub struct FakeClock(pub Rc<Cell<u64>>);

impl FakeClock {
    pub fn advance(&self, nanoseconds: u64) {
        self.0.set(self.0.get() + nanoseconds);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Moment {
        Moment(self.0.get())
    }

    fn sleep_until(&self, _: Moment) {
        panic!("nothing here waits");
    }
}

/// The store that the instances share: it counts calls, takes time before and after each takes effect, and can fail.
#[derive(Clone, Default)]
pub struct Shared(pub Rc<SharedState>);

#[derive(Default)]
pub struct SharedState {
    memory: MemoryStore,
    pub clock: FakeClock,
    /// How long a call takes, before and after its effect.
    pub takes: Cell<(u64, u64)>,
    /// When the last call took effect.
    pub effect: Cell<u64>,
    pub calls: RefCell<Vec<&'static str>>,
    /// The next call has its effect, or not, and ends with this error.
    pub fails: Cell<Option<(bool, Kind)>>,
}

struct SharedBucket {
    state: Rc<SharedState>,
    bucket: Rc<dyn Bucket>,
}

impl Store for Shared {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(SharedBucket { state: self.0.clone(), bucket: self.0.memory.open(bucket)? }))
    }
}

impl SharedBucket {
    fn call<T>(&self, name: &'static str, effect: impl FnOnce(&dyn Bucket) -> Result<T>) -> Result<T> {
        let (before, after) = self.state.takes.get();
        self.state.calls.borrow_mut().push(name);
        self.state.clock.advance(before);
        let fails = self.state.fails.take();
        if let Some((false, kind)) = fails {
            return Err(Error::new(kind, "as the test asked"));
        }
        let done = effect(&*self.bucket);
        self.state.effect.set(self.state.clock.0.get());
        self.state.clock.advance(after);
        match fails {
            Some((_, kind)) => Err(Error::new(kind, "as the test asked")),
            None => done,
        }
    }
}

impl Bucket for SharedBucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.call("get", |bucket| bucket.get(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.call("set", |bucket| bucket.set(key, value))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.call("delete", |bucket| bucket.delete(key))
    }

    fn exists(&self, key: &str) -> Result<bool> {
        self.call("exists", |bucket| bucket.exists(key))
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.call("list", |bucket| bucket.list(cursor))
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.call("increment", |bucket| bucket.increment(key, delta, floor))
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.call("snapshot", |bucket| bucket.snapshot(key))
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.call("swap", |bucket| bucket.swap(key, expected, value))
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.call("get-many", |bucket| bucket.get_many(keys))
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.call("set-many", |bucket| bucket.set_many(pairs))
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.call("delete-many", |bucket| bucket.delete_many(keys))
    }

    fn set_body(&self, key: &str, _: &mut dyn Body) -> Result<()> {
        self.call("set-body", |bucket| bucket.set(key, b"streamed"))
    }

    fn get_body(&self, key: &str) -> Result<Option<BodyReader>> {
        self.call("get-body", |bucket| {
            Ok(bucket.get(key)?.map(|value| BodyReader { size: value.len() as u64, stream: Box::new(()) }))
        })
    }
}

pub struct NoBody;

impl Body for NoBody {
    fn take_stream(&mut self) -> Result<Box<dyn std::any::Any>> {
        Ok(Box::new(()))
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

/// An instance of a provider over the store.
pub fn instance(shared: &Shared, stale_ms: &str) -> Gate<Shared> {
    let settings = Settings::new([("KEYVALUE_STALE_MS".to_string(), stale_ms.to_string())]);
    Gate::new(&settings, Ok(shared.clone()), shared.0.clock.clone())
}

impl Shared {
    /// The calls since the last time.
    pub fn calls(&self) -> Vec<&'static str> {
        self.0.calls.take()
    }

    /// Another user of the store.
    pub fn other(&self) -> Rc<dyn Bucket> {
        self.0.memory.open("b").unwrap()
    }
}

pub fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.into())
}
