//! The contract: [`Store`] and [`Bucket`].

use crate::{Body, BodyReader, Error, Page, Result, Snapshot, Swap, Version, Watch, page, watch};
use std::rc::Rc;
use std::time::Duration;

/// The name of the bucket behind the cache interface.
pub const CACHE: &str = ":cache:";

/// The name of the bucket in which runners keep the positions of their watches.
pub const POSITIONS: &str = ":watch:";

/// A key-value engine, as a way to open buckets.
///
/// The [crate's documentation](crate#a-complete-store) shows a complete implementation.
pub trait Store {
    /// Opens a bucket.
    ///
    /// Buckets are separate name spaces. A name is any non-empty string. No consumer can ask for a name that starts and
    /// ends with `:`, so those are free for [`CACHE`], and for the buckets of labels: `:label/name:`.
    ///
    /// Opening creates nothing that others could see: a bucket is created by its first write, and one that was never
    /// written reads as empty. What can be checked without a round trip (is there an engine, may this bucket be used?)
    /// is checked here, so that a misconfiguration shows on open. Stores that need a round trip may leave the check to
    /// the first operation.
    ///
    /// Handles from several calls with the same name share their data.
    ///
    /// # Errors
    /// - [`Unavailable`](crate::Kind::Unavailable), with the setting or grant that is missing
    /// - [`NoSuchStore`](crate::Kind::NoSuchStore) if the store does not create buckets on demand
    /// - [`AccessDenied`](crate::Kind::AccessDenied)
    /// - [`InvalidArgument`](crate::Kind::InvalidArgument) if the engine cannot represent the name
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>>;

    /// The name space of a bucket's keys: by default one of its own. A store in which several buckets share their keys,
    /// so that a write through one of them shows in the others, returns the same for all of these.
    fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
        bucket
    }

    /// Opens the bucket behind the cache interface, which is separate from every bucket that a consumer can name.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        self.open(CACHE)
    }

    /// Opens the bucket for the positions of watches, which is separate from every bucket that a consumer can name.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    fn open_positions(&self) -> Result<Rc<dyn Bucket>> {
        self.open(POSITIONS)
    }

    /// Starts a value that will be written through a host stream. It does not belong to a bucket yet.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) for stores that accept whole values only, which is the default.
    fn create_body(&self) -> Result<Box<dyn Body>> {
        Err(Error::unsupported("this store does not support values as streams; pass the value as a byte list"))
    }
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        (**self).open(bucket)
    }

    fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
        (**self).space(bucket)
    }

    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        (**self).open_cache()
    }

    fn open_positions(&self) -> Result<Rc<dyn Bucket>> {
        (**self).open_positions()
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        (**self).create_body()
    }
}

/// What a store answers whose keys cannot have lifetimes.
pub fn no_lifetimes() -> Error {
    Error::unsupported("this store does not support lifetimes of keys; delete the key when it is no longer needed")
}

/// One bucket: a map from keys to values.
///
/// **Keys** are any string of up to [`MAX_KEY`](crate::limits::MAX_KEY) bytes, including the empty string, and are
/// compared byte for byte. **Values** are any bytes up to the limit in [`Limits`](crate::Limits). Callers check both
/// limits; a store with lower ones returns [`InvalidArgument`](crate::Kind::InvalidArgument).
///
/// **Atomicity.** An operation on one key takes effect at one moment between its call and its return, in one order that
/// all instances observe: single-key operations are linearizable. (The interface only asks for read-your-writes.)
/// Batches are not atomic: others may observe part of a batch, and a batch that fails may have been carried out in
/// part.
///
/// **Lifetimes.** A key whose lifetime has ended is absent for every operation, as if it had been deleted at that moment:
/// an increment starts anew, and a version from before conflicts. Every set of a key replaces its lifetime, in a batch or
/// by a swap as well: without one, the key lives until it is deleted. An increment keeps what is left, unless the
/// documentation of a store says otherwise. Only the engine's clock counts, or that of the machine. A swap that expects a
/// value which ends while the swap is on its way may take place.
///
/// **Errors.** After any error other than [`OutcomeUnknown`](crate::Kind::OutcomeUnknown), a single-key operation did
/// not happen. A store only retries what it knows did not happen. Every method can return
/// [`Unavailable`](crate::Kind::Unavailable), [`Timeout`](crate::Kind::Timeout), [`Damaged`](crate::Kind::Damaged) and
/// [`Other`](crate::Kind::Other); those that write also [`QuotaExceeded`](crate::Kind::QuotaExceeded) and
/// [`OutcomeUnknown`](crate::Kind::OutcomeUnknown). Further errors are listed at each method.
///
/// Sources: `wasi:keyvalue` 0.2.0-draft and 0.2.0-draft2, unless noted otherwise.
///
/// # Example
///
/// ```
/// use kvfuse_core::{Bucket, Result, Swap};
///
/// /// Takes one item out of stock unless it is sold out.
/// fn sell(bucket: &dyn Bucket, item: &str) -> Result<bool> {
///     let mut seen = bucket.snapshot(item)?;
///     loop {
///         let stock = seen.value.as_deref().and_then(kvfuse_core::counter::parse).unwrap_or(0);
///         if stock == 0 {
///             return Ok(false);
///         }
///         match bucket.swap(item, &seen.version, &kvfuse_core::counter::format(stock - 1))? {
///             Swap::Done => return Ok(true),
///             Swap::Conflict(now) => seen = now,
///         }
///     }
/// }
/// ```
pub trait Bucket {
    /// The value of a key, or `None` if the key does not exist.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Sets the value of a key, whether or not the key exists.
    fn set(&self, key: &str, value: &[u8]) -> Result<()>;

    /// Deletes a key. Deleting a key that does not exist succeeds.
    fn delete(&self, key: &str) -> Result<()>;

    /// Whether a key exists. Does not fetch its value.
    fn exists(&self, key: &str) -> Result<bool>;

    /// The next page of keys; [`Page`] explains cursors.
    ///
    /// A page has at most [`PAGE_KEYS`](crate::limits::PAGE_KEYS) keys and ends after
    /// [`PAGE_BYTES`](crate::limits::PAGE_BYTES). An engine that returns keys in groups which cannot be split may
    /// exceed both by a part of one group.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument) for a cursor that is not from a listing of this bucket.
    fn list(&self, cursor: Option<&str>) -> Result<Page>;

    /// The next page of the keys that begin with `prefix`; otherwise as [`list`](Self::list). A cursor goes on where a listing
    /// with the same prefix was. A store that keeps keys in order gives these and looks at no others; any other one has to look
    /// at all, and may give empty pages with a cursor.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        page::filtered(prefix, cursor, |cursor| self.list(cursor))
    }

    /// Adds `delta` to a counter and returns the sum, as [`counter::add`](crate::counter::add) defines it.
    ///
    /// A missing key counts as 0. `floor` is the smallest sum allowed: `i64::MIN` for generations of the interface with
    /// signed counters, 0 for those whose counters are `u64`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument) if the value is not a counter, or if the sum does not fit an
    /// `i64` or is below `floor`. The value is left unchanged.
    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64>;

    /// The value of a key together with the version to pass to [`swap`](Self::swap).
    fn snapshot(&self, key: &str) -> Result<Snapshot>;

    /// Sets the value of a key if its version is still `expected`. A conflict is not an error.
    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap>;

    /// Sets the value of a key that does not exist, and returns whether it did: false if the key exists. With a lifetime, it is
    /// then deleted as [`set_expiring`](Self::set_expiring) says.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) for a lifetime, if this store's keys have none.
    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        match lifetime {
            None => Ok(self.swap(key, &Version::Absent, value)? == Swap::Done),
            Some(_) => Err(no_lifetimes()),
        }
    }

    /// The version of a key as text, for callers that keep it or pass it on. The same version has the same text, and two that
    /// differ have two.
    fn version_text(&self, _key: &str, version: &Version) -> String {
        version.to_text()
    }

    /// The version that a text stands for, if it is one that this instance can pass to [`swap`](Self::swap) for this key.
    /// `None` stands for a version that is not the current one, as far as this instance can know.
    fn version_of_text(&self, _key: &str, text: &str) -> Option<Version> {
        Version::from_text(text)
    }

    /// The values of several keys, in the given order, each as [`get`](Self::get) would return it. A key may occur more
    /// than once. Takes as few round trips as the engine allows.
    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>>;

    /// Sets several keys. If a key occurs more than once, its last value wins.
    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()>;

    /// Deletes several keys. Keys that do not exist are ignored.
    fn delete_many(&self, keys: &[&str]) -> Result<()>;

    /// Sets the value of a key to what has been written to a body so far. From then on the body has no further effect:
    /// later writes to its stream do not change the value.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) if another store made the body, or if this store has no streams.
    fn set_body(&self, _key: &str, _body: &mut dyn Body) -> Result<()> {
        Err(Error::unsupported("this bucket does not support values as streams; pass the value as a byte list"))
    }

    /// The value of a key as a host stream, or `None` if the key does not exist.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) if this store has no streams. [`get`](Self::get) works in that case.
    fn get_body(&self, _key: &str) -> Result<Option<BodyReader>> {
        Err(Error::unsupported("this bucket does not support values as streams; read the value as a byte list"))
    }
    /// Watches the keys that begin with `prefix`, from a position on. [`watch`](mod@crate::watch) describes the
    /// guarantees.
    ///
    /// # Errors
    /// - [`Unsupported`](crate::Kind::Unsupported), with the reason, if this store cannot report changes, or if it has
    ///   no positions and one was passed
    /// - [`InvalidArgument`](crate::Kind::InvalidArgument) for a position that is not from a watch of this bucket
    fn watch(&self, _prefix: &str, _from: watch::From<'_>) -> Result<Box<dyn Watch>> {
        Err(Error::unsupported("this store cannot tell what changes in it; read the keys again"))
    }

    /// Sets the value of a key and deletes the key after a lifetime, unless it is set again before. The lifetime is
    /// rounded up to the store's unit of time.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) if this store's keys have no lifetimes.
    fn set_expiring(&self, _key: &str, _value: &[u8], _lifetime: Duration) -> Result<()> {
        Err(no_lifetimes())
    }

    /// The remaining lifetimes of keys, in the given order. `None` for a key that does not exist or lives until it is
    /// deleted. A store without lifetimes returns `None` for every key.
    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        Ok(vec![None; keys.len()])
    }
}
