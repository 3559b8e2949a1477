//! wasi:keyvalue over a Memcached server, or several.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_memcached: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1);
