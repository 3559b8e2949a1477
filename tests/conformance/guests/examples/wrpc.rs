//! `wrpc:keyvalue@0.2.0-draft`: without handles; each call names its bucket, and opening one does nothing.

wit_bindgen::generate!({ path: "../../../wit/wrpc", world: "wrpc:keyvalue/imports@0.2.0-draft" });

use kvfuse_conformance_guests::{common, drafts};
use wrpc::keyvalue::{atomics, batch, store};

kvfuse_conformance_guests::drafts! {
    bucket: String,
    open: |name: &str| Ok(name.to_string()),
    single: store,
    cursor: drafts::number,
    strange: "18446744073709551615",
}

kvfuse_conformance_guests::guest! { open, common::ALL, PAIRS, CURSORS }
