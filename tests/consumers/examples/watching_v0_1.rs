//! The same for `handle-watch` of 0.1.0. There is nothing to do with a borrowed value but to ask for its size.

wit_bindgen::generate!({
    inline: "
        package kvfuse:watching;
        world watching {
            import wasi:keyvalue/eventual@0.1.0;
            import wasi:keyvalue/atomic@0.1.0;
            export wasi:keyvalue/handle-watch@0.1.0;
        }
    ",
    generate_all,
    path: ["../../wit/io", "../../wit/v0_1"],
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
});

use exports::wasi::keyvalue::handle_watch;
use wasi::keyvalue::types::{Bucket, IncomingValue, OutgoingValue};
use wasi::keyvalue::{atomic, eventual};

struct Watching;
export!(Watching);

fn note(what: &str) {
    let seen = Bucket::open_bucket("seen").ok().unwrap();
    let number = atomic::increment(&seen, "count", 1).ok().unwrap();
    let value = OutgoingValue::new_outgoing_value();
    value.outgoing_value_write_body_sync(what.as_bytes()).ok().unwrap();
    eventual::set(&seen, &format!("{number:06}"), &value).ok().unwrap();
}

impl handle_watch::Guest for Watching {
    fn on_set(_: Bucket, key: String, value: &IncomingValue) {
        note(&format!("set {key} of {}", value.incoming_value_size().ok().unwrap()));
    }

    fn on_delete(_: Bucket, key: String) {
        note(&format!("delete {key}"));
    }
}
