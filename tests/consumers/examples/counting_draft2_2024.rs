//! Counts the calls of `batch` in 0.2.0-draft2 as it was until 2026-08.

wit_bindgen::generate!({
    inline: "
        package kvfuse:counting;
        interface calls {
            total: func() -> u64;
        }
        world middleware {
            import wasi:keyvalue/batch@0.2.0-draft2;
            export wasi:keyvalue/batch@0.2.0-draft2;
            export calls;
        }
    ",
    generate_all,
    path: ["../../wit/draft2_2024"],
});

use wasi::keyvalue::batch;
use wasi::keyvalue::store::{Bucket, Error};

struct Counting;
export!(Counting);

impl exports::kvfuse::counting::calls::Guest for Counting {
    fn total() -> u64 {
        kvfuse_consumers::total()
    }
}

impl exports::wasi::keyvalue::batch::Guest for Counting {
    fn get_many(bucket: &Bucket, keys: Vec<String>) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        kvfuse_consumers::count();
        batch::get_many(bucket, &keys)
    }

    fn set_many(bucket: &Bucket, key_values: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        kvfuse_consumers::count();
        batch::set_many(bucket, &key_values)
    }

    fn delete_many(bucket: &Bucket, keys: Vec<String>) -> Result<(), Error> {
        kvfuse_consumers::count();
        batch::delete_many(bucket, &keys)
    }
}
