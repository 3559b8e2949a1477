//! What several consumers share. Most are middlewares: each imports and exports one interface of a generation, passes every
//! call on, and counts them; `kvfuse:counting/calls` gives the number. Buckets pass through: their interface is only
//! imported, so that the exported functions take the same buckets as the imported ones.

use std::cell::Cell;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

pub fn count() {
    CALLS.set(CALLS.get() + 1);
}

pub fn total() -> u64 {
    CALLS.get()
}

#[doc(hidden)]
#[macro_export]
macro_rules! counting {
    () => {
        struct Counting;
        export!(Counting);

        impl exports::kvfuse::counting::calls::Guest for Counting {
            fn total() -> u64 {
                $crate::total()
            }
        }
    };
}

/// Counts the calls of `batch` over the bindings of the middleware that calls this. `$package` has the interface,
/// `$bucket` is the type of its calls' bucket, and `$pair` what `get-many` gives for a key.
#[macro_export]
macro_rules! counting_batch {
    ($package:ident, bucket: $bucket:ty, pair: $pair:ty) => {
        $crate::counting_batch!($package, types: store, bucket: $bucket, pair: $pair);
    };
    ($package:ident, types: $types:ident, bucket: $bucket:ty, pair: $pair:ty) => {
        $crate::counting!();

        use $package::keyvalue::{batch, $types};

        impl exports::$package::keyvalue::batch::Guest for Counting {
            fn get_many(bucket: $bucket, keys: Vec<String>) -> Result<Vec<$pair>, $types::Error> {
                $crate::count();
                batch::get_many(&bucket, &keys)
            }

            fn set_many(bucket: $bucket, key_values: Vec<(String, Vec<u8>)>) -> Result<(), $types::Error> {
                $crate::count();
                batch::set_many(&bucket, &key_values)
            }

            fn delete_many(bucket: $bucket, keys: Vec<String>) -> Result<(), $types::Error> {
                $crate::count();
                batch::delete_many(&bucket, &keys)
            }
        }
    };
}

/// Counts the calls of `atomic`, as above.
#[macro_export]
macro_rules! counting_atomic {
    () => {
        $crate::counting!();

        use wasi::keyvalue::atomic;
        use wasi::keyvalue::types::{Bucket, Error};

        impl exports::wasi::keyvalue::atomic::Guest for Counting {
            fn increment(bucket: &Bucket, key: String, delta: u64) -> Result<u64, Error> {
                $crate::count();
                atomic::increment(bucket, &key, delta)
            }

            fn compare_and_swap(bucket: &Bucket, key: String, old: u64, new: u64) -> Result<bool, Error> {
                $crate::count();
                atomic::compare_and_swap(bucket, &key, old, new)
            }
        }
    };
}

/// Keeps what a consumer for wasmCloud is called for in the bucket `seen`, in order. The module has `Bucket`, `store`,
/// `increment` and `watcher` of its generation in scope.
#[macro_export]
macro_rules! watching_wasmcloud {
    () => {
        struct Watching;
        export!(Watching);

        async fn note(what: String) {
            let seen = store::open("seen".into()).await.unwrap();
            let number = increment(&seen, "count".into(), 1).await.unwrap();
            seen.set(format!("{number:06}"), what.into_bytes(), None).await.unwrap();
        }

        impl watcher::Guest for Watching {
            async fn on_set(bucket: Bucket, key: String, value: Vec<u8>) {
                note(format!("set {key} {}", String::from_utf8_lossy(&value))).await;
                assert!(bucket.exists(key).await.is_ok(), "the bucket is of the store");
            }

            async fn on_delete(_: Bucket, key: String) {
                note(format!("delete {key}")).await;
            }
        }
    };
}
