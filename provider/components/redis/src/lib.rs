//! The Redis provider: every generation of the interface in Redis or Valkey, over wasi:sockets.

kvfuse_facade::export!(kvfuse_redis_provider::Redis: draft2, draft, draft_eventual, wrpc, v0_1, unversioned);
