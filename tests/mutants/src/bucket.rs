//! A bucket with one thing broken.

use crate::Mutant;
use kvfuse_core::{Body, BodyReader, Bucket, Error, Page, Result, Snapshot, Swap, Version, counter};
use kvfuse_transport::timers;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

thread_local! {
    /// The value before the last one, by key. One table for all buckets: some generations open a bucket for each call.
    static BEFORE: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
    static DELETED: RefCell<BTreeSet<String>> = RefCell::default();
    static LISTED: Cell<bool> = const { Cell::new(false) };
    /// When keys end, in milliseconds: the mutants break lifetimes, so they have their own.
    static ENDS: RefCell<HashMap<String, u64>> = RefCell::default();
}

pub struct Broken {
    bucket: Rc<dyn Bucket>,
    mutant: Mutant,
}

impl Broken {
    pub fn new(bucket: Rc<dyn Bucket>, mutant: Mutant) -> Self {
        Self { bucket, mutant }
    }

    fn is(&self, name: &str) -> bool {
        self.mutant.is(name)
    }

    fn key(&self, key: &str) -> String {
        let key = if self.is("keys are compared without case") { key.to_lowercase() } else { key.to_string() };
        if self.is("keys are cut at five bytes") { key.chars().take(5).collect() } else { key }
    }

    fn there(&self, key: &str) -> Result<bool> {
        self.end(key)?;
        self.bucket.exists(&self.key(key))
    }

    /// Deletes a key whose time is over.
    fn end(&self, key: &str) -> Result<()> {
        let over = ENDS.with_borrow(|ends| ends.get(key).is_some_and(|end| *end <= timers::now()));
        if over {
            ENDS.with_borrow_mut(|ends| ends.remove(key));
            self.bucket.delete(key)?;
        }
        Ok(())
    }

    fn begin(&self, key: &str, lifetime: Duration) {
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let lifetime = if self.is("a lifetime ends the key at once") { 0 } else { lifetime };
        if !self.is("a lifetime is ignored") {
            ENDS.with_borrow_mut(|ends| ends.insert(key.to_string(), timers::now().saturating_add(lifetime)));
        }
    }

    fn value(&self, key: &str, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let Some(value) = value else {
            if self.is("get gives what was never set") {
                return Some(vec![0xff; 16]);
            }
            return self.is("get gives an empty value for a key that is not there").then(Vec::new);
        };
        if self.is("get gives the value before the last one")
            && let Some(before) = BEFORE.with_borrow(|before| before.get(key).cloned())
        {
            return Some(before);
        }
        Some(match value {
            value if self.is("get cuts values at a zero byte") => {
                value.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
            }
            value if self.is("get repairs invalid UTF-8") => String::from_utf8_lossy(&value).into_owned().into_bytes(),
            value if value.is_empty() && self.is("get gives none for an empty value") => return None,
            mut value if self.is("get cuts values at 64 KiB") => {
                value.truncate(64 << 10);
                value
            }
            value => value,
        })
    }

    fn some<'a, T>(&self, all: &'a [T]) -> Result<&'a [T]> {
        if all.is_empty() && self.is("a batch of no keys is refused") {
            return Err(Error::invalid("no keys"));
        }
        let most = match self {
            _ if self.is("a batch ends after 100 keys") => 100,
            _ if self.is("a batch ends after 300 keys") => 300,
            _ => all.len(),
        };
        Ok(all.get(..most).unwrap_or(all))
    }
}

impl Bucket for Broken {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(key);
        self.end(&key)?;
        Ok(self.value(&key, self.bucket.get(&key)?))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = self.key(key);
        if !self.is("set keeps the lifetime of the key") {
            ENDS.with_borrow_mut(|ends| ends.remove(&key));
        }
        if self.is("set leaves a key that is there") && self.there(&key)? {
            return Ok(());
        }
        if self.is("set of an empty value is refused") && value.is_empty() {
            return Err(Error::invalid("empty"));
        }
        if let Some(before) = self.bucket.get(&key)? {
            BEFORE.with_borrow_mut(|all| all.insert(key.clone(), before));
        }
        self.bucket.set(&key, value)
    }

    fn delete(&self, key: &str) -> Result<()> {
        let key = self.key(key);
        if self.is("delete does nothing") {
            return Ok(());
        }
        if self.is("delete of a key that is not there is refused") && !self.there(&key)? {
            return Err(Error::invalid("not there"));
        }
        if self.is("delete empties the value") {
            return self.bucket.set(&key, b"");
        }
        if self.is("delete takes the neighbours along") {
            self.bucket.list(None)?.keys.iter().try_for_each(|key| self.bucket.delete(key))?;
        }
        DELETED.with_borrow_mut(|all| all.insert(key.clone()));
        self.bucket.delete(&key)
    }

    fn exists(&self, key: &str) -> Result<bool> {
        match self {
            _ if self.is("exists is always true") => Ok(true),
            _ if self.is("exists is never true") => Ok(false),
            _ if self.is("exists is false for an empty value") => {
                Ok(self.bucket.get(key)?.is_some_and(|value| !value.is_empty()))
            }
            _ => self.there(key),
        }
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        let mut page = self.bucket.list(cursor)?;
        if self.is("a listing names a key that nobody set") && !LISTED.replace(true) {
            page.keys.push("nobody".to_string());
        }
        if self.is("a listing ends after its first page") {
            page.cursor = None;
        }
        if self.is("a listing gives the last key of a page again") {
            page.keys.extend(page.keys.last().cloned());
        }
        if self.is("a listing names deleted keys") {
            page.keys.extend(DELETED.with_borrow(|all| all.iter().cloned().collect::<Vec<_>>()));
        }
        Ok(page)
    }

    fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        let mut page = self.list(cursor)?;
        page.keys.retain(|key| match self {
            _ if self.is("a prefix is ignored") => true,
            _ if self.is("a prefix counts for the first page only") && cursor.is_some() => true,
            _ if self.is("a prefix is a part of the key anywhere") => key.contains(prefix),
            _ if self.is("a prefix leaves out the key that is the prefix") && key == prefix => false,
            _ => key.starts_with(prefix),
        });
        Ok(page)
    }

    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.set(key, value)?;
        self.begin(key, lifetime);
        Ok(())
    }

    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.end(key)?;
        if self.is("create never creates") {
            return Ok(false);
        }
        let created = match self {
            _ if self.is("create sets a key that is there") => self.set(key, value).map(|()| true)?,
            _ => self.swap(key, &Version::Absent, value)? == Swap::Done,
        };
        if let (true, Some(lifetime)) = (created && !self.is("create ignores the lifetime"), lifetime) {
            self.begin(key, lifetime);
        }
        Ok(created)
    }

    fn version_of_text(&self, key: &str, text: &str) -> Option<Version> {
        self.bucket.version_of_text(key, text).filter(|_| !self.is("a version cannot be read back"))
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let key = self.key(key);
        let current = self.bucket.get(&key)?;
        if current.is_none() && self.is("increment begins at 1") {
            self.bucket.set(&key, b"1")?;
        }
        if current.as_deref().is_some_and(|value| counter::parse(value).is_none()) {
            if self.is("increment takes text as 0") {
                self.bucket.set(&key, b"0")?;
            }
            if self.is("increment of text removes it") {
                self.bucket.delete(&key)?;
            }
        }
        let before = current.as_deref().and_then(counter::parse).unwrap_or_default();
        if self.is("increment that does not fit wraps around") && before.checked_add(delta).is_none() {
            let sum = before.wrapping_add(delta) & i64::MAX;
            self.bucket.set(&key, &counter::format(sum))?;
            return Ok(sum);
        }
        let delta = if delta == 0 && self.is("increment by nothing adds 1") { 1 } else { delta };
        let sum = self.bucket.increment(&key, delta, floor)?;
        if self.is("increment does not keep the sum") {
            self.bucket.set(&key, &counter::format(before))?;
        }
        Ok(if self.is("increment gives the number before") { before } else { sum })
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        let mut snapshot = self.bucket.snapshot(key)?;
        if self.is("a snapshot has no value") {
            snapshot.value = None;
        }
        Ok(snapshot)
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let now = self.bucket.snapshot(key)?;
        let there = matches!(expected, Version::Absent);
        let swap = match self {
            _ if self.is("a swap never succeeds") => Swap::Conflict(now.clone()),
            _ if self.is("a swap always succeeds")
                || self.is("a swap goes by whether the key is there") && there == now.value.is_none() =>
            {
                self.bucket.swap(key, &now.version, value)?
            }
            _ if there && self.is("a swap of a key that is not there fails") => Swap::Conflict(now.clone()),
            _ => self.bucket.swap(key, expected, value)?,
        };
        if matches!(swap, Swap::Conflict(_)) {
            if self.is("a swap that fails sets the value") {
                self.bucket.set(key, value)?;
            }
            if self.is("a swap that fails gives a stale state") {
                return Ok(Swap::Conflict(Snapshot { value: Some(b"stale".to_vec()), version: expected.clone() }));
            }
        }
        Ok(swap)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut keys = self.some(keys)?.to_vec();
        if self.is("get-many is in the order of the keys' names") {
            keys.sort_unstable();
        }
        let mut values = self.bucket.get_many(&keys)?;
        if self.is("get-many fails on a key that is not there") && values.iter().any(Option::is_none) {
            return Err(Error::invalid("not there"));
        }
        if self.is("get-many gives an empty value for a key that is not there") {
            values.iter_mut().for_each(|value| {
                value.get_or_insert_default();
            });
        }
        Ok(values)
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let mut pairs = self.some(pairs)?.to_vec();
        if self.is("set-many sets the first pair") {
            pairs.truncate(1);
        }
        if self.is("set-many leaves keys that are there") {
            pairs.retain(|(key, _)| self.there(key).is_ok_and(|there| !there));
        }
        self.bucket.set_many(&pairs)
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        let mut keys = self.some(keys)?.to_vec();
        if self.is("delete-many fails on a key that is not there") {
            for key in &keys {
                if !self.there(key)? {
                    return Err(Error::invalid("not there"));
                }
            }
        }
        if self.is("delete-many removes the first key") {
            keys.truncate(1);
        }
        self.bucket.delete_many(&keys)
    }

    fn set_body(&self, key: &str, body: &mut dyn Body) -> Result<()> {
        match self {
            _ if self.is("a streamed value is not set") => Ok(()),
            _ if self.is("a streamed value is set empty") => self.bucket.set(key, b""),
            _ => self.bucket.set_body(key, body),
        }
    }

    fn get_body(&self, key: &str) -> Result<Option<BodyReader>> {
        if self.is("a value has no stream out") {
            return Err(Error::invalid("no stream today"));
        }
        let mut body = self.bucket.get_body(key)?;
        if self.is("the size of a stream is one less")
            && let Some(body) = &mut body
        {
            body.size = body.size.saturating_sub(1);
        }
        Ok(body)
    }
}
