//! The fused component of an engine, and a real server with a proxy before it.

use anyhow::Result;
use kvfuse_servers::azure::{ACCOUNT, AzureTables, KEY};
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::redis::Redis;
use kvfuse_tests::fused_with;
use kvfuse_tests::session::Session;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Redis,
    RedisTls,
    Etcd,
    Memcached,
    DynamoDb,
    Azure,
}

impl Engine {
    pub const ALL: [Self; 6] = [Self::Redis, Self::RedisTls, Self::Etcd, Self::Memcached, Self::DynamoDb, Self::Azure];

    /// As in the names of its artefacts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RedisTls => "redis-tls",
            Self::Etcd => "etcd",
            Self::Memcached => "memcached",
            Self::DynamoDb => "dynamodb",
            Self::Azure => "azure",
        }
    }

    /// Whether an answer without an end is read until the time limit. Nobody but the server can send one that is encrypted with its
    /// keys, and the others give one up that is larger than any of theirs.
    pub fn reads_without_end(self) -> bool {
        matches!(self, Self::Redis | Self::Etcd)
    }

    /// Whether a write leaves a mark, by which it is found if its answer was lost.
    pub fn marks(self) -> bool {
        matches!(self, Self::DynamoDb | Self::Azure)
    }

    pub fn marks_nothing(self) -> bool {
        !self.marks()
    }

    /// Whether a server that was killed has its data when it runs again.
    pub fn keeps(self) -> bool {
        self != Self::Memcached
    }
}

/// The fused component of one engine.
pub struct Setup {
    pub engine: Engine,
    folder: TempDir,
    authority: Authority,
}

impl Setup {
    pub fn new(engine: Engine) -> Result<Self> {
        let this = Self { engine, folder: tempfile::tempdir()?, authority: Authority::new() };
        std::fs::write(this.program(), fused_with("remote", &format!("keyvalue-{}", engine.name()))?)?;
        Ok(this)
    }

    pub fn program(&self) -> PathBuf {
        self.folder.path().join("fused.wasm")
    }

    /// Starts an instance that has the server at this port.
    pub fn instance(&self, port: u16, time_limit: &str) -> Result<Session> {
        let variables = self.variables(port);
        start(&self.program(), &variables.iter().map(String::as_str).collect::<Vec<_>>(), time_limit)
    }

    /// Where the server is, and what it asks for.
    pub fn variables(&self, port: u16) -> Vec<String> {
        let address = format!("127.0.0.1:{port}");
        match self.engine {
            Engine::Redis => vec![format!("KEYVALUE_REDIS_URL=redis://{address}")],
            Engine::RedisTls => vec![
                format!("KEYVALUE_REDIS_URL=rediss://{address}"),
                format!("KEYVALUE_TLS_CA={}", self.authority.pem()),
            ],
            Engine::Etcd => vec![format!("KEYVALUE_ETCD_ENDPOINTS=http://{address}")],
            Engine::Memcached => vec![format!("KEYVALUE_MEMCACHED_SERVERS={address}")],
            Engine::DynamoDb => vec![
                format!("KEYVALUE_DYNAMODB_ENDPOINT=http://{address}"),
                "KEYVALUE_DYNAMODB_REGION=us-east-1".into(),
                "KEYVALUE_DYNAMODB_ACCESS_KEY_ID=AKIDEXAMPLE".into(),
                "KEYVALUE_DYNAMODB_SECRET_ACCESS_KEY=hunter2".into(),
            ],
            Engine::Azure => {
                vec![format!("KEYVALUE_AZURE_ENDPOINT=http://{address}/{ACCOUNT}"), format!("KEYVALUE_AZURE_KEY={KEY}")]
            }
        }
    }

    pub fn server(&self) -> Server {
        let upstream = match self.engine {
            Engine::Redis => Upstream::Redis(Redis::start(&[])),
            Engine::RedisTls => Upstream::RedisTls(Redis::start_tls(&self.authority.certificate("127.0.0.1"), &[])),
            Engine::Etcd => Upstream::Etcd(Etcd::start(1, &[])),
            Engine::Memcached => Upstream::Memcached(Memcached::start(&[])),
            Engine::DynamoDb => Upstream::DynamoDb(DynamoDb::start()),
            Engine::Azure => Upstream::Azure(AzureTables::start()),
        };
        let port = match &upstream {
            Upstream::Redis(redis) => redis.port(),
            Upstream::RedisTls(redis) => redis.tls_port(),
            Upstream::Etcd(etcd) => etcd.ports()[0],
            Upstream::Memcached(memcached) => memcached.port(),
            Upstream::DynamoDb(emulator) => emulator.port(),
            Upstream::Azure(emulator) => emulator.port(),
        };
        Server { upstream, proxy: Proxy::start(port) }
    }
}

pub fn start(program: &Path, variables: &[&str], time_limit: &str) -> Result<Session> {
    Session::start(program, &[variables, &[&format!("KEYVALUE_TIMEOUT_MS={time_limit}")]].concat(), None)
}

/// A real server with a proxy before it.
pub struct Server {
    upstream: Upstream,
    pub proxy: Proxy,
}

enum Upstream {
    Redis(Redis),
    RedisTls(Redis),
    Etcd(Etcd),
    Memcached(Memcached),
    DynamoDb(DynamoDb),
    Azure(AzureTables),
}

impl Server {
    pub fn freeze(&self) {
        match &self.upstream {
            Upstream::Redis(redis) | Upstream::RedisTls(redis) => redis.freeze(),
            Upstream::Etcd(etcd) => etcd.freeze(0),
            Upstream::Memcached(memcached) => memcached.freeze(),
            Upstream::DynamoDb(emulator) => emulator.freeze(),
            Upstream::Azure(emulator) => emulator.freeze(),
        }
    }

    pub fn thaw(&self) {
        match &self.upstream {
            Upstream::Redis(redis) | Upstream::RedisTls(redis) => redis.thaw(),
            Upstream::Etcd(etcd) => etcd.thaw(0),
            Upstream::Memcached(memcached) => memcached.thaw(),
            Upstream::DynamoDb(emulator) => emulator.thaw(),
            Upstream::Azure(emulator) => emulator.thaw(),
        }
    }

    pub fn kill(&mut self) {
        match &mut self.upstream {
            Upstream::Redis(redis) | Upstream::RedisTls(redis) => redis.kill(),
            Upstream::Etcd(etcd) => etcd.kill(0),
            Upstream::Memcached(memcached) => memcached.kill(),
            Upstream::DynamoDb(emulator) => emulator.kill(),
            // It has its data in memory until then.
            Upstream::Azure(emulator) => emulator.stop(),
        }
    }

    pub fn resume(&mut self) {
        match &mut self.upstream {
            Upstream::Redis(redis) | Upstream::RedisTls(redis) => redis.resume(),
            Upstream::Etcd(etcd) => {
                etcd.resume(0);
                etcd.wait_until_serving();
            }
            Upstream::Memcached(memcached) => memcached.resume(),
            Upstream::DynamoDb(emulator) => emulator.resume(),
            Upstream::Azure(emulator) => emulator.resume(),
        }
    }
}
