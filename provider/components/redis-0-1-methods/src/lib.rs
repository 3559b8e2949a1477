//! The Redis provider for consumers built against `wasi:keyvalue@0.1.0` as it was until 2024-02-12. In nothing else
//! it differs from `keyvalue_redis.wasm`.

kvfuse_facade::export!(kvfuse_redis_provider::Redis: draft2, draft, draft_eventual, wrpc, unversioned);
kvfuse_facade::export!(kvfuse_redis_provider::Redis: v0_1_methods of kvfuse_facade_earlier);
