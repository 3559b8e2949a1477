//! A library whose exports take and give what it imports: buckets and errors of the store.

wit_bindgen::generate!({
    inline: "
        package kvfuse:exporting;
        interface api {
            use wasi:keyvalue/store@0.2.0-draft2.{bucket, error};
            open: func(name: string) -> result<bucket, error>;
            set: func(bucket: borrow<bucket>, key: string, value: list<u8>) -> result<_, error>;
            get: func(bucket: borrow<bucket>, key: string) -> result<option<list<u8>>, error>;
        }
        /// As `wasi:keyvalue/watcher`, which takes the bucket as its own.
        interface watcher {
            use wasi:keyvalue/store@0.2.0-draft2.{bucket};
            on-set: func(bucket: bucket, key: string, value: list<u8>);
        }
        world exporting {
            import wasi:keyvalue/store@0.2.0-draft2;
            export api;
            export watcher;
        }
    ",
    generate_all,
    path: "../../wit/draft2",
});

use exports::kvfuse::exporting::{api, watcher};
use wasi::keyvalue::store::{self, Bucket, Error};

struct Exporting;
export!(Exporting);

impl api::Guest for Exporting {
    fn open(name: String) -> Result<Bucket, Error> {
        store::open(&name)
    }

    fn set(bucket: &Bucket, key: String, value: Vec<u8>) -> Result<(), Error> {
        bucket.set(&key, &value)
    }

    fn get(bucket: &Bucket, key: String) -> Result<Option<Vec<u8>>, Error> {
        bucket.get(&key)
    }
}

impl watcher::Guest for Exporting {
    fn on_set(bucket: Bucket, key: String, value: Vec<u8>) {
        // What happened is kept beside the value, for the test to read.
        drop(bucket.set(&format!("seen {key}"), &value));
    }
}
