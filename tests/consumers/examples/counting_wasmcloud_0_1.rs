//! Counts the calls of `batch` in wasmcloud:keyvalue@0.1.0. It waits in each: its own calls are lifted and lowered synchronously.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import wasmcloud:keyvalue/batch@0.1.0;
            export wasmcloud:keyvalue/batch@0.1.0;
            export kvfuse:counting/calls;
        }
    ",
    async: false,
    generate_all,
    path: ["wit", "../../wit/wasmcloud_0_1"],
});

kvfuse_consumers::counting_batch!(wasmcloud, bucket: &store::Bucket, pair: Option<(String, Vec<u8>)>);
