//! The key-value service of Golem's tutorial, in the style of 2024-01. `cargo_component_bindings::generate!()` only
//! includes a file that the build has put into the target folder; the crate is no longer developed, so this is an
//! example of what exists and not of what to write.

cargo_component_bindings::generate!();

use bindings::exports::golem::examples::api::Guest;
use bindings::wasi::keyvalue::readwrite;
use bindings::wasi::keyvalue::types::{Bucket, Error, OutgoingValue};

struct Component;

impl Guest for Component {
    fn get(bucket: String, key: String) -> Option<Vec<u8>> {
        let bucket = Bucket::open_bucket(&bucket).expect("Failed to open bucket");
        match readwrite::get(&bucket, &key) {
            Ok(value) => Some(value.incoming_value_consume_sync().expect("Failed to consume value")),
            Err(error) if is_missing(&error) => None,
            Err(error) => panic!("Failed to get value: {}", error.trace()),
        }
    }

    fn set(bucket: String, key: String, value: Vec<u8>) {
        let bucket = Bucket::open_bucket(&bucket).expect("Failed to open bucket");
        let outgoing = OutgoingValue::new_outgoing_value();
        outgoing.outgoing_value_write_body_sync(&value).expect("Failed to write value");
        readwrite::set(&bucket, &key, &outgoing).expect("Failed to set key-value pair");
    }
}

fn is_missing(error: &Error) -> bool {
    error.trace() == "Key not found"
}
