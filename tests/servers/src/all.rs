//! Every server that a store is tested against, started together.

use crate::azure::{AzureTables, KEY};
use crate::certificates::Authority;
use crate::dynamodb::DynamoDb;
use crate::etcd::Etcd;
use crate::memcached::Memcached;
use crate::redis::Redis;

/// The running servers; they stop when this is dropped.
pub struct Servers {
    redis: Redis,
    authority: Authority,
    memcached: Memcached,
    etcd: Etcd,
    dynamodb: DynamoDb,
    azure: AzureTables,
}

impl Servers {
    /// Starts them with their defaults, except for the size of a request to etcd: the tests have values of up to 16 MiB,
    /// and its limit is 1.5 MiB.
    pub fn start() -> Self {
        let authority = Authority::new();
        let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &[]);
        let etcd = Etcd::start(1, &["--max-request-bytes", "33554432"]);
        Self {
            redis,
            authority,
            memcached: Memcached::start(&[]),
            etcd,
            dynamodb: DynamoDb::start(),
            azure: AzureTables::start(),
        }
    }

    /// The variables by which the stores' stanzas in `provider/table` name them.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KVFUSE_REDIS_URL", self.redis.url()),
            ("KVFUSE_REDIS_TLS_URL", self.redis.tls_url()),
            ("KVFUSE_REDIS_TLS_CA", self.authority.pem().to_string()),
            ("KVFUSE_MEMCACHED_SERVERS", self.memcached.address()),
            ("KVFUSE_ETCD_ENDPOINTS", self.etcd.endpoints()),
            ("KVFUSE_DYNAMODB_ENDPOINT", self.dynamodb.endpoint()),
            ("KVFUSE_AZURE_ENDPOINT", self.azure.endpoint()),
            ("KVFUSE_AZURE_KEY", KEY.to_string()),
        ]
    }

    /// A value of a stanza, with these variables and the case put in.
    pub fn expand(&self, value: &str, case: &str) -> String {
        let put = |text: String, (name, is): (&str, String)| text.replace(&format!("${{{name}}}"), &is);
        self.variables().into_iter().fold(value.to_string(), put).replace("{case}", case)
    }
}
