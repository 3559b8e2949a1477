//! Counts the calls of `atomic` in 0.1.0 as it was until 2024-02-12.

wit_bindgen::generate!({
    inline: "
        package kvfuse:counting;
        interface calls {
            total: func() -> u64;
        }
        world middleware {
            import wasi:keyvalue/atomic@0.1.0;
            export wasi:keyvalue/atomic@0.1.0;
            export calls;
        }
    ",
    generate_all,
    path: ["../../wit/io", "../../wit/v0_1_methods"],
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
});

use wasi::keyvalue::atomic;
use wasi::keyvalue::types::{Bucket, Error};

struct Counting;
export!(Counting);

impl exports::kvfuse::counting::calls::Guest for Counting {
    fn total() -> u64 {
        kvfuse_consumers::total()
    }
}

impl exports::wasi::keyvalue::atomic::Guest for Counting {
    fn increment(bucket: &Bucket, key: String, delta: u64) -> Result<u64, Error> {
        kvfuse_consumers::count();
        atomic::increment(bucket, &key, delta)
    }

    fn compare_and_swap(bucket: &Bucket, key: String, old: u64, new: u64) -> Result<bool, Error> {
        kvfuse_consumers::count();
        atomic::compare_and_swap(bucket, &key, old, new)
    }
}
