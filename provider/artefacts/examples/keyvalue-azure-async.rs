//! wasi:keyvalue over a table in Azure Tables, with the asynchronous interfaces.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(waiting kvfuse_azure: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1; waiting wasmcloud_0_2, wasmcloud_0_1, spin3);
