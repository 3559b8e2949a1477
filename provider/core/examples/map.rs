// A complete store: ordered maps in memory, shared by the handles of one instance.

use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::{Bucket, Page, Result, Snapshot, Store, Swap, Version, counter};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

#[derive(Default)]
pub struct MapStore(RefCell<BTreeMap<String, Rc<MapBucket>>>);

#[derive(Default)]
struct MapBucket {
    /// Each key's value, and the number of the write that set it.
    entries: RefCell<BTreeMap<String, (u64, Vec<u8>)>>,
    writes: Cell<u64>,
}

impl Store for MapStore {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(self.0.borrow_mut().entry(bucket.to_string()).or_default().clone())
    }
}

impl Bucket for MapBucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.snapshot(key)?.value)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        // No two writes share a number, so a value that was replaced and restored has another version.
        self.writes.set(self.writes.get() + 1);
        self.entries.borrow_mut().insert(key.to_string(), (self.writes.get(), value.to_vec()));
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.entries.borrow_mut().remove(key);
        Ok(())
    }

    fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.entries.borrow().contains_key(key))
    }

    // The cursor is the last key of the page before. Keys are listed in order, so it needs no state in the instance.
    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        let start = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.borrow();
        let mut rest = entries.range::<str, _>((start, Bound::Unbounded)).map(|(key, _)| key).peekable();
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(key) = rest.next() {
            bytes += key.len();
            page.keys.push(key.clone());
            if (page.keys.len() == PAGE_KEYS || bytes >= PAGE_BYTES) && rest.peek().is_some() {
                page.cursor = Some(key.clone());
                break;
            }
        }
        Ok(page)
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let sum = counter::add(self.get(key)?.as_deref(), delta, floor)?;
        self.set(key, &counter::format(sum))?;
        Ok(sum)
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(match self.entries.borrow().get(key) {
            Some((write, value)) => Snapshot { value: Some(value.clone()), version: Version::Number(*write) },
            None => Snapshot::ABSENT,
        })
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let now = self.snapshot(key)?;
        if now.version != *expected {
            return Ok(Swap::Conflict(now));
        }
        self.set(key, value)?;
        Ok(Swap::Done)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        pairs.iter().try_for_each(|(key, value)| self.set(key, value))
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        keys.iter().try_for_each(|key| self.delete(key))
    }
}

fn main() -> Result<()> {
    let bucket = MapStore::default().open("stock")?;
    bucket.set("apples", b"7")?;

    let seen = bucket.snapshot("apples")?;
    bucket.increment("apples", -2, 0)?;
    let Swap::Conflict(now) = bucket.swap("apples", &seen.version, b"6")? else { return Ok(()) };
    assert_eq!(now.value.as_deref(), Some(&b"5"[..]));
    assert_eq!(bucket.swap("apples", &now.version, b"4")?, Swap::Done);

    assert_eq!(bucket.list(None)?.keys, ["apples"]);
    Ok(())
}
