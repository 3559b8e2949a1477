//! What only the generations before 2024-04 promise: values as resources, streams, compare-and-swap of counters, and the
//! cache.

mod cache;
mod glue;
mod values;

use crate::{Bucket, Case, Failure};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream};

/// One of these generations, under common names. Errors are their traces.
pub trait Classic: 'static {
    type Bucket;
    type Outgoing;
    type Incoming;
    type Vacancy;

    fn open(name: &str) -> Result<Self::Bucket, String>;
    fn outgoing() -> Self::Outgoing;
    fn write(value: &Self::Outgoing, bytes: &[u8]) -> Result<(), String>;
    fn write_stream(value: &Self::Outgoing) -> Result<OutputStream, String>;
    fn consume(value: Self::Incoming) -> Result<Vec<u8>, String>;
    fn consume_stream(value: Self::Incoming) -> Result<InputStream, String>;
    fn size(value: &Self::Incoming) -> Result<u64, String>;

    /// For a missing key, `Ok(None)` or an error, depending on the generation.
    fn get(bucket: &Self::Bucket, key: &str) -> Result<Option<Self::Incoming>, String>;
    fn set(bucket: &Self::Bucket, key: &str, value: &Self::Outgoing) -> Result<(), String>;
    fn delete(bucket: &Self::Bucket, key: &str) -> Result<(), String>;
    fn exists(bucket: &Self::Bucket, key: &str) -> Result<bool, String>;
    fn keys(bucket: &Self::Bucket) -> Result<Vec<String>, String>;
    fn get_many(bucket: &Self::Bucket, keys: &[&str]) -> Result<Vec<Option<Self::Incoming>>, String>;
    fn set_many(bucket: &Self::Bucket, values: &[(&str, Self::Outgoing)]) -> Result<(), String>;
    fn delete_many(bucket: &Self::Bucket, keys: &[&str]) -> Result<(), String>;
    fn increment(bucket: &Self::Bucket, key: &str, delta: u64) -> Result<u64, String>;
    fn compare_and_swap(bucket: &Self::Bucket, key: &str, old: u64, new: u64) -> Result<bool, String>;

    fn cache_get(key: &str) -> Future<Option<Self::Incoming>>;
    fn cache_exists(key: &str) -> Future<bool>;
    fn cache_set(key: &str, value: &Self::Outgoing, ttl_ms: Option<u32>) -> Future<()>;
    fn cache_delete(key: &str) -> Future<()>;
    fn cache_get_or_set(key: &str) -> Future<Entry<Self>>;
    fn fill(vacancy: &Self::Vacancy, ttl_ms: Option<u32>) -> Self::Outgoing;
}

pub enum Entry<C: Classic + ?Sized> {
    Occupied(C::Incoming),
    Vacant(C::Vacancy),
}

/// A future of the cache interface.
pub struct Future<T> {
    pub get: Box<dyn Fn() -> Option<Result<T, String>>>,
    pub listen: Box<dyn Fn() -> Pollable>,
}

impl<T> Future<T> {
    /// Waits for the result as the interface demands: until the pollable is ready, and again if the future then is not.
    pub fn wait(&self, what: &str) -> Result<T, Failure> {
        for _ in 0..1000 {
            if let Some(result) = (self.get)() {
                return crate::check::ok(what, result);
            }
            (self.listen)().block();
        }
        Err(Failure::Failed(format!("{what} never gave a result")))
    }
}

/// What only these generations promise.
pub fn cases<C: Classic>() -> Vec<Case> {
    [values::values::<C>(), values::swaps::<C>(), values::streams::<C>(), cache::cache::<C>()].concat()
}

/// Opens a bucket for the cases that all generations share.
pub fn opener<C: Classic>(name: &str) -> Result<Box<dyn Bucket>, String> {
    Ok(Box::new(Common::<C>(C::open(name)?)))
}

struct Common<C: Classic>(C::Bucket);

fn value<C: Classic>(bytes: &[u8]) -> Result<C::Outgoing, String> {
    let value = C::outgoing();
    C::write(&value, bytes)?;
    Ok(value)
}

impl<C: Classic> Bucket for Common<C> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        C::get(&self.0, key)?.map(C::consume).transpose()
    }

    fn set(&self, key: &str, bytes: &[u8]) -> Result<(), String> {
        C::set(&self.0, key, &value::<C>(bytes)?)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        C::delete(&self.0, key)
    }

    fn exists(&self, key: &str) -> Result<bool, String> {
        C::exists(&self.0, key)
    }

    fn list(&self, _cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
        Ok((C::keys(&self.0)?, None))
    }

    fn increment(&self, key: &str, delta: u64) -> Result<i128, String> {
        C::increment(&self.0, key, delta).map(i128::from)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, String> {
        C::get_many(&self.0, keys)?.into_iter().map(|value| value.map(C::consume).transpose()).collect()
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), String> {
        let values: Result<Vec<_>, String> = pairs.iter().map(|(key, bytes)| Ok((*key, value::<C>(bytes)?))).collect();
        C::set_many(&self.0, &values?)
    }

    fn delete_many(&self, keys: &[&str]) -> Result<(), String> {
        C::delete_many(&self.0, keys)
    }
}
