//! The contract.

use crate::{Body, BodyReader, Error, Page, Result, Snapshot, Swap, Version};
use std::rc::Rc;

/// The bucket behind the cache interface.
pub const CACHE: &str = ":cache:";

/// A key-value engine: a way to get at buckets.
pub trait Store {
    /// Opens a bucket. Buckets are separate name spaces. Names are any string that is not empty; names that begin and
    /// end with `:` never reach a store but for [`CACHE`].
    ///
    /// Opening creates nothing that others could see: a bucket comes to be on its first write, and one never written
    /// reads as empty. What can be checked at once (is there an engine, may this bucket be used) is checked here, so
    /// that a misconfiguration shows on open; stores that need a round trip for it may leave it to the first operation.
    ///
    /// Opening one bucket several times gives handles on the same data.
    ///
    /// # Errors
    /// [`Unavailable`](crate::Kind::Unavailable) with the setting or grant that is missing,
    /// [`NoSuchStore`](crate::Kind::NoSuchStore) where buckets are not created by use,
    /// [`AccessDenied`](crate::Kind::AccessDenied), [`InvalidArgument`](crate::Kind::InvalidArgument) for a name that
    /// this engine cannot represent.
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>>;

    /// Opens the bucket behind the cache interface, which lies apart from those that consumers can name.
    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        self.open(CACHE)
    }

    /// Begins a value that will arrive as a host stream and belongs to no bucket yet.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) for stores that take whole values only, the default.
    fn create_body(&self) -> Result<Box<dyn Body>> {
        Err(Error::unsupported("this store takes values whole, not as streams; pass the value as a byte list"))
    }
}

/// One bucket: a map from keys to values.
///
/// **Keys** are any string of up to [`MAX_KEY`](crate::limits::MAX_KEY) bytes, the empty one included, compared byte for
/// byte. **Values** are any bytes up to the limit in [`Limits`](crate::Limits). Callers keep to both limits; a store with
/// lower ones refuses with [`InvalidArgument`](crate::Kind::InvalidArgument).
///
/// **Atomicity.** Each operation on one key takes effect at one moment between its call and its return, in one order
/// that all instances see: single-key operations are linearizable, which is more than the interface asks (read your own
/// writes). Batches are not atomic: others may see a part of one, and one that failed may be half done.
///
/// **Errors.** After any error but [`OutcomeUnknown`](crate::Kind::OutcomeUnknown) a single-key operation did not
/// happen. A store retries by itself only what it knows did not happen.
///
/// Sources: `wasi:keyvalue` 0.2.0-draft and 0.2.0-draft2, where not said otherwise.
pub trait Bucket {
    /// The value of a key, `None` if it has none.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Gives a key a value, whether it had one or not.
    fn set(&self, key: &str, value: &[u8]) -> Result<()>;

    /// Removes a key; removing one that is not there succeeds.
    fn delete(&self, key: &str) -> Result<()>;

    /// Whether a key has a value, without fetching it.
    fn exists(&self, key: &str) -> Result<bool>;

    /// The next page of keys; see [`Page`] for what a cursor promises. A page has at most
    /// [`PAGE_KEYS`](crate::limits::PAGE_KEYS) keys, but for keys that only fit one page together, and ends after
    /// [`PAGE_BYTES`](crate::limits::PAGE_BYTES).
    fn list(&self, cursor: Option<&str>) -> Result<Page>;

    /// Adds to a counter and returns the result, as [`counter::add`](crate::counter::add) defines it: a missing key
    /// counts as 0, and nothing changes if the value is no counter or the result does not fit or is below `floor`
    /// (`i64::MIN` for signed generations, 0 for those whose counters are `u64`).
    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64>;

    /// A key's value together with the version to [`swap`](Self::swap) against.
    fn snapshot(&self, key: &str) -> Result<Snapshot>;

    /// Gives a key a value if its version still is `expected`. A conflict is not an error.
    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap>;

    /// The values of several keys, in the order asked, each as [`get`](Self::get) would give it; one key may be asked
    /// for several times. As few round trips as the engine allows.
    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>>;

    /// Sets several keys; of pairs with one key the last wins.
    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()>;

    /// Removes several keys; missing ones are no error.
    fn delete_many(&self, keys: &[&str]) -> Result<()>;

    /// Stores what has been written to a body so far as a key's value. From then on the body takes no effect any more:
    /// what is written to its stream later is not part of the value.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) if the body was made by another store or this one makes none.
    fn set_body(&self, _key: &str, _body: &mut dyn Body) -> Result<()> {
        Err(Error::unsupported("this bucket takes values whole, not as streams; pass the value as a byte list"))
    }

    /// A key's value as a host stream.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Kind::Unsupported) where a store has no streams; the value can then be had whole.
    fn get_body(&self, _key: &str) -> Result<Option<BodyReader>> {
        Err(Error::unsupported("this bucket gives values whole, not as streams; read the value as a byte list"))
    }
}
