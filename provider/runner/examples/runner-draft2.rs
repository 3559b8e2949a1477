//! Calls `wasi:keyvalue/watcher@0.2.0-draft2`.

wit_bindgen::generate!({
    inline: "
        package kvfuse:runner;
        world runner {
            import kvfuse:provider/subscription@0.1.0;
            import wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/watcher@0.2.0-draft2;
            export wasi:cli/run@0.2.0;
        }
        package wasi:cli@0.2.0 {
            interface run { run: func() -> result; }
        }
    ",
    path: ["../../wit/provider", "../../wit/draft2"],
    generate_all,
});

use kvfuse::provider::subscription;
use kvfuse::provider::watch::Change;
use wasi::keyvalue::store::{self, Bucket, Error};
use wasi::keyvalue::watcher;

kvfuse_runner::runner!(open: open, set: set, delete: watcher::on_delete);

fn open(name: &str) -> Result<Bucket, String> {
    store::open(name).map_err(|error| match error {
        Error::NoSuchStore => format!("there is no bucket {name:?}"),
        Error::AccessDenied => format!("access to the bucket {name:?} is denied"),
        Error::Other(text) => text,
    })
}

fn set(name: &str, key: &str, value: &[u8]) -> Result<(), String> {
    watcher::on_set(open(name)?, key, value);
    Ok(())
}
