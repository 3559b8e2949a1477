//! The same for `handle-watch` without a version, whose values are consumed by methods.

wit_bindgen::generate!({
    inline: "
        package kvfuse:watching;
        world watching {
            import wasi:keyvalue/readwrite;
            import wasi:keyvalue/atomic;
            export wasi:keyvalue/handle-watch;
        }
    ",
    generate_all,
    path: ["../../wit/io", "../../wit/unversioned"],
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
});

use exports::wasi::keyvalue::handle_watch;
use wasi::keyvalue::types::{Bucket, IncomingValue, OutgoingValue};
use wasi::keyvalue::{atomic, readwrite};

struct Watching;
export!(Watching);

fn note(what: &str) {
    let seen = Bucket::open_bucket("seen").ok().unwrap();
    let number = atomic::increment(&seen, "count", 1).ok().unwrap();
    let value = OutgoingValue::new_outgoing_value();
    value.outgoing_value_write_body_sync(what.as_bytes()).ok().unwrap();
    readwrite::set(&seen, &format!("{number:06}"), &value).ok().unwrap();
}

impl handle_watch::Guest for Watching {
    fn on_set(_: Bucket, key: String, value: &IncomingValue) {
        let bytes = value.incoming_value_consume_sync().ok().unwrap();
        note(&format!("set {key} {}", String::from_utf8_lossy(&bytes)));
    }

    fn on_delete(_: Bucket, key: String) {
        note(&format!("delete {key}"));
    }
}
