//! wasi:keyvalue over a table in Azure Tables, with the asynchronous interfaces.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_azure: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, wasmcloud_0_2, wasmcloud_0_1, spin3, spin2, spin1);
