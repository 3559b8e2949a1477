//! The contract for a world in which calls wait beside each other: [`AsyncStore`] and [`AsyncBucket`].
//!
//! A store is written once, with `async fn`, over transports of either world. In the synchronous one all waiting happens inside
//! the transport, so that every future is ready when it is first polled: [`at_once`] makes a [`Bucket`](crate::Bucket)'s
//! method of it. In the asynchronous one a future waits, and others go on meanwhile.

use crate::{Body, Bucket, Error, Kind, Page, Result, Snapshot, Store, Swap, Version};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The result of a future that does not wait; `None` if it does.
///
/// ```
/// use kvfuse_core::waiting::ready;
///
/// assert_eq!(ready(async { 1 }), Some(1));
/// assert_eq!(ready(std::future::pending::<()>()), None);
/// ```
pub fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// The result of an operation in the synchronous world, in which it must not wait.
///
/// # Errors
/// Those of the operation. One that waits is dropped, and reported as an internal error whose outcome is unknown.
pub fn at_once<T>(operation: impl Future<Output = Result<T>>) -> Result<T> {
    ready(operation).unwrap_or_else(|| {
        Err(Error::new(
            Kind::OutcomeUnknown,
            "internal error: a call waited where nothing can wait, so it may or may not have happened; please report this",
        ))
    })
}

/// A [`Store`](crate::Store) whose buckets wait beside each other. The same rules apply.
pub trait AsyncStore {
    /// Its buckets.
    type Bucket: AsyncBucket;

    /// Opens a bucket, as [`Store::open`](crate::Store::open) does. Never waits.
    ///
    /// # Errors
    /// Those of [`Store::open`](crate::Store::open).
    fn open_async(&self, bucket: &str) -> Result<Self::Bucket>;
}

/// A [`Bucket`](crate::Bucket) whose calls wait beside each other: each method is the one of that name there, with the same
/// rules and the same errors.
///
/// **Several calls at once** take effect in any order, each at one moment between its call and its return.
///
/// **A call that is dropped** before it has returned may have taken effect, may take effect within its time limit, or not at
/// all. It harms no other call.
#[allow(missing_docs, reason = "the methods are documented where they are synchronous")]
pub trait AsyncBucket {
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>>>;
    fn set(&self, key: &str, value: &[u8]) -> impl Future<Output = Result<()>>;
    fn delete(&self, key: &str) -> impl Future<Output = Result<()>>;
    fn exists(&self, key: &str) -> impl Future<Output = Result<bool>>;
    fn list(&self, cursor: Option<&str>) -> impl Future<Output = Result<Page>>;
    fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> impl Future<Output = Result<Page>>;
    fn increment(&self, key: &str, delta: i64, floor: i64) -> impl Future<Output = Result<i64>>;
    fn snapshot(&self, key: &str) -> impl Future<Output = Result<Snapshot>>;
    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> impl Future<Output = Result<Swap>>;
    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> impl Future<Output = Result<bool>>;
    fn version_text(&self, _key: &str, version: &Version) -> String {
        version.to_text()
    }
    fn version_of_text(&self, _key: &str, text: &str) -> Option<Version> {
        Version::from_text(text)
    }
    fn get_many(&self, keys: &[&str]) -> impl Future<Output = Result<Vec<Option<Vec<u8>>>>>;
    fn set_many(&self, pairs: &[(&str, &[u8])]) -> impl Future<Output = Result<()>>;
    fn delete_many(&self, keys: &[&str]) -> impl Future<Output = Result<()>>;
    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> impl Future<Output = Result<()>>;
}

/// The methods of [`Bucket`](crate::Bucket) that an [`AsyncBucket`] has, each as that one polled once. It stands in the
/// `impl Bucket` of a store that is written with `async fn`, beside what only that trait has, such as `watch`.
#[macro_export]
macro_rules! bucket_at_once {
    () => {
        $crate::bucket_at_once! {
            get(key: &str) -> Option<Vec<u8>>;
            set(key: &str, value: &[u8]) -> ();
            delete(key: &str) -> ();
            exists(key: &str) -> bool;
            list(cursor: Option<&str>) -> $crate::Page;
            list_prefix(prefix: &str, cursor: Option<&str>) -> $crate::Page;
            increment(key: &str, delta: i64, floor: i64) -> i64;
            snapshot(key: &str) -> $crate::Snapshot;
            swap(key: &str, expected: &$crate::Version, value: &[u8]) -> $crate::Swap;
            create(key: &str, value: &[u8], lifetime: Option<std::time::Duration>) -> bool;
            get_many(keys: &[&str]) -> Vec<Option<Vec<u8>>>;
            set_many(pairs: &[(&str, &[u8])]) -> ();
            delete_many(keys: &[&str]) -> ();
            set_expiring(key: &str, value: &[u8], lifetime: std::time::Duration) -> ();
        }

        fn version_text(&self, key: &str, version: &$crate::Version) -> String {
            $crate::AsyncBucket::version_text(self, key, version)
        }

        fn version_of_text(&self, key: &str, text: &str) -> Option<$crate::Version> {
            $crate::AsyncBucket::version_of_text(self, key, text)
        }
    };
    ($($method:ident($($name:ident: $type:ty),*) -> $result:ty;)+) => {
        $(fn $method(&self, $($name: $type),*) -> $crate::Result<$result> {
            $crate::waiting::at_once($crate::AsyncBucket::$method(self, $($name),*))
        })+
    };
}

/// A store in both worlds: one for what must not wait, and one whose calls wait beside each other. Both have to see the same data.
pub struct Both<P, W> {
    /// Behind the synchronous interfaces.
    pub plain: P,
    /// Behind the asynchronous ones.
    pub waiting: W,
}

impl<P: Store, W> Store for Both<P, W> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.plain.open(bucket)
    }

    fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
        self.plain.space(bucket)
    }

    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        self.plain.open_cache()
    }

    fn open_positions(&self) -> Result<Rc<dyn Bucket>> {
        self.plain.open_positions()
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        self.plain.create_body()
    }
}

impl<P, W: AsyncStore> AsyncStore for Both<P, W> {
    type Bucket = W::Bucket;

    fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
        self.waiting.open_async(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_waits_in_the_synchronous_world_is_an_error_and_no_panic() {
        let error = at_once(std::future::pending::<Result<()>>()).unwrap_err();
        assert_eq!(error.kind(), Kind::OutcomeUnknown);
        assert!(error.message().contains("internal error"), "{error}");
        assert_eq!(at_once(async { Ok(1) }), Ok(1));
    }
}
