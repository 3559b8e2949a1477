//! wasi:keyvalue over several stores, by the bucket's name, with 0.2.0-draft2 (get-many gives optional pairs).
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
    draft, wrpc, draft_eventual, v0_1, unversioned, spin2, spin1; draft2_optional_pairs
);
