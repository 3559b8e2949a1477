//! Counts the calls of `atomic` in 0.2.0-draft as it was in 2024-02.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import wasi:keyvalue/atomic@0.2.0-draft;
            export wasi:keyvalue/atomic@0.2.0-draft;
            export kvfuse:counting/calls;
        }
    ",
    generate_all,
    path: ["wit", "../../wit/io", "../../wit/draft_eventual"],
});

kvfuse_consumers::counting_atomic!();
