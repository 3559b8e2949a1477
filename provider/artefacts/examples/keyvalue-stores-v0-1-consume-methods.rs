//! wasi:keyvalue over several stores, by the bucket's name, with 0.1.0 (values consumed by methods).
//!
//! Written by `make generate`.

kvfuse_artefacts::artefact!(
    "files" = kvfuse_files,
    "redis" = kvfuse_redis,
    "memcached" = kvfuse_memcached,
    "etcd" = kvfuse_etcd,
    "dynamodb" = kvfuse_dynamodb,
    "azure" = kvfuse_azure,
    "s3" = kvfuse_s3:
    draft2, draft, wrpc, draft_eventual, unversioned, spin2, spin1; v0_1_consume_methods
);
