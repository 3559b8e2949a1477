//! `wasmcloud:keyvalue@0.2.0`.

wit_bindgen::generate!({ path: "../../../wit/wasmcloud_0_2", world: "wasmcloud:keyvalue/imports@0.2.0" });

use wasmcloud::keyvalue::{atomics, batch, cas, store, types};

kvfuse_conformance_guests::wasmcloud! { types: types }
