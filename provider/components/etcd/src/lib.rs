//! The etcd provider: every generation of the interface in etcd, over wasi:http.

kvfuse_facade::export!(kvfuse_etcd_provider::Etcd: draft2, draft, draft_eventual, wrpc, v0_1, unversioned);
