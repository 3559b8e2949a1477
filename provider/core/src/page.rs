//! Listing the keys of a bucket.

/// One page of a bucket's keys, as [`Bucket::list`](crate::Bucket::list) returns it.
///
/// # Cursors
/// A listing starts without a cursor and continues with the cursor of the previous page, until a page has none. While
/// others write, every key that is in the bucket during the whole listing is returned exactly once. A key that is added
/// meanwhile, or deleted and added again, may be returned once or not at all. The order is up to the store. A page may
/// be empty and still have a cursor; even so, the number of pages is proportional to the size of the bucket.
///
/// A cursor is opaque text. If the engine allows, it does not depend on state in the instance that issued it: another
/// instance of the same store can continue the listing. A store whose positions are numbers writes them in canonical
/// decimal, below 2^63: a generation of the interface whose cursor is a `u64` passes those on unchanged, and keeps any
/// other cursor in the instance under a number from 2^63 upwards. A store rejects a cursor that it did not issue with
/// [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) where it can tell, and never silently skips or repeats keys.
///
/// ```
/// use kvfuse_core::{Bucket, Result};
///
/// fn all_keys(bucket: &dyn Bucket) -> Result<Vec<String>> {
///     let mut page = bucket.list(None)?;
///     let mut keys = page.keys;
///     while let Some(cursor) = page.cursor {
///         page = bucket.list(Some(&cursor))?;
///         keys.append(&mut page.keys);
///     }
///     Ok(keys)
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most [`PAGE_KEYS`](crate::limits::PAGE_KEYS) keys, with the exception described at
    /// [`Bucket::list`](crate::Bucket::list).
    pub keys: Vec<String>,
    /// Where to continue; `None` on the last page.
    pub cursor: Option<String>,
}
