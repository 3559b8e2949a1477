//! A bucket that enforces the limits.

use kvfuse_core::{Body, BodyReader, Bucket, Limits, Page, Result, Snapshot, Swap, Version, Watch, watch};
use std::rc::Rc;
use std::time::Duration;

pub struct Guarded {
    bucket: Rc<dyn Bucket>,
    limits: Limits,
}

impl Guarded {
    pub fn new(bucket: Rc<dyn Bucket>, limits: Limits) -> Self {
        Self { bucket, limits }
    }

    fn check(&self, key: &str, value: &[u8]) -> Result<()> {
        self.limits.check_key(key)?;
        self.limits.check_value(value)
    }

    fn check_keys(&self, keys: &[&str]) -> Result<()> {
        keys.iter().try_for_each(|key| self.limits.check_key(key))
    }
}

impl Bucket for Guarded {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.limits.check_key(key)?;
        self.bucket.get(key)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.check(key, value)?;
        self.bucket.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.limits.check_key(key)?;
        self.bucket.delete(key)
    }

    fn exists(&self, key: &str) -> Result<bool> {
        self.limits.check_key(key)?;
        self.bucket.exists(key)
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.bucket.list(cursor)
    }

    fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.bucket.list_prefix(prefix, cursor)
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.limits.check_key(key)?;
        self.bucket.increment(key, delta, floor)
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.limits.check_key(key)?;
        self.bucket.snapshot(key)
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.check(key, value)?;
        self.bucket.swap(key, expected, value)
    }

    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.check(key, value)?;
        self.bucket.create(key, value, lifetime)
    }

    fn version_text(&self, key: &str, version: &Version) -> String {
        self.bucket.version_text(key, version)
    }

    fn version_of_text(&self, key: &str, text: &str) -> Option<Version> {
        self.bucket.version_of_text(key, text)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.check_keys(keys)?;
        self.bucket.get_many(keys)
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        pairs.iter().try_for_each(|(key, value)| self.check(key, value))?;
        self.bucket.set_many(pairs)
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.check_keys(keys)?;
        self.bucket.delete_many(keys)
    }

    fn set_body(&self, key: &str, body: &mut dyn Body) -> Result<()> {
        self.limits.check_key(key)?;
        self.bucket.set_body(key, body)
    }

    fn get_body(&self, key: &str) -> Result<Option<BodyReader>> {
        self.limits.check_key(key)?;
        self.bucket.get_body(key)
    }
    fn watch(&self, prefix: &str, from: watch::From<'_>) -> Result<Box<dyn Watch>> {
        self.bucket.watch(prefix, from)
    }

    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.check(key, value)?;
        self.bucket.set_expiring(key, value, lifetime)
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        self.check_keys(keys)?;
        self.bucket.lifetimes(keys)
    }
}
