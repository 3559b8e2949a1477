//! wasi:keyvalue over a Redis or Valkey server over TLS, with 0.2.0-draft2 (get-many gives optional pairs).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_redis_tls: draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1; draft2_optional_pairs);
