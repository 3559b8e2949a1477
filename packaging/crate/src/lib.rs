#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

/// A component in the binary format.
#[derive(Clone, Copy)]
pub struct Component {
    /// Its name, as everywhere that it is published: `keyvalue-redis.wasm`.
    pub file: &'static str,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

impl std::fmt::Debug for Component {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} ({} bytes)", self.file, self.bytes.len())
    }
}

/// The component of that name.
pub fn component(file: &str) -> Option<&'static Component> {
    ALL.iter().copied().find(|component| component.file == file)
}

// Written by `make generate` from provider/table.
/// wasi:keyvalue over append-only files in a directory.
pub static KEYVALUE: Component = Component {
    file: "keyvalue.wasm",
    about: "wasi:keyvalue over append-only files in a directory",
    bytes: include_bytes!("../embedded/keyvalue.wasm"),
};

/// wasi:keyvalue over append-only files in a directory, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over append-only files in a directory, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over append-only files in a directory, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over append-only files in a directory, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over append-only files in a directory, with the asynchronous interfaces.
pub static KEYVALUE_ASYNC: Component = Component {
    file: "keyvalue-async.wasm",
    about: "wasi:keyvalue over append-only files in a directory, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-async.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server.
pub static KEYVALUE_REDIS: Component = Component {
    file: "keyvalue-redis.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server",
    bytes: include_bytes!("../embedded/keyvalue-redis.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_REDIS_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-redis-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-redis-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_REDIS_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-redis-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-redis-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server, with the asynchronous interfaces.
pub static KEYVALUE_REDIS_ASYNC: Component = Component {
    file: "keyvalue-redis-async.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-redis-async.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server over TLS.
pub static KEYVALUE_REDIS_TLS: Component = Component {
    file: "keyvalue-redis-tls.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server over TLS",
    bytes: include_bytes!("../embedded/keyvalue-redis-tls.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server over TLS, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_REDIS_TLS_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-redis-tls-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server over TLS, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-redis-tls-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server over TLS, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_REDIS_TLS_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-redis-tls-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server over TLS, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-redis-tls-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over a Redis or Valkey server over TLS, with the asynchronous interfaces.
pub static KEYVALUE_REDIS_TLS_ASYNC: Component = Component {
    file: "keyvalue-redis-tls-async.wasm",
    about: "wasi:keyvalue over a Redis or Valkey server over TLS, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-redis-tls-async.wasm"),
};

/// wasi:keyvalue over a Memcached server, or several.
pub static KEYVALUE_MEMCACHED: Component = Component {
    file: "keyvalue-memcached.wasm",
    about: "wasi:keyvalue over a Memcached server, or several",
    bytes: include_bytes!("../embedded/keyvalue-memcached.wasm"),
};

/// wasi:keyvalue over a Memcached server, or several, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_MEMCACHED_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-memcached-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over a Memcached server, or several, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-memcached-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over a Memcached server, or several, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_MEMCACHED_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-memcached-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over a Memcached server, or several, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-memcached-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over a Memcached server, or several, with the asynchronous interfaces.
pub static KEYVALUE_MEMCACHED_ASYNC: Component = Component {
    file: "keyvalue-memcached-async.wasm",
    about: "wasi:keyvalue over a Memcached server, or several, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-memcached-async.wasm"),
};

/// wasi:keyvalue over an etcd cluster.
pub static KEYVALUE_ETCD: Component = Component {
    file: "keyvalue-etcd.wasm",
    about: "wasi:keyvalue over an etcd cluster",
    bytes: include_bytes!("../embedded/keyvalue-etcd.wasm"),
};

/// wasi:keyvalue over an etcd cluster, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_ETCD_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-etcd-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over an etcd cluster, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-etcd-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over an etcd cluster, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_ETCD_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-etcd-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over an etcd cluster, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-etcd-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over an etcd cluster, with the asynchronous interfaces.
pub static KEYVALUE_ETCD_ASYNC: Component = Component {
    file: "keyvalue-etcd-async.wasm",
    about: "wasi:keyvalue over an etcd cluster, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-etcd-async.wasm"),
};

/// wasi:keyvalue over a table in DynamoDB.
pub static KEYVALUE_DYNAMODB: Component = Component {
    file: "keyvalue-dynamodb.wasm",
    about: "wasi:keyvalue over a table in DynamoDB",
    bytes: include_bytes!("../embedded/keyvalue-dynamodb.wasm"),
};

/// wasi:keyvalue over a table in DynamoDB, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_DYNAMODB_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-dynamodb-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over a table in DynamoDB, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-dynamodb-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over a table in DynamoDB, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_DYNAMODB_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-dynamodb-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over a table in DynamoDB, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-dynamodb-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over a table in DynamoDB, with the asynchronous interfaces.
pub static KEYVALUE_DYNAMODB_ASYNC: Component = Component {
    file: "keyvalue-dynamodb-async.wasm",
    about: "wasi:keyvalue over a table in DynamoDB, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-dynamodb-async.wasm"),
};

/// wasi:keyvalue over a table in Azure Tables.
pub static KEYVALUE_AZURE: Component = Component {
    file: "keyvalue-azure.wasm",
    about: "wasi:keyvalue over a table in Azure Tables",
    bytes: include_bytes!("../embedded/keyvalue-azure.wasm"),
};

/// wasi:keyvalue over a table in Azure Tables, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_AZURE_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-azure-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over a table in Azure Tables, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-azure-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over a table in Azure Tables, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_AZURE_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-azure-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over a table in Azure Tables, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-azure-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over a table in Azure Tables, with the asynchronous interfaces.
pub static KEYVALUE_AZURE_ASYNC: Component = Component {
    file: "keyvalue-azure-async.wasm",
    about: "wasi:keyvalue over a table in Azure Tables, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-azure-async.wasm"),
};

/// wasi:keyvalue over a bucket in S3, or in what speaks its protocol.
pub static KEYVALUE_S3: Component = Component {
    file: "keyvalue-s3.wasm",
    about: "wasi:keyvalue over a bucket in S3, or in what speaks its protocol",
    bytes: include_bytes!("../embedded/keyvalue-s3.wasm"),
};

/// wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_S3_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-s3-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-s3-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_S3_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-s3-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-s3-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with the asynchronous interfaces.
pub static KEYVALUE_S3_ASYNC: Component = Component {
    file: "keyvalue-s3-async.wasm",
    about: "wasi:keyvalue over a bucket in S3, or in what speaks its protocol, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-s3-async.wasm"),
};

/// wasi:keyvalue over several stores, by the bucket's name.
pub static KEYVALUE_STORES: Component = Component {
    file: "keyvalue-stores.wasm",
    about: "wasi:keyvalue over several stores, by the bucket's name",
    bytes: include_bytes!("../embedded/keyvalue-stores.wasm"),
};

/// wasi:keyvalue over several stores, by the bucket's name, with 0.2.0-draft2 (get-many gives optional pairs).
pub static KEYVALUE_STORES_DRAFT2_OPTIONAL_PAIRS: Component = Component {
    file: "keyvalue-stores-draft2-optional-pairs.wasm",
    about: "wasi:keyvalue over several stores, by the bucket's name, with 0.2.0-draft2 (get-many gives optional pairs)",
    bytes: include_bytes!("../embedded/keyvalue-stores-draft2-optional-pairs.wasm"),
};

/// wasi:keyvalue over several stores, by the bucket's name, with 0.1.0 (values consumed by methods).
pub static KEYVALUE_STORES_V0_1_CONSUME_METHODS: Component = Component {
    file: "keyvalue-stores-v0-1-consume-methods.wasm",
    about: "wasi:keyvalue over several stores, by the bucket's name, with 0.1.0 (values consumed by methods)",
    bytes: include_bytes!("../embedded/keyvalue-stores-v0-1-consume-methods.wasm"),
};

/// wasi:keyvalue over several stores, by the bucket's name, with the asynchronous interfaces.
pub static KEYVALUE_STORES_ASYNC: Component = Component {
    file: "keyvalue-stores-async.wasm",
    about: "wasi:keyvalue over several stores, by the bucket's name, with the asynchronous interfaces",
    bytes: include_bytes!("../embedded/keyvalue-stores-async.wasm"),
};

/// Calls wasi:keyvalue/watcher@0.2.0-draft2 of a consumer for each change.
pub static RUNNER_DRAFT2: Component = Component {
    file: "runner-draft2.wasm",
    about: "Calls wasi:keyvalue/watcher@0.2.0-draft2 of a consumer for each change",
    bytes: include_bytes!("../embedded/runner-draft2.wasm"),
};

/// Calls wasi:keyvalue/handle-watch@0.1.0 of a consumer for each change.
pub static RUNNER_V0_1: Component = Component {
    file: "runner-v0-1.wasm",
    about: "Calls wasi:keyvalue/handle-watch@0.1.0 of a consumer for each change",
    bytes: include_bytes!("../embedded/runner-v0-1.wasm"),
};

/// Calls wasi:keyvalue/handle-watch of a consumer for each change.
pub static RUNNER_UNVERSIONED: Component = Component {
    file: "runner-unversioned.wasm",
    about: "Calls wasi:keyvalue/handle-watch of a consumer for each change",
    bytes: include_bytes!("../embedded/runner-unversioned.wasm"),
};

/// Calls wasmcloud:keyvalue/watcher@0.2.0 of a consumer for each change.
pub static RUNNER_WASMCLOUD_0_2: Component = Component {
    file: "runner-wasmcloud-0-2.wasm",
    about: "Calls wasmcloud:keyvalue/watcher@0.2.0 of a consumer for each change",
    bytes: include_bytes!("../embedded/runner-wasmcloud-0-2.wasm"),
};

/// Calls wasmcloud:keyvalue/watcher@0.1.0 of a consumer for each change.
pub static RUNNER_WASMCLOUD_0_1: Component = Component {
    file: "runner-wasmcloud-0-1.wasm",
    about: "Calls wasmcloud:keyvalue/watcher@0.1.0 of a consumer for each change",
    bytes: include_bytes!("../embedded/runner-wasmcloud-0-1.wasm"),
};

/// A page in the browser that shows and edits any wasi:keyvalue store.
pub static EXPLORER: Component = Component {
    file: "explorer.wasm",
    about: "A page in the browser that shows and edits any wasi:keyvalue store",
    bytes: include_bytes!("../embedded/explorer.wasm"),
};

/// Every one of them.
pub static ALL: &[&Component] = &[
    &KEYVALUE,
    &KEYVALUE_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_V0_1_CONSUME_METHODS,
    &KEYVALUE_ASYNC,
    &KEYVALUE_REDIS,
    &KEYVALUE_REDIS_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_REDIS_V0_1_CONSUME_METHODS,
    &KEYVALUE_REDIS_ASYNC,
    &KEYVALUE_REDIS_TLS,
    &KEYVALUE_REDIS_TLS_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_REDIS_TLS_V0_1_CONSUME_METHODS,
    &KEYVALUE_REDIS_TLS_ASYNC,
    &KEYVALUE_MEMCACHED,
    &KEYVALUE_MEMCACHED_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_MEMCACHED_V0_1_CONSUME_METHODS,
    &KEYVALUE_MEMCACHED_ASYNC,
    &KEYVALUE_ETCD,
    &KEYVALUE_ETCD_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_ETCD_V0_1_CONSUME_METHODS,
    &KEYVALUE_ETCD_ASYNC,
    &KEYVALUE_DYNAMODB,
    &KEYVALUE_DYNAMODB_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_DYNAMODB_V0_1_CONSUME_METHODS,
    &KEYVALUE_DYNAMODB_ASYNC,
    &KEYVALUE_AZURE,
    &KEYVALUE_AZURE_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_AZURE_V0_1_CONSUME_METHODS,
    &KEYVALUE_AZURE_ASYNC,
    &KEYVALUE_S3,
    &KEYVALUE_S3_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_S3_V0_1_CONSUME_METHODS,
    &KEYVALUE_S3_ASYNC,
    &KEYVALUE_STORES,
    &KEYVALUE_STORES_DRAFT2_OPTIONAL_PAIRS,
    &KEYVALUE_STORES_V0_1_CONSUME_METHODS,
    &KEYVALUE_STORES_ASYNC,
    &RUNNER_DRAFT2,
    &RUNNER_V0_1,
    &RUNNER_UNVERSIONED,
    &RUNNER_WASMCLOUD_0_2,
    &RUNNER_WASMCLOUD_0_1,
    &EXPLORER,
];
// End of what is written.
