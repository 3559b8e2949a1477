//! wasi:keyvalue over append-only files in a directory.
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(kvfuse_files: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1);
