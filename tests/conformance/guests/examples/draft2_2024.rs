//! `wasi:keyvalue@0.2.0-draft2` as it was from 2024-09 until 2026-08, with the older `get-many`.

wit_bindgen::generate!({ path: "../../../wit/draft2_2024", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use wasi::keyvalue::{atomics, batch, store};

kvfuse_conformance_guests::draft2!();
