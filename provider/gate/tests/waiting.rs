//! The gate where calls wait beside each other: random schedules of many calls of one instance, some of them dropped, beside
//! another instance that writes. Each read is held against the three rules of bounded staleness.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{BOUND, FakeClock};
use kvfuse_core::{
    AsyncBucket, AsyncStore, Bucket, Error, Kind, Page, Result, Settings, Snapshot, Store, Swap, Version,
};
use kvfuse_gate::{Checked, Gate, Labelled, MEMORY};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A store that remembers every state that a key has had. A call takes effect after a random number of polls, and returns after
/// as many more.
#[derive(Clone, Default)]
struct Slow(Rc<SlowState>);

/// A moment, and the value from then on.
type State = (u64, Vec<u8>);

#[derive(Default)]
struct SlowState {
    clock: FakeClock,
    random: Cell<u64>,
    /// The states of each key with the moments at which they began. Before the first one it is absent.
    history: RefCell<HashMap<String, Vec<State>>>,
}

impl SlowState {
    fn below(&self, limit: u64) -> u64 {
        let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random.set(next);
        (next >> 33) % limit
    }

    async fn pause(&self) {
        let mut polls = self.below(4);
        poll_fn(|_| {
            let left = polls;
            polls = polls.saturating_sub(1);
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn write(&self, key: &str, value: &[u8]) {
        self.history.borrow_mut().entry(key.into()).or_default().push((self.clock.0.get(), value.to_vec()));
    }

    fn read(&self, key: &str) -> Option<Vec<u8>> {
        Some(self.history.borrow().get(key)?.last()?.1.clone())
    }

    /// The number of a state: 0 if the key is absent.
    fn number(&self, key: &str, value: Option<&[u8]>) -> usize {
        let Some(value) = value else { return 0 };
        1 + self.history.borrow()[key].iter().position(|(_, known)| known == value).expect("it was once there")
    }

    /// The first state that a read may return whose bound begins at a moment.
    fn at(&self, key: &str, moment: u64) -> usize {
        self.history.borrow().get(key).map_or(0, |states| states.iter().filter(|(at, _)| *at <= moment).count())
    }
}

impl Store for Slow {
    fn open(&self, _: &str) -> Result<Rc<dyn Bucket>> {
        panic!("only what waits is asked");
    }
}

impl AsyncStore for Slow {
    type Bucket = Slow;

    fn open_async(&self, _: &str) -> Result<Slow> {
        Ok(self.clone())
    }
}

impl AsyncBucket for Slow {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.0.pause().await;
        let value = self.0.read(key);
        self.0.pause().await;
        Ok(value)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.0.pause().await;
        self.0.write(key, value);
        self.0.pause().await;
        match self.0.below(6) {
            0 => Err(Error::new(Kind::OutcomeUnknown, "the answer is lost")),
            _ => Ok(()),
        }
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.get(key).await?.is_some())
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.0.pause().await;
        let values = keys.iter().map(|key| self.0.read(key)).collect();
        self.0.pause().await;
        Ok(values)
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        for (key, value) in pairs {
            self.set(key, value).await?;
        }
        Ok(())
    }

    async fn list(&self, _: Option<&str>) -> Result<Page> {
        self.0.pause().await;
        Ok(Page { keys: self.0.history.borrow().keys().cloned().collect(), cursor: None })
    }

    async fn list_prefix(&self, _: &str, cursor: Option<&str>) -> Result<Page> {
        self.list(cursor).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(Snapshot { value: self.get(key).await?, version: Version::Absent })
    }

    async fn create(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<bool> {
        self.0.pause().await;
        let is_new = self.0.read(key).is_none();
        if is_new {
            self.0.write(key, value);
        }
        Ok(is_new)
    }

    async fn set_expiring(&self, key: &str, value: &[u8], _: Duration) -> Result<()> {
        self.set(key, value).await
    }

    async fn swap(&self, key: &str, _: &Version, value: &[u8]) -> Result<Swap> {
        self.set(key, value).await.map(|()| Swap::Done)
    }

    async fn delete(&self, _: &str) -> Result<()> {
        panic!("an absent key does not tell since when");
    }

    async fn delete_many(&self, _: &[&str]) -> Result<()> {
        panic!("as above");
    }

    async fn increment(&self, _: &str, _: i64, _: i64) -> Result<i64> {
        panic!("every state is to be different from all others");
    }
}

fn gate(slow: &Slow, settings: &[(&str, &str)]) -> Gate<Labelled<Slow>> {
    let settings = Settings::new(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    Gate::new(&settings, Labelled::new(&settings, Ok(slow.clone())), slow.0.clock.clone())
}

/// What the instance was told of each key: the newest state that it wrote or returned.
#[derive(Default)]
struct Told(RefCell<HashMap<String, usize>>);

impl Told {
    fn of(&self, key: &str) -> usize {
        self.0.borrow().get(key).copied().unwrap_or(0)
    }

    fn tell(&self, key: &str, number: usize) {
        let mut told = self.0.borrow_mut();
        let known = told.entry(key.into()).or_default();
        *known = number.max(*known);
    }
}

/// One call, with what it was told checked against the rules.
async fn call(slow: &SlowState, bucket: &Checked<Slow>, told: &Told, number: u64) {
    let key = ["a", "b"][slow.below(2) as usize];
    let since = slow.clock.0.get().saturating_sub(BOUND);
    let (oldest, before) = (slow.at(key, since), told.of(key));
    let value = format!("{number}").into_bytes();
    let check = |key: &str, seen: Option<&[u8]>, before: usize, oldest: usize| {
        let seen = slow.number(key, seen);
        assert!(seen >= oldest, "the state {seen} of {key} was over when the bound began, at {oldest}");
        assert!(seen >= before, "the state {seen} of {key} is older than {before}, which was known");
        told.tell(key, seen);
    };
    match slow.below(10) {
        0..=4 => check(key, bucket.get(key).await.unwrap().as_deref(), before, oldest),
        5 => {
            let both = ["a", "b"].map(|key| (key, told.of(key), slow.at(key, since)));
            let values = bucket.get_many(&["a", "b"]).await.unwrap();
            for ((key, before, oldest), seen) in both.into_iter().zip(values) {
                check(key, seen.as_deref(), before, oldest);
            }
        }
        6 => {
            let pairs = [("a", &value[..]), ("b", &value)];
            if bucket.set_many(&pairs).await.is_ok() {
                pairs.iter().for_each(|(key, value)| told.tell(key, slow.number(key, Some(value))));
            }
        }
        7 => {
            // What it shows is there.
            bucket.list(None).await.unwrap().keys.iter().for_each(|key| told.tell(key, 1));
        }
        _ => {
            // With an answer or without one, it has taken effect.
            let _ = bucket.set(key, &value).await;
            told.tell(key, slow.number(key, Some(&value)));
        }
    }
}

#[test]
fn in_no_order_of_calls_and_answers_is_anything_older_returned_than_the_rules_allow() {
    for seed in 0..3000 {
        let slow = Slow::default();
        slow.0.random.set(seed);
        let gate = gate(&slow, &[("KEYVALUE_STALE_MS", "5")]);
        let (bucket, told) = (gate.open_async("b").unwrap(), Told::default());
        let mut calls: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
        for step in 0..120 {
            slow.0.clock.advance(slow.0.below(BOUND / 8));
            match slow.0.below(8) {
                0 | 1 if calls.len() < 6 => calls.push(Box::pin(call(&slow.0, &bucket, &told, step))),
                // Another instance.
                2 => slow.0.write(["a", "b"][slow.0.below(2) as usize], format!("other {step}").as_bytes()),
                3 if !calls.is_empty() && slow.0.below(4) == 0 => {
                    drop(calls.swap_remove(slow.0.below(calls.len() as u64) as usize));
                }
                _ if !calls.is_empty() => {
                    let chosen = slow.0.below(calls.len() as u64) as usize;
                    if calls[chosen].as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                        drop(calls.swap_remove(chosen));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Runs a call whose store waits.
fn ends<T>(call: impl Future<Output = T>) -> T {
    let mut call = Box::pin(call);
    loop {
        if let Poll::Ready(done) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

#[test]
fn within_the_bound_a_read_asks_nobody() {
    let slow = Slow::default();
    let bucket = gate(&slow, &[("KEYVALUE_STALE_MS", "5")]).open_async("b").unwrap();
    assert!((0..100).any(|_| ends(bucket.set("k", b"1")).is_ok()));
    slow.0.write("k", b"2");
    slow.0.clock.advance(BOUND);
    assert_eq!(ends(bucket.get("k")), Ok(Some(b"1".to_vec())));
    assert_eq!(ends(bucket.get_many(&["k"])), Ok(vec![Some(b"1".to_vec())]));
    slow.0.clock.advance(1);
    assert_eq!(ends(bucket.get("k")), Ok(Some(b"2".to_vec())));
}

#[test]
fn names_limits_and_the_allow_list_are_checked_before_the_store_is_asked() {
    let slow = Slow::default();
    let gate = gate(&slow, &[("KEYVALUE_BUCKETS", "b"), ("KEYVALUE_MAX_VALUE", "10")]);
    assert_eq!(gate.open_async("other").err().unwrap().kind(), Kind::AccessDenied);
    assert_eq!(gate.open_async(":x:").err().unwrap().kind(), Kind::InvalidArgument);
    let bucket = gate.open_async("b").unwrap();
    let key = "k".repeat(kvfuse_core::limits::MAX_KEY + 1);
    let (value, many) = ([0; 11], [("k", &[0; 11][..])]);
    for error in [
        ends(bucket.get(&key)).unwrap_err(),
        ends(bucket.exists(&key)).unwrap_err(),
        ends(bucket.delete(&key)).unwrap_err(),
        ends(bucket.increment(&key, 1, 0)).unwrap_err(),
        ends(bucket.snapshot(&key)).unwrap_err(),
        ends(bucket.get_many(&[&key])).unwrap_err(),
        ends(bucket.delete_many(&[&key])).unwrap_err(),
        ends(bucket.set("k", &value)).unwrap_err(),
        ends(bucket.swap("k", &Version::Absent, &value)).unwrap_err(),
        ends(bucket.create("k", &value, None)).unwrap_err(),
        ends(bucket.set_expiring("k", &value, Duration::from_secs(1))).unwrap_err(),
        ends(bucket.set_many(&many)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
    }
    assert!(slow.0.history.borrow().is_empty());
}

#[test]
fn the_bucket_in_memory_is_one_for_calls_that_wait_and_for_those_that_do_not() {
    let slow = Slow::default();
    let gate = gate(&slow, &[("KEYVALUE_STALE_MS", "5")]);
    ends(gate.open_async(MEMORY).unwrap().set("k", b"1")).unwrap();
    assert_eq!(gate.open(MEMORY).unwrap().get("k"), Ok(Some(b"1".to_vec())));
    gate.open(MEMORY).unwrap().set("k", b"2").unwrap();
    assert_eq!(ends(gate.open_async(MEMORY).unwrap().get("k")), Ok(Some(b"2".to_vec())));
}
