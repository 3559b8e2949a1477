//! `wasi:keyvalue@0.2.0-draft2`, with a `get-many` that gives every key with an optional value.

wit_bindgen::generate!({ path: "../../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use wasi::keyvalue::{atomics, batch, store};

kvfuse_conformance_guests::draft2!();
