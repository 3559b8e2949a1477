//! The store behind the bucket `:memory:`: maps that live as long as the instance.
//!
//! Every key has a number, assigned when it was added, and listings are ordered by that number. So a cursor stays
//! valid while keys are added and deleted, and the cost of a page is proportional to its size.
//!
//! Before each operation, the keys whose lifetime has ended are deleted.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{Bucket, Error, Page, Result, Snapshot, Store, Swap, Version, counter};
use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

/// The time since some fixed moment, on a clock that never goes back.
type Clock = Rc<dyn Fn() -> Duration>;

/// All buckets of one instance. Without a clock, its keys have no lifetimes.
#[derive(Default)]
pub struct MemoryStore {
    buckets: RefCell<HashMap<String, Rc<MemoryBucket>>>,
    clock: Option<Clock>,
}

impl MemoryStore {
    /// A store whose keys may have lifetimes by a clock: the time since some fixed moment. It must not go back. It is
    /// only read while there are lifetimes.
    ///
    /// ```
    /// use kvfuse_core::{Bucket, Store};
    /// use kvfuse_memory::MemoryStore;
    /// use std::time::{Duration, Instant};
    ///
    /// let begin = Instant::now();
    /// let bucket = MemoryStore::with_clock(move || begin.elapsed()).open("bucket")?;
    /// bucket.set_expiring("key", b"value", Duration::from_secs(3600))?;
    /// assert!(bucket.lifetimes(&["key"])?[0].is_some());
    /// # Ok::<(), kvfuse_core::Error>(())
    /// ```
    pub fn with_clock(clock: impl Fn() -> Duration + 'static) -> Self {
        Self { clock: Some(Rc::new(clock)), ..Self::default() }
    }
}

impl Store for MemoryStore {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        let new = || Rc::new(MemoryBucket { map: RefCell::default(), clock: self.clock.clone() });
        Ok(self.buckets.borrow_mut().entry(bucket.to_string()).or_insert_with(new).clone())
    }
}

struct MemoryBucket {
    map: RefCell<Map>,
    clock: Option<Clock>,
}

#[derive(Default)]
struct Map {
    entries: HashMap<Rc<str>, Entry>,
    /// The keys by their number.
    order: BTreeMap<u64, Rc<str>>,
    /// When keys end, and their numbers, of those that do.
    ends: BTreeSet<(Duration, u64)>,
    /// The last number used, either for the place of a key or for a version.
    last: u64,
}

struct Entry {
    place: u64,
    version: u64,
    value: Vec<u8>,
    end: Option<Duration>,
}

impl Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries.get(key).map(|entry| entry.value.clone())
    }

    fn set(&mut self, key: &str, value: Vec<u8>, end: Option<Duration>) {
        self.last += 1;
        let version = self.last;
        let place = match self.entries.get_mut(key) {
            Some(entry) => {
                let place = entry.place;
                let before = std::mem::replace(entry, Entry { place, version, value, end }).end;
                before.map(|before| self.ends.remove(&(before, place)));
                place
            }
            None => {
                let key: Rc<str> = key.into();
                self.order.insert(version, key.clone());
                self.entries.insert(key, Entry { place: version, version, value, end });
                version
            }
        };
        self.ends.extend(end.map(|end| (end, place)));
    }

    fn delete(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.place);
            entry.end.map(|end| self.ends.remove(&(end, entry.place)));
        }
    }

    /// Deletes the keys that have ended.
    fn pass(&mut self, now: Duration) {
        while let Some((end, place)) = self.ends.first().copied()
            && end <= now
        {
            self.ends.remove(&(end, place));
            if let Some(key) = self.order.remove(&place) {
                self.entries.remove(&key);
            }
        }
    }

    fn snapshot(&self, key: &str) -> Snapshot {
        self.entries.get(key).map_or(Snapshot::ABSENT, |entry| Snapshot {
            value: Some(entry.value.clone()),
            version: Version::Number(entry.version),
        })
    }
}

impl MemoryBucket {
    /// The keys that have not ended.
    fn map(&self) -> RefMut<'_, Map> {
        let mut map = self.map.borrow_mut();
        if let Some(clock) = self.clock.as_ref().filter(|_| !map.ends.is_empty()) {
            map.pass(clock());
        }
        map
    }

    fn now(&self) -> Result<Duration> {
        let clock = self.clock.as_ref().ok_or_else(|| {
            Error::unsupported(
                "this bucket has no clock for lifetimes of keys; delete the key when it is no longer needed",
            )
        })?;
        Ok(clock())
    }
}

impl Bucket for MemoryBucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.map().get(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.map().set(key, value.to_vec(), None);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.map().delete(key);
        Ok(())
    }

    fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.map().entries.contains_key(key))
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        let after = match cursor {
            None => 0,
            Some(text) => text.parse().map_err(|_| foreign_cursor())?,
        };
        let map = self.map();
        let mut page = Page::default();
        let mut bytes = 0;
        let mut rest = map.order.range((Bound::Excluded(after), Bound::Unbounded)).peekable();
        while let Some((place, key)) = rest.next() {
            bytes += key.len();
            page.keys.push(key.to_string());
            if (page.keys.len() >= PAGE_KEYS || bytes >= PAGE_BYTES) && rest.peek().is_some() {
                page.cursor = Some(place.to_string());
                break;
            }
        }
        Ok(page)
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let mut map = self.map();
        let current = map.entries.get(key).map(|entry| entry.value.as_slice());
        let sum = counter::add(current, delta, floor)?;
        let end = map.entries.get(key).and_then(|entry| entry.end);
        map.set(key, counter::format(sum), end);
        Ok(sum)
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(self.map().snapshot(key))
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let mut map = self.map();
        let now = map.entries.get(key).map_or(Version::Absent, |entry| Version::Number(entry.version));
        if now != *expected {
            return Ok(Swap::Conflict(map.snapshot(key)));
        }
        map.set(key, value.to_vec(), None);
        Ok(Swap::Done)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let map = self.map();
        Ok(keys.iter().map(|key| map.get(key)).collect())
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let mut map = self.map();
        for (key, value) in pairs {
            map.set(key, value.to_vec(), None);
        }
        Ok(())
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        let mut map = self.map();
        for key in keys {
            map.delete(key);
        }
        Ok(())
    }

    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        let end = lifetime.map(|lifetime| Ok(self.now()?.saturating_add(lifetime))).transpose()?;
        let mut map = self.map();
        let absent = !map.entries.contains_key(key);
        if absent {
            map.set(key, value.to_vec(), end);
        }
        Ok(absent)
    }

    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        let end = self.now()?.saturating_add(lifetime);
        self.map().set(key, value.to_vec(), Some(end));
        Ok(())
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        let map = self.map();
        let Some(clock) = self.clock.as_ref().filter(|_| !map.ends.is_empty()) else {
            return Ok(vec![None; keys.len()]);
        };
        let now = clock();
        let left = |key: &&str| Some(map.entries.get(*key)?.end?.saturating_sub(now));
        Ok(keys.iter().map(left).collect())
    }
}
