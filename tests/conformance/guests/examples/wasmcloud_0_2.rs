//! `wasmcloud:keyvalue@0.2.0`, with calls that are lowered asynchronously, as most consumers have them.

wit_bindgen::generate!({ path: "../../../wit/wasmcloud_0_2", world: "wasmcloud:keyvalue/imports@0.2.0" });

use wasmcloud::keyvalue::{atomics, batch, cas, store, types};
use wit_bindgen::block_on;

kvfuse_conformance_guests::wasmcloud! {
    types: types,
    wait: block_on,
    together: |calls| block_on(kvfuse_conformance_guests::wasmcloud::all(calls)),
    pause: block_on(wasip3::clocks::monotonic_clock::wait_for(20_000_000))
}
