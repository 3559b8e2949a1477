//! A command for wasmCloud 2 that has the store three times: under two labels, and without one. Their buckets are of one type, so
//! the counters and the batches, which are there once, take all of them.
//!
//! `add BUCKET DELTA` adds to the counter `count` in the bucket of that name through each, and prints the sums; `keys BUCKET` prints
//! the keys that each of them has.

mod common;

wit_bindgen::generate!({
    inline: "
        package kvfuse:labels;
        world labels {
            import sessions: wasmcloud:keyvalue/store@0.2.0;
            import carts: wasmcloud:keyvalue/store@0.2.0;
            import wasmcloud:keyvalue/store@0.2.0;
            import wasmcloud:keyvalue/types@0.2.0;
            import wasmcloud:keyvalue/atomics@0.2.0;
            import wasmcloud:keyvalue/batch@0.2.0;
        }
    ",
    generate_all,
    path: "../../wit/wasmcloud_0_2",
});

use wasmcloud::keyvalue::store as plain;
use wasmcloud::keyvalue::types::{Bucket, Error};
use wasmcloud::keyvalue::{atomics, batch};

struct Labels;
wasip3::cli::command::export!(Labels);

/// What a bucket holds after this command, in words.
async fn after(bucket: Result<Bucket, Error>, command: &str, word: &str) -> Result<String, Error> {
    let bucket = bucket?;
    if command == "add" {
        batch::set_many(&bucket, vec![(word.to_string(), Vec::new())]).await?;
        let sum = atomics::increment(&bucket, "count".into(), word.parse().unwrap_or(0)).await?;
        return Ok(sum.to_string());
    }
    let mut keys = bucket.list_keys(None, None).await?.keys;
    keys.sort();
    Ok(keys.join(" "))
}

impl wasip3::exports::cli::run::Guest for Labels {
    async fn run() -> Result<(), ()> {
        let arguments = wasip3::cli::environment::get_arguments();
        let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
        let (command, bucket, word) = (argument(1), argument(2), argument(3));
        // Both are on their way at the same time.
        let opened = futures_util::future::join(sessions::open(bucket.into()), carts::open(bucket.into())).await;
        let opened = [("sessions", opened.0), ("carts", opened.1), ("plain", plain::open(bucket.into()).await)];
        let mut text = String::new();
        for (name, bucket) in opened {
            let said = after(bucket, command, word).await.unwrap_or_else(|error| format!("error: {error:?}"));
            text.push_str(&format!("{name}: {said}\n"));
        }
        common::say(text).await
    }
}
