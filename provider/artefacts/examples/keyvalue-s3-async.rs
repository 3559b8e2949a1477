//! wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with the asynchronous interfaces.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(waiting kvfuse_s3: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1; waiting wasmcloud_0_2, wasmcloud_0_1, spin3);
