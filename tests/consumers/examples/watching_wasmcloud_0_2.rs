//! A consumer of changes for wasmCloud 2: `wasmcloud:keyvalue/watcher@0.2.0`. What it is called for is kept in the bucket
//! `seen`, in order.

wit_bindgen::generate!({
    inline: "
        package kvfuse:watching;
        world watching {
            import wasmcloud:keyvalue/store@0.2.0;
            import wasmcloud:keyvalue/atomics@0.2.0;
            export wasmcloud:keyvalue/watcher@0.2.0;
        }
    ",
    generate_all,
    path: "../../wit/wasmcloud_0_2",
});

use exports::wasmcloud::keyvalue::watcher;
use wasmcloud::keyvalue::atomics::increment;
use wasmcloud::keyvalue::store;
use wasmcloud::keyvalue::types::Bucket;

kvfuse_consumers::watching_wasmcloud!();
