//! The file provider: every generation of the interface over append-only files in a granted directory.

kvfuse_facade::export!(kvfuse_file::File: draft2, draft, draft_eventual, wrpc, v0_1, unversioned);
