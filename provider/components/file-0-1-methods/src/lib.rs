//! The file provider for consumers built against `wasi:keyvalue@0.1.0` as it was until 2024-02-12, when values were
//! consumed by methods. In nothing else it differs from `keyvalue.wasm`.

kvfuse_facade::export!(kvfuse_file::File: draft2, draft, draft_eventual, wrpc, unversioned);
kvfuse_facade::export!(kvfuse_file::File: v0_1_methods of kvfuse_facade_earlier);
