//! wasi:keyvalue over a bucket in S3, or in what speaks its protocol.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_s3: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1);
