//! wasi:keyvalue over a Memcached server, or several, with 0.2.0-draft2 (get-many gives optional pairs).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_memcached: draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1; draft2_optional_pairs);
