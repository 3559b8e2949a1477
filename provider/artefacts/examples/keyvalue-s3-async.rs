//! wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with the asynchronous interfaces.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_s3: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, wasmcloud_0_2, wasmcloud_0_1, spin3, spin2, spin1);
