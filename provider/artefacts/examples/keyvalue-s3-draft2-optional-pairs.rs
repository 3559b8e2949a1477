//! wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with 0.2.0-draft2 (get-many gives optional pairs).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_s3: draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1; draft2_optional_pairs);
