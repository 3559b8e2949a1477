//! `wasmcloud:keyvalue@0.1.0`.

wit_bindgen::generate!({ path: "../../../wit/wasmcloud_0_1", world: "wasmcloud:keyvalue/imports@0.1.0" });

use wasmcloud::keyvalue::{atomics, batch, cas, store};

kvfuse_conformance_guests::wasmcloud! { types: store }
