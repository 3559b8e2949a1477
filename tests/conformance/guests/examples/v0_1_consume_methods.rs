//! `wasi:keyvalue@0.1.0` in the shape in which a value is consumed by methods.

wit_bindgen::generate!({
    path: ["../../../wit/io", "../../../wit/v0_1_consume_methods"],
    world: "wasi:keyvalue/imports@0.1.0",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
});

use wasi::keyvalue::{atomic, cache, eventual, eventual_batch, types};

kvfuse_conformance_guests::eventual! {
    consume: |value: types::IncomingValue| value.incoming_value_consume_sync(),
    consume_stream: |value: types::IncomingValue| value.incoming_value_consume_async(),
}
