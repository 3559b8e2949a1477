//! `wasi:keyvalue@0.2.0-draft2`, with the `get-many` it has had since 2026-08.

wit_bindgen::generate!({ path: "../../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use wasi::keyvalue::{atomics, batch, store};

kvfuse_conformance_guests::draft2!();
