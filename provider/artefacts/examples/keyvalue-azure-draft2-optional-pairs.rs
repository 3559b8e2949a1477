//! wasi:keyvalue over a table in Azure Tables, with 0.2.0-draft2 (get-many gives optional pairs).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_azure: draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1; draft2_optional_pairs);
