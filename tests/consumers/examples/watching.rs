//! A consumer of changes: `wasi:keyvalue/watcher`. What it is called for is kept in the bucket `seen`, in order.

wit_bindgen::generate!({
    inline: "
        package kvfuse:watching;
        world watching {
            import wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/atomics@0.2.0-draft2;
            export wasi:keyvalue/watcher@0.2.0-draft2;
        }
    ",
    generate_all,
    path: "../../wit/draft2",
});

use exports::wasi::keyvalue::watcher;
use wasi::keyvalue::atomics::increment;
use wasi::keyvalue::store::{self, Bucket};

struct Watching;
export!(Watching);

fn note(what: &str) {
    let seen = store::open("seen").unwrap();
    let number = increment(&seen, "count", 1).unwrap();
    seen.set(&format!("{number:06}"), what.as_bytes()).unwrap();
}

impl watcher::Guest for Watching {
    fn on_set(bucket: Bucket, key: String, value: Vec<u8>) {
        let text = String::from_utf8_lossy(&value).into_owned();
        note(&format!("set {key} {text}"));
        // One that fails until it is helped.
        if text == "trap" && !store::open("control").unwrap().exists("helped").unwrap() {
            panic!("this consumer was told to fail");
        }
        assert!(bucket.exists(&key).is_ok(), "the bucket is of the store");
    }

    fn on_delete(_: Bucket, key: String) {
        note(&format!("delete {key}"));
    }
}
