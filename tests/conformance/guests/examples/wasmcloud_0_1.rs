//! `wasmcloud:keyvalue@0.1.0`, with calls that are lowered synchronously: nothing else of this task runs meanwhile.

wit_bindgen::generate!({
    path: "../../../wit/wasmcloud_0_1",
    world: "wasmcloud:keyvalue/imports@0.1.0",
    async: false,
});

use wasmcloud::keyvalue::{atomics, batch, cas, store};

kvfuse_conformance_guests::wasmcloud! {
    types: store,
    wait: kvfuse_conformance_guests::wasmcloud::at_once,
    together: kvfuse_conformance_guests::wasmcloud::at_once,
    pause: wit_bindgen::block_on(wasip3::clocks::monotonic_clock::wait_for(20_000_000))
}
