//! Listing the keys of a bucket.

use crate::{Error, Result};

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

/// The error of a cursor that does not belong to the listing.
pub fn foreign_cursor() -> Error {
    Error::invalid("this cursor is not from a listing of this bucket; start again without one")
}

/// How many pages are looked through for one that has a key with the prefix.
const LOOKED_THROUGH: usize = 32;

/// A page of the keys that begin with `prefix`, out of pages of all of them. It is empty and has a cursor if none of so many
/// pages has such a key: a call should not take as long as the bucket is large.
pub(crate) fn filtered(
    prefix: &str,
    cursor: Option<&str>,
    list: impl Fn(Option<&str>) -> Result<Page>,
) -> Result<Page> {
    let mut page = list(cursor)?;
    for _ in 1..LOOKED_THROUGH {
        page.keys.retain(|key| key.starts_with(prefix));
        if !page.keys.is_empty() || page.cursor.is_none() {
            return Ok(page);
        }
        page = list(page.cursor.as_deref())?;
    }
    page.keys.retain(|key| key.starts_with(prefix));
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten keys a page.
    fn of(keys: &[String], cursor: Option<&str>) -> Result<Page> {
        let begin: usize = cursor.map_or(0, |text| text.parse().unwrap());
        let end = keys.len().min(begin + 10);
        let cursor = (end < keys.len()).then(|| end.to_string());
        Ok(Page { keys: keys[begin..end].to_vec(), cursor })
    }

    #[test]
    fn pages_without_a_key_of_the_prefix_are_skipped_and_the_search_ends_after_so_many() {
        let mut keys: Vec<String> = (0..1000).map(|n| format!("a{n}")).collect();
        keys[25] = "b1".into();
        keys[999] = "b2".into();
        let page = filtered("b", None, |cursor| of(&keys, cursor)).unwrap();
        assert_eq!(page, Page { keys: vec!["b1".into()], cursor: Some("30".into()) });
        let page = filtered("b", page.cursor.as_deref(), |cursor| of(&keys, cursor)).unwrap();
        assert_eq!(page, Page { keys: Vec::new(), cursor: Some((30 + LOOKED_THROUGH * 10).to_string()) });
        let all = |prefix| filtered(prefix, Some("990"), |cursor| of(&keys, cursor)).unwrap();
        assert_eq!(all("b"), Page { keys: vec!["b2".into()], cursor: None });
        assert_eq!(all("c"), Page::default());
        assert_eq!(all("").keys.len(), 10);
    }
}
