//! The file provider for consumers built against `wasi:keyvalue@0.2.0-draft2` as it was from 2024-09 until 2026-08. In
//! nothing else it differs from `keyvalue.wasm`.

kvfuse_facade::export!(kvfuse_file::File: draft, draft_eventual, wrpc, v0_1, unversioned);
kvfuse_facade::export!(kvfuse_file::File: draft2_2024 of kvfuse_facade_earlier);
