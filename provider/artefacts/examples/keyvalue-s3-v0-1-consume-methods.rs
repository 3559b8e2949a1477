//! wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with 0.1.0 (values consumed by methods).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_s3: draft2, draft, wrpc, draft_eventual, unversioned, spin2, spin1; v0_1_consume_methods);
