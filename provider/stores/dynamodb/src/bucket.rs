//! A bucket in either layout, where calls wait beside each other.

use crate::spin::SpinBucket;
use crate::store::DynamoBucket;
use kvfuse_core::{AsyncBucket, Page, Result, Snapshot, Swap, Version};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::http::AsyncHttpClient;
use std::time::Duration;

/// One of the store's buckets.
pub enum TableBucket<H, C> {
    /// In the layout of this store.
    Own(DynamoBucket<H, C>),
    /// In that of Spin: the whole table.
    Spin(SpinBucket<H, C>),
}

/// The same method of the bucket that there is.
macro_rules! either {
    ($($method:ident($($name:ident: $type:ty),*) -> $result:ty;)+) => {
        $(async fn $method(&self, $($name: $type),*) -> Result<$result> {
            match self {
                Self::Own(bucket) => bucket.$method($($name),*).await,
                Self::Spin(bucket) => bucket.$method($($name),*).await,
            }
        })+
    };
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncBucket for TableBucket<H, C> {
    either! {
        get(key: &str) -> Option<Vec<u8>>;
        set(key: &str, value: &[u8]) -> ();
        delete(key: &str) -> ();
        exists(key: &str) -> bool;
        list(cursor: Option<&str>) -> Page;
        list_prefix(prefix: &str, cursor: Option<&str>) -> Page;
        increment(key: &str, delta: i64, floor: i64) -> i64;
        snapshot(key: &str) -> Snapshot;
        swap(key: &str, expected: &Version, value: &[u8]) -> Swap;
        create(key: &str, value: &[u8], lifetime: Option<Duration>) -> bool;
        get_many(keys: &[&str]) -> Vec<Option<Vec<u8>>>;
        set_many(pairs: &[(&str, &[u8])]) -> ();
        delete_many(keys: &[&str]) -> ();
        set_expiring(key: &str, value: &[u8], lifetime: Duration) -> ();
    }
}
