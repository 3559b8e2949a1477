//! wasi:keyvalue over an etcd cluster.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_etcd: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1);
