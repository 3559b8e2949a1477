//! Counts the calls of `batch` in 0.2.0-draft2 with optional pairs.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import wasi:keyvalue/batch@0.2.0-draft2;
            export wasi:keyvalue/batch@0.2.0-draft2;
            export kvfuse:counting/calls;
        }
    ",
    generate_all,
    path: ["wit", "../../wit/draft2_optional_pairs"],
});

kvfuse_consumers::counting_batch!(wasi, bucket: &store::Bucket, pair: Option<(String, Vec<u8>)>);
