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

kvfuse_runner::wasmcloud_runner!();
