//! wasi:keyvalue over an etcd cluster, with the asynchronous interfaces.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_etcd: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, wasmcloud_0_2, wasmcloud_0_1, spin3, spin2, spin1);
