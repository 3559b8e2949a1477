//! Calls `wasi:keyvalue/handle-watch@0.1.0`. Its values are resources, with the store's value at the moment of the
//! call.

wit_bindgen::generate!({
    inline: "
        package kvfuse:runner;
        world runner {
            import kvfuse:provider/subscription@0.1.0;
            import wasi:keyvalue/eventual@0.1.0;
            import wasi:keyvalue/handle-watch@0.1.0;
            export wasi:cli/run@0.2.0;
        }
        package wasi:cli@0.2.0 {
            interface run { run: func() -> result; }
        }
    ",
    path: ["../../wit/provider", "../../wit/io", "../../wit/v0_1"],
    generate_all,
});

use kvfuse::provider::subscription;
use kvfuse::provider::watch::Change;
use wasi::keyvalue::types::Bucket;
use wasi::keyvalue::{eventual, handle_watch};

kvfuse_runner::runner!(open: open, set: set, delete: handle_watch::on_delete);

fn open(name: &str) -> Result<Bucket, String> {
    Bucket::open_bucket(name).map_err(|error| error.trace())
}

fn set(name: &str, key: &str, _: &[u8]) -> Result<(), String> {
    let bucket = open(name)?;
    // If the key has been deleted since, that change is yet to come.
    if let Some(value) = eventual::get(&bucket, key).map_err(|error| error.trace())? {
        handle_watch::on_set(bucket, key, &value);
    }
    Ok(())
}
