//! Counts the calls of `atomic` in 0.1.0 with values consumed by methods.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import wasi:keyvalue/atomic@0.1.0;
            export wasi:keyvalue/atomic@0.1.0;
            export kvfuse:counting/calls;
        }
    ",
    generate_all,
    path: ["wit", "../../wit/io", "../../wit/v0_1_consume_methods"],
});

kvfuse_consumers::counting_atomic!();
