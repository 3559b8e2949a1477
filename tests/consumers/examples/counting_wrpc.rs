//! Counts the calls of `batch` in wrpc:keyvalue@0.2.0-draft.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import wrpc:keyvalue/batch@0.2.0-draft;
            export wrpc:keyvalue/batch@0.2.0-draft;
            export kvfuse:counting/calls;
        }
    ",
    generate_all,
    path: ["wit", "../../wit/wrpc"],
});

kvfuse_consumers::counting_batch!(wrpc, bucket: String, pair: Option<(String, Vec<u8>)>);
