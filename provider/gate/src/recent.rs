//! Bounded staleness: reads answered from what this instance has seen recently.
//!
//! The rules, for each key and within one instance:
//!
//! 1. What a read returns was the state of the key at some moment within the bound before the read.
//! 2. It is never older than the instance's own last write of the key.
//! 3. It is never older than what the instance returned before.
//!
//! For the first rule, a state counts as seen when the call to the store began, not when it ended. For the others, any
//! newer information about a key replaces the kept state, or drops it. A write drops it before it begins, so an older
//! state is never returned, whatever the outcome of the write.

use crate::asking::Asked;
use crate::seen::{Seen, State};
use kvfuse_core::error::quoted;
use kvfuse_core::{
    Body, BodyReader, Bucket, Changes, Error, Kind, Page, Result, Settings, Snapshot, Swap, Version, Watch, counter,
    watch,
};
use kvfuse_transport::clock::{Clock, Moment};
use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

/// What this instance has seen, in all buckets.
pub struct Recent {
    bound: Duration,
    clock: Box<dyn Clock>,
    seen: RefCell<Seen>,
    /// The calls on their way, where there can be several.
    asked: RefCell<Vec<Rc<Asked>>>,
}

/// The longest bound, in milliseconds: an hour.
const LONGEST: u64 = 3_600_000;

impl Recent {
    /// `None` unless `KEYVALUE_STALE_MS` is set, to a value from 1 to 3,600,000 milliseconds.
    pub fn from_settings(settings: &Settings, clock: impl Clock + 'static) -> Result<Option<Rc<Self>>> {
        const NAME: &str = "KEYVALUE_STALE_MS";
        let Some(text) = settings.get(NAME) else { return Ok(None) };
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let bound = match number {
            Some(0) => return Ok(None),
            Some(ms @ 1..=LONGEST) => Duration::from_millis(ms),
            _ => {
                return Err(Error::invalid(format!(
                    "{NAME}={} is not a number of milliseconds from 0 to {LONGEST}",
                    quoted(text)
                )));
            }
        };
        Ok(Some(Rc::new(Self { bound, clock: Box::new(clock), seen: RefCell::default(), asked: RefCell::default() })))
    }

    /// A bucket whose reads may be answered from here. `space` is the name space that its keys are in.
    pub fn before(self: &Rc<Self>, bucket: Rc<dyn Bucket>, space: &str) -> Rc<dyn Bucket> {
        Rc::new(RecentBucket { bucket, space: space.into(), recent: self.clone() })
    }

    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    pub fn asked(&self) -> RefMut<'_, Vec<Rc<Asked>>> {
        self.asked.borrow_mut()
    }

    /// Passes the state of a key to `take`, if the state is known.
    pub fn known<T>(&self, space: &str, key: &str, now: Moment, take: impl FnOnce(&State) -> Option<T>) -> Option<T> {
        let bound = u64::try_from(self.bound.as_nanos()).unwrap_or(u64::MAX);
        let since = Moment(now.0.saturating_sub(bound));
        take(self.seen.borrow().get(space, key, since)?)
    }

    /// `at` is when the call that returned the state began.
    pub fn keep(&self, space: &Rc<str>, key: &str, at: Moment, state: State) {
        self.seen.borrow_mut().keep(space, key, at, state);
        self.outdate(space, |asked| asked == key);
    }

    pub fn forget(&self, space: &str, key: &str) {
        self.seen.borrow_mut().forget(space, key);
        self.outdate(space, |asked| asked == key);
    }

    pub fn forget_all(&self, space: &str) {
        self.seen.borrow_mut().forget_all(space);
        self.outdate(space, |_| true);
    }

    /// The calls on their way about these keys began before what is known now.
    fn outdate(&self, space: &str, is_meant: impl Fn(&str) -> bool) {
        for asked in self.asked.borrow().iter().filter(|asked| &*asked.space == space && is_meant(&asked.key)) {
            asked.is_newest.set(false);
        }
    }
}

struct RecentBucket {
    bucket: Rc<dyn Bucket>,
    space: Rc<str>,
    recent: Rc<Recent>,
}

impl RecentBucket {
    fn now(&self) -> Moment {
        self.recent.now()
    }

    fn known<T>(&self, key: &str, now: Moment, take: impl FnOnce(&State) -> Option<T>) -> Option<T> {
        self.recent.known(&self.space, key, now, take)
    }

    fn keep(&self, key: &str, at: Moment, state: State) {
        self.recent.keep(&self.space, key, at, state);
    }

    fn forget(&self, key: &str) {
        self.recent.forget(&self.space, key);
    }

    /// Writes a key. `state` turns the store's answer into the key's new state.
    fn write<T>(
        &self,
        key: &str,
        write: impl FnOnce(&dyn Bucket) -> Result<T>,
        state: impl FnOnce(&T) -> State,
    ) -> Result<T> {
        let began = self.now();
        self.forget(key);
        let done = write(&*self.bucket)?;
        self.keep(key, began, state(&done));
        Ok(done)
    }
}

/// The value, if it is known.
pub fn value(state: &State) -> Option<Option<Vec<u8>>> {
    match state {
        State::Absent => Some(None),
        State::Exists => None,
        State::Value(value) => Some(Some(value.to_vec())),
    }
}

impl Bucket for RecentBucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let now = self.now();
        if let Some(value) = self.known(key, now, value) {
            return Ok(value);
        }
        let value = self.bucket.get(key)?;
        self.keep(key, now, State::of(value.as_deref()));
        Ok(value)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.write(key, |bucket| bucket.set(key, value), |()| State::of(Some(value)))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.write(key, |bucket| bucket.delete(key), |()| State::Absent)
    }

    fn exists(&self, key: &str) -> Result<bool> {
        let now = self.now();
        if let Some(exists) = self.known(key, now, |state| Some(*state != State::Absent)) {
            return Ok(exists);
        }
        let exists = self.bucket.exists(key)?;
        self.keep(key, now, if exists { State::Exists } else { State::Absent });
        Ok(exists)
    }

    /// A page is newer than everything that is kept: it shows which keys exist and, by leaving them out, which do not.
    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        let page = self.bucket.list(cursor)?;
        self.recent.forget_all(&self.space);
        Ok(page)
    }

    fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        let page = self.bucket.list_prefix(prefix, cursor)?;
        self.recent.forget_all(&self.space);
        Ok(page)
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let add = |bucket: &dyn Bucket| bucket.increment(key, delta, floor);
        self.write(key, add, |sum| State::of(Some(&counter::format(*sum))))
    }

    /// Never answered from what is kept: a swap depends on it.
    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        let now = self.now();
        let snapshot = self.bucket.snapshot(key)?;
        self.keep(key, now, State::of(snapshot.value.as_deref()));
        Ok(snapshot)
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let swap = |bucket: &dyn Bucket| bucket.swap(key, expected, value);
        self.write(key, swap, |swap| match swap {
            Swap::Done => State::of(Some(value)),
            Swap::Conflict(now) => State::of(now.value.as_deref()),
        })
    }

    /// Always asks. Nothing is kept: what was created may end within the bound, and what is there already is not known.
    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.forget(key);
        self.bucket.create(key, value, lifetime)
    }

    fn version_text(&self, key: &str, version: &Version) -> String {
        self.bucket.version_text(key, version)
    }

    /// A caller with a version asks for what is there now, whichever instance the version is from.
    fn version_of_text(&self, key: &str, text: &str) -> Option<Version> {
        self.forget(key);
        self.bucket.version_of_text(key, text)
    }

    /// Asks for those keys that are not known.
    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let now = self.now();
        let known: Vec<Option<Option<Vec<u8>>>> = keys.iter().map(|key| self.known(key, now, value)).collect();
        let unknown: Vec<&str> =
            keys.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(key, _)| *key).collect();
        let mut found = match unknown.is_empty() {
            true => Vec::new(),
            false => self.bucket.get_many(&unknown)?,
        }
        .into_iter();
        let mut values = Vec::with_capacity(keys.len());
        for (key, known) in keys.iter().zip(known) {
            let value = match known {
                Some(value) => value,
                None => {
                    let value = found.next().ok_or_else(incomplete)?;
                    self.keep(key, now, State::of(value.as_deref()));
                    value
                }
            };
            values.push(value);
        }
        Ok(values)
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let began = self.now();
        pairs.iter().for_each(|(key, _)| self.forget(key));
        self.bucket.set_many(pairs)?;
        pairs.iter().for_each(|(key, value)| self.keep(key, began, State::of(Some(value))));
        Ok(())
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        let began = self.now();
        keys.iter().for_each(|key| self.forget(key));
        self.bucket.delete_many(keys)?;
        keys.iter().for_each(|key| self.keep(key, began, State::Absent));
        Ok(())
    }

    fn set_body(&self, key: &str, body: &mut dyn Body) -> Result<()> {
        self.write(key, |bucket| bucket.set_body(key, body), |()| State::Exists)
    }

    /// Always asks the store: only a host can make a stream. Its value is not known here, and may be newer than what is
    /// kept.
    fn get_body(&self, key: &str) -> Result<Option<BodyReader>> {
        let now = self.now();
        let body = self.bucket.get_body(key)?;
        self.keep(key, now, if body.is_some() { State::Exists } else { State::Absent });
        Ok(body)
    }

    fn watch(&self, prefix: &str, from: watch::From<'_>) -> Result<Box<dyn Watch>> {
        let watch = self.bucket.watch(prefix, from)?;
        Ok(Box::new(RecentWatch { watch, space: self.space.clone(), recent: self.recent.clone() }))
    }

    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        // The lifetime may end within the bound, so nothing is kept.
        self.forget(key);
        self.bucket.set_expiring(key, value, lifetime)
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        self.bucket.lifetimes(keys)
    }
}

/// A watch that drops the kept state of keys that changed: a change that was delivered is newer.
struct RecentWatch {
    watch: Box<dyn Watch>,
    space: Rc<str>,
    recent: Rc<Recent>,
}

impl Watch for RecentWatch {
    fn next(&mut self, patience: Duration) -> Result<Changes> {
        let changes = self.watch.next(patience)?;
        changes.changes.iter().for_each(|change| self.recent.forget(&self.space, change.key()));
        Ok(changes)
    }
}

pub fn incomplete() -> Error {
    Error::new(Kind::Other, "the store returned fewer values than there are keys")
}
