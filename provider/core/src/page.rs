//! Listing.

/// One page of a bucket's keys.
///
/// # Cursors
/// A listing begins without a cursor and goes on with the cursor of the page before, until a page has none. While others
/// write, a key that was in the bucket during the whole listing is given exactly once; a key that was added, or deleted
/// and added again, meanwhile may be given once or not at all. Order is the store's own. A page may be empty and still
/// have a cursor; a listing nevertheless ends after a number of pages in proportion to the bucket's size.
///
/// A cursor is opaque text. It holds no state in the instance that issued it where the engine allows: another instance
/// of the same store can go on with it. A store whose positions are numbers writes them in canonical decimal, below
/// 2^63: generations of the interface whose cursor is a `u64` hand those on as they are, and keep any other cursor in
/// the instance under a number from 2^63 upward. What a store did not issue is refused as
/// [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) where the store can tell, and never skips or repeats keys
/// silently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<String>,
    /// Where to go on; `None` after the last page.
    pub cursor: Option<String>,
}
