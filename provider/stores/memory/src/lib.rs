//! The store behind the bucket `:memory:`: maps that live as long as the instance.
//!
//! Every key has a number, assigned when it was added, and listings are ordered by that number. So a cursor stays
//! valid while keys are added and deleted, and the cost of a page is proportional to its size.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{Bucket, Page, Result, Snapshot, Store, Swap, Version, counter};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::rc::Rc;

/// All buckets of one instance.
#[derive(Default)]
pub struct MemoryStore {
    buckets: RefCell<HashMap<String, Rc<MemoryBucket>>>,
}

impl Store for MemoryStore {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(self.buckets.borrow_mut().entry(bucket.to_string()).or_default().clone())
    }
}

#[derive(Default)]
struct MemoryBucket(RefCell<Map>);

#[derive(Default)]
struct Map {
    entries: HashMap<Rc<str>, Entry>,
    /// The keys by their number.
    order: BTreeMap<u64, Rc<str>>,
    /// The last number used, either for the place of a key or for a version.
    last: u64,
}

struct Entry {
    place: u64,
    version: u64,
    value: Vec<u8>,
}

impl Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries.get(key).map(|entry| entry.value.clone())
    }

    fn set(&mut self, key: &str, value: Vec<u8>) {
        self.last += 1;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.value = value;
            entry.version = self.last;
            return;
        }
        let key: Rc<str> = key.into();
        self.order.insert(self.last, key.clone());
        self.entries.insert(key, Entry { place: self.last, version: self.last, value });
    }

    fn delete(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.place);
        }
    }

    fn snapshot(&self, key: &str) -> Snapshot {
        self.entries.get(key).map_or(Snapshot::ABSENT, |entry| Snapshot {
            value: Some(entry.value.clone()),
            version: Version::Number(entry.version),
        })
    }
}

impl Bucket for MemoryBucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().get(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.0.borrow_mut().set(key, value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.0.borrow_mut().delete(key);
        Ok(())
    }

    fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.0.borrow().entries.contains_key(key))
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        let after = match cursor {
            None => 0,
            Some(text) => text.parse().map_err(|_| foreign_cursor())?,
        };
        let map = self.0.borrow();
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
        let mut map = self.0.borrow_mut();
        let current = map.entries.get(key).map(|entry| entry.value.as_slice());
        let sum = counter::add(current, delta, floor)?;
        map.set(key, counter::format(sum));
        Ok(sum)
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(self.0.borrow().snapshot(key))
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let mut map = self.0.borrow_mut();
        let now = map.entries.get(key).map_or(Version::Absent, |entry| Version::Number(entry.version));
        if now != *expected {
            return Ok(Swap::Conflict(map.snapshot(key)));
        }
        map.set(key, value.to_vec());
        Ok(Swap::Done)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let map = self.0.borrow();
        Ok(keys.iter().map(|key| map.get(key)).collect())
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let mut map = self.0.borrow_mut();
        for (key, value) in pairs {
            map.set(key, value.to_vec());
        }
        Ok(())
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        let mut map = self.0.borrow_mut();
        for key in keys {
            map.delete(key);
        }
        Ok(())
    }
}
