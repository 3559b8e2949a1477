//! Every server that a store is tested against, started together.

use crate::dynamodb::DynamoDb;
use crate::etcd::Etcd;
use crate::redis::Redis;

/// The running servers; they stop when this is dropped.
pub struct Servers {
    redis: Redis,
    etcd: Etcd,
    dynamodb: DynamoDb,
}

impl Servers {
    /// Starts them with their defaults, except for the size of a request to etcd: the tests have values of up to 16 MiB,
    /// and its limit is 1.5 MiB.
    pub fn start() -> Self {
        let etcd = Etcd::start(1, &["--max-request-bytes", "33554432"]);
        Self { redis: Redis::start(&[]), etcd, dynamodb: DynamoDb::start() }
    }

    /// The variables by which the stores' stanzas in `provider/table` name them.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KVFUSE_REDIS_URL", self.redis.url()),
            ("KVFUSE_ETCD_ENDPOINTS", self.etcd.endpoints()),
            ("KVFUSE_DYNAMODB_ENDPOINT", self.dynamodb.endpoint()),
        ]
    }

    /// A value of a stanza, with these variables and the case put in.
    pub fn expand(&self, value: &str, case: &str) -> String {
        let put = |text: String, (name, is): (&str, String)| text.replace(&format!("${{{name}}}"), &is);
        self.variables().into_iter().fold(value.to_string(), put).replace("{case}", case)
    }
}
