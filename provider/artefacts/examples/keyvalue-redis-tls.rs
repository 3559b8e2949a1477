//! wasi:keyvalue over a Redis or Valkey server over TLS.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_redis_tls: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1);
