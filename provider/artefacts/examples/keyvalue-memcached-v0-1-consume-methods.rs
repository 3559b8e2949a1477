//! wasi:keyvalue over a Memcached server, or several, with 0.1.0 (values consumed by methods).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_memcached: draft2, draft, wrpc, draft_eventual, unversioned, spin2, spin1; v0_1_consume_methods);
