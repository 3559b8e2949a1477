//! The checks where calls wait beside each other. They are the same, in front of the same buckets.

use crate::asking::Asking;
use crate::recent::{Recent, incomplete, value};
use crate::seen::State;
use crate::{Gate, Labelled, MEMORY};
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Limits, Page, Result, Snapshot, Store, Swap, Version, counter};
use std::rc::Rc;
use std::time::Duration;

impl<S: Store + AsyncStore> AsyncStore for Labelled<S> {
    type Bucket = S::Bucket;

    fn open_async(&self, bucket: &str) -> Result<S::Bucket> {
        self.store.open_async(&self.name(bucket))
    }
}

impl<S: Store + AsyncStore> AsyncStore for Gate<S> {
    type Bucket = Checked<S::Bucket>;

    fn open_async(&self, identifier: &str) -> Result<Self::Bucket> {
        let (names, limits) = self.policy.as_ref().map_err(Clone::clone)?;
        let name = names.resolve(identifier)?;
        let bucket = if name == MEMORY {
            Place::Memory(self.memory.open(name)?)
        } else {
            let store = self.store()?;
            Place::Store(store.open_async(name)?)
        };
        let recent = match (&bucket, &self.recent) {
            (Place::Store(_), Some(recent)) => Some((recent.clone(), Rc::from(self.store()?.space(name)))),
            _ => None,
        };
        Ok(Checked { bucket, limits: *limits, recent })
    }
}

/// A bucket behind the checks.
pub struct Checked<B> {
    bucket: Place<B>,
    limits: Limits,
    /// What was seen, and the name space of the keys.
    recent: Option<(Rc<Recent>, Rc<str>)>,
}

/// Where a bucket is.
enum Place<B> {
    Memory(Rc<dyn Bucket>),
    Store(B),
}

/// Calls a method of the bucket, wherever it is.
macro_rules! call {
    ($this:expr, $method:ident($($argument:expr),*)) => {
        match &$this.bucket {
            Place::Memory(bucket) => bucket.$method($($argument),*),
            Place::Store(bucket) => bucket.$method($($argument),*).await,
        }
    };
}

impl<B> Checked<B> {
    fn check(&self, key: &str, value: &[u8]) -> Result<()> {
        self.limits.check_key(key)?;
        self.limits.check_value(value)
    }

    fn check_keys(&self, keys: &[&str]) -> Result<()> {
        keys.iter().try_for_each(|key| self.limits.check_key(key))
    }

    /// What is known of a key, if it may be returned.
    fn known<T>(&self, key: &str, take: impl FnOnce(&State) -> Option<T>) -> Option<T> {
        let (recent, space) = self.recent.as_ref()?;
        recent.known(space, key, recent.now(), take)
    }

    fn read(&self, key: &str) -> Option<Asking<'_>> {
        self.recent.as_ref().map(|(recent, space)| Asking::read(recent, space, key, recent.now()))
    }

    fn write(&self, key: &str) -> Option<Asking<'_>> {
        self.recent.as_ref().map(|(recent, space)| Asking::write(recent, space, key, recent.now()))
    }

    fn forget_all(&self) {
        if let Some((recent, space)) = &self.recent {
            recent.forget_all(space);
        }
    }
}

fn keep(asking: Option<Asking<'_>>, state: impl FnOnce() -> State) {
    if let Some(asking) = asking {
        asking.keep(state());
    }
}

impl<B: AsyncBucket> AsyncBucket for Checked<B> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.limits.check_key(key)?;
        if let Some(value) = self.known(key, value) {
            return Ok(value);
        }
        let asking = self.read(key);
        let value = call!(self, get(key))?;
        keep(asking, || State::of(value.as_deref()));
        Ok(value)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.check(key, value)?;
        let asking = self.write(key);
        call!(self, set(key, value))?;
        keep(asking, || State::of(Some(value)));
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.limits.check_key(key)?;
        let asking = self.write(key);
        call!(self, delete(key))?;
        keep(asking, || State::Absent);
        Ok(())
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.limits.check_key(key)?;
        if let Some(exists) = self.known(key, |state| Some(*state != State::Absent)) {
            return Ok(exists);
        }
        let asking = self.read(key);
        let exists = call!(self, exists(key))?;
        keep(asking, || if exists { State::Exists } else { State::Absent });
        Ok(exists)
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        let page = call!(self, list(cursor))?;
        self.forget_all();
        Ok(page)
    }

    async fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        let page = call!(self, list_prefix(prefix, cursor))?;
        self.forget_all();
        Ok(page)
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.limits.check_key(key)?;
        let asking = self.write(key);
        let sum = call!(self, increment(key, delta, floor))?;
        keep(asking, || State::of(Some(&counter::format(sum))));
        Ok(sum)
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.limits.check_key(key)?;
        let asking = self.read(key);
        let snapshot = call!(self, snapshot(key))?;
        keep(asking, || State::of(snapshot.value.as_deref()));
        Ok(snapshot)
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.check(key, value)?;
        let asking = self.write(key);
        let swap = call!(self, swap(key, expected, value))?;
        keep(asking, || match &swap {
            Swap::Done => State::of(Some(value)),
            Swap::Conflict(now) => State::of(now.value.as_deref()),
        });
        Ok(swap)
    }

    /// Nothing is kept: what was created may end within the bound, and what is there already is not known.
    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.check(key, value)?;
        let _asking = self.write(key);
        call!(self, create(key, value, lifetime))
    }

    fn version_text(&self, key: &str, version: &Version) -> String {
        match &self.bucket {
            Place::Memory(bucket) => bucket.version_text(key, version),
            Place::Store(bucket) => bucket.version_text(key, version),
        }
    }

    /// A caller with a version asks for what is there now, whichever instance the version is from.
    fn version_of_text(&self, key: &str, text: &str) -> Option<Version> {
        if let Some((recent, space)) = &self.recent {
            recent.forget(space, key);
        }
        match &self.bucket {
            Place::Memory(bucket) => bucket.version_of_text(key, text),
            Place::Store(bucket) => bucket.version_of_text(key, text),
        }
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.check_keys(keys)?;
        let known: Vec<Option<Option<Vec<u8>>>> = keys.iter().map(|key| self.known(key, value)).collect();
        let unknown = keys.iter().zip(&known).filter(|(_, known)| known.is_none());
        let unknown: Vec<&str> = unknown.map(|(key, _)| *key).collect();
        let asking: Vec<Option<Asking<'_>>> = unknown.iter().map(|key| self.read(key)).collect();
        let found = match unknown.is_empty() {
            true => Vec::new(),
            false => call!(self, get_many(&unknown))?,
        };
        let mut found = found.into_iter().zip(asking);
        let value = |known: Option<Option<Vec<u8>>>| match known {
            Some(value) => Ok(value),
            None => {
                let (value, asking) = found.next().ok_or_else(incomplete)?;
                keep(asking, || State::of(value.as_deref()));
                Ok(value)
            }
        };
        known.into_iter().map(value).collect()
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        pairs.iter().try_for_each(|(key, value)| self.check(key, value))?;
        let asking: Vec<Option<Asking<'_>>> = pairs.iter().map(|(key, _)| self.write(key)).collect();
        call!(self, set_many(pairs))?;
        asking.into_iter().zip(pairs).for_each(|(asking, (_, value))| keep(asking, || State::of(Some(value))));
        Ok(())
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.check_keys(keys)?;
        let asking: Vec<Option<Asking<'_>>> = keys.iter().map(|key| self.write(key)).collect();
        call!(self, delete_many(keys))?;
        asking.into_iter().for_each(|asking| keep(asking, || State::Absent));
        Ok(())
    }

    async fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.check(key, value)?;
        // The lifetime may end within the bound, so nothing is kept.
        let _asking = self.write(key);
        call!(self, set_expiring(key, value, lifetime))
    }
}
