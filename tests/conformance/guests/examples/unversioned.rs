//! `wasi:keyvalue` without a version (2023-11 to 2024-01).

wit_bindgen::generate!({
    path: ["../../../wit/io", "../../../wit/unversioned"],
    world: "wasi:keyvalue/imports",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
});

use kvfuse_conformance_guests::check::{ok, refused, same};
use kvfuse_conformance_guests::{Case, Subject, Verdict, classic, common};
use wasi::keyvalue::{atomic, batch, cache, readwrite, types};

kvfuse_conformance_guests::classic! {
    single: readwrite,
    batch: batch,
    keys: |bucket| Ok(batch::get_keys(bucket)),
    found: Some,
    consume: |value: types::IncomingValue| value.incoming_value_consume_sync(),
    consume_stream: |value: types::IncomingValue| value.incoming_value_consume_async(),
    size: |value: &types::IncomingValue| Ok(value.size()),
}

/// What is different in this generation.
const OWN: &[Case] = &[
    ("get of a key that is not there is an error", get_missing),
    ("the trace of a missing key is `Key not found`, as Golem has it", trace_of_missing),
    ("get-many with a key that is not there is an error", get_many_missing),
    ("delete of a key that is not there changes nothing, be it an error or not", delete_missing),
];

kvfuse_conformance_guests::guest! {
    classic::opener::<Generation>,
    &[common::KEYS, common::LISTING, common::COUNTERS, common::BATCHES],
    OWN,
    classic::cases::<Generation>(),
}

fn get_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    refused("get", bucket.get("missing")).map(drop)
}

fn trace_of_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    same("the trace", refused("get", bucket.get("missing"))?, "Key not found".to_string())
}

fn get_many_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    ok("set", bucket.set("key", b"value"))?;
    refused("get-many", bucket.get_many(&["key", "missing"])).map(drop)
}

fn delete_missing(subject: &Subject) -> Verdict {
    let bucket = subject.open()?;
    ok("set", bucket.set("neighbour", b"value"))?;
    drop(bucket.delete("missing"));
    same("get of its neighbour", ok("get", bucket.get("neighbour"))?, Some(b"value".to_vec()))?;
    same("exists", ok("exists", bucket.exists("missing"))?, false)
}
