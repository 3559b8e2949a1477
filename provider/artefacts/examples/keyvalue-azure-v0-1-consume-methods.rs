//! wasi:keyvalue over a table in Azure Tables, with 0.1.0 (values consumed by methods).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_azure: draft2, draft, wrpc, draft_eventual, unversioned, spin2, spin1; v0_1_consume_methods);
