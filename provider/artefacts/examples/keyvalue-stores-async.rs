//! wasi:keyvalue over several stores, by the bucket's name, with the asynchronous interfaces.
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
    draft2, draft, wrpc, draft_eventual, v0_1, unversioned, wasmcloud_0_2, wasmcloud_0_1, spin3, spin2, spin1
);
