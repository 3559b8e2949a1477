//! A consumer of changes for wasmCloud 2: `wasmcloud:keyvalue/watcher@0.1.0`. What it is called for is kept in the bucket
//! `seen`, in order.

wit_bindgen::generate!({
    inline: "
        package kvfuse:watching;
        world watching {
            import wasmcloud:keyvalue/store@0.1.0;
            import wasmcloud:keyvalue/atomics@0.1.0;
            export wasmcloud:keyvalue/watcher@0.1.0;
        }
    ",
    generate_all,
    path: "../../wit/wasmcloud_0_1",
});

use exports::wasmcloud::keyvalue::watcher;
use wasmcloud::keyvalue::atomics::increment;
use wasmcloud::keyvalue::store::{self, Bucket};

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
