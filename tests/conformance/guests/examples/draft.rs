//! `wasi:keyvalue@0.2.0-draft`.

wit_bindgen::generate!({ path: "../../../wit/draft", world: "wasi:keyvalue/imports@0.2.0-draft" });

use kvfuse_conformance_guests::{common, drafts};
use wasi::keyvalue::store::{self, Bucket};
use wasi::keyvalue::{atomics, batch};

kvfuse_conformance_guests::drafts! {
    bucket: Bucket,
    open: store::open,
    single: Bucket,
    cursor: drafts::number,
    strange: "18446744073709551615",
}

kvfuse_conformance_guests::guest! { open, common::ALL, PAIRS, CURSORS }
