//! Calls `wasmcloud:keyvalue/watcher@0.1.0`.

wit_bindgen::generate!({
    inline: "
        package kvfuse:runner;
        world runner {
            import kvfuse:provider/subscription@0.1.0;
            import wasmcloud:keyvalue/store@0.1.0;
            import wasmcloud:keyvalue/watcher@0.1.0;
            export wasi:cli/run@0.3.0;
        }
        package wasi:cli@0.3.0 {
            interface run { run: async func() -> result; }
        }
    ",
    path: ["../../wit/provider", "../../wit/wasmcloud_0_1"],
    generate_all,
});

use kvfuse::provider::subscription;
use kvfuse::provider::watch::Change;
use wasmcloud::keyvalue::store::{self, Bucket, Error};
use wasmcloud::keyvalue::watcher;

kvfuse_runner::asynchronous_runner!(open: open, set: watcher::on_set, delete: watcher::on_delete);

async fn open(name: &str) -> Result<Bucket, String> {
    store::open(name.to_string()).await.map_err(|error| match error {
        Error::NoSuchStore => format!("there is no bucket {name:?}"),
        Error::AccessDenied => format!("access to the bucket {name:?} is denied"),
        Error::Other(text) => text,
        other => format!("the bucket {name:?} cannot be opened: {other:?}"),
    })
}
