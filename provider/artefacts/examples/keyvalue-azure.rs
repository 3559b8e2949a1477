//! wasi:keyvalue over a table in Azure Tables.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_azure: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1);
