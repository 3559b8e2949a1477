//! Counts the calls of `atomic` in the unversioned wasi:keyvalue.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import wasi:keyvalue/atomic;
            export wasi:keyvalue/atomic;
            export kvfuse:counting/calls;
        }
    ",
    generate_all,
    path: ["wit", "../../wit/io", "../../wit/unversioned"],
});

kvfuse_consumers::counting_atomic!();
