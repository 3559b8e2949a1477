//! The store and its buckets.

use crate::client::Client;
use crate::config::{Config, Layout};
use crate::error;
use crate::layout::Space;
use crate::protocol::{Reply, Request};
use crate::runs::Runs;
use crate::watch::RedisWatch;
use kvfuse_core::waiting::at_once;
use kvfuse_core::{
    AsyncBucket, AsyncStore, Bucket, Error, Page, Result, Settings, Snapshot, Store, Swap, Version, Watch, watch,
};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::sockets::Network;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// The longest string that Redis accepts, in bytes: the default of its `proto-max-bulk-len`, 512 MiB.
pub const MAX_STRING: usize = 512 << 20;

/// Buckets in a Redis database. Opening one takes no round trip; the first operation connects.
pub struct RedisStore<N: Network, C> {
    client: Rc<Client<N, C>>,
    runs: Rc<Runs>,
}

impl<N: Network, C: AsyncClock> RedisStore<N, C> {
    /// A store with these settings, which `docs/redis.md` lists. `instance` is a number that no other instance has.
    ///
    /// # Errors
    /// [`Unavailable`](kvfuse_core::Kind::Unavailable) if no server is configured,
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) or [`Unsupported`](kvfuse_core::Kind::Unsupported) for a
    /// setting that is not valid.
    pub fn new(settings: &Settings, network: N, clock: C, instance: u64) -> Result<Self> {
        let config = Config::from_settings(settings, network.encrypts())?;
        let runs = Rc::new(Runs::new(instance));
        Ok(Self { client: Rc::new(Client::new(config, network, clock, instance)), runs })
    }

    fn bucket(&self, name: &str) -> RedisBucket<N, C> {
        let space = Rc::new(Space::new(&self.client.config, name));
        RedisBucket { client: self.client.clone(), runs: self.runs.clone(), space }
    }
}

impl<N: Network + 'static, C: AsyncClock + 'static> Store for RedisStore<N, C> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(self.bucket(bucket)))
    }

    fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
        if self.client.config.layout == Layout::Raw { "" } else { bucket }
    }
}

/// One of its buckets.
pub struct RedisBucket<N: Network, C> {
    pub(crate) client: Rc<Client<N, C>>,
    pub(crate) runs: Rc<Runs>,
    pub(crate) space: Rc<Space>,
}

impl<N: Network, C> Clone for RedisBucket<N, C> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), runs: self.runs.clone(), space: self.space.clone() }
    }
}

impl<N: Network, C: AsyncClock> RedisBucket<N, C> {
    pub(crate) fn is_hash(&self) -> bool {
        self.client.config.layout == Layout::Hash
    }

    /// One command for each of these keys, which are spread over the nodes of a cluster.
    pub(crate) async fn each(
        &self,
        keys: &[&str],
        reads: bool,
        command: &dyn Fn(&str) -> Request,
    ) -> Result<Vec<Reply>> {
        let slots: Vec<u16> = keys.iter().filter_map(|key| self.space.route(key)).collect();
        let add = |number: usize, request: &mut Request| {
            if let Some(key) = keys.get(number) {
                request.append(&command(key));
            }
        };
        self.client.each(&slots, reads, &add).await
    }
}

impl<N: Network + 'static, C: AsyncClock + 'static> AsyncStore for RedisStore<N, C> {
    type Bucket = RedisBucket<N, C>;

    fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
        Ok(self.bucket(bucket))
    }
}

impl<N: Network + 'static, C: AsyncClock + 'static> AsyncBucket for RedisBucket<N, C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        value(self.client.ask(self.space.route(key), &self.space.on_key("GET", "HGET", key, &[])).await?)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        check_size(value)?;
        match self.client.tell(self.space.route(key), &self.space.on_key("SET", "HSET", key, &[value])).await? {
            Reply::Status(_) | Reply::Integer(_) => Ok(()),
            _ => Err(error::unexpected("SET")),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        match self.client.tell(self.space.route(key), &self.space.on_key("DEL", "HDEL", key, &[])).await? {
            Reply::Integer(_) => Ok(()),
            _ => Err(error::unexpected("DEL")),
        }
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        match self.client.ask(self.space.route(key), &self.space.on_key("EXISTS", "HEXISTS", key, &[])).await? {
            Reply::Integer(count) => Ok(count > 0),
            _ => Err(error::unexpected("EXISTS")),
        }
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.page("", cursor).await
    }

    async fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.page(prefix, cursor).await
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.add(key, delta, floor).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        if self.is_hash() { self.snapshot_of_field(key).await } else { self.snapshot_watched(key).await }
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        check_size(value)?;
        if self.is_hash() {
            return self.swap_field(key, expected, value).await;
        }
        self.swap_watched(key, expected, value).await
    }

    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.create_for(key, value, lifetime).await
    }

    fn version_text(&self, key: &str, version: &Version) -> String {
        self.text_of_version(key, version)
    }

    fn version_of_text(&self, key: &str, text: &str) -> Option<Version> {
        self.version_in_text(key, text)
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        if self.space.is_spread() {
            let get = |key: &str| self.space.on_key("GET", "HGET", key, &[]);
            return self.each(keys, true, &get).await?.into_iter().map(value).collect();
        }
        let mut values = Vec::with_capacity(keys.len());
        let route = self.space.route("");
        for reply in whole(self.client.ask_all(route, &self.space.on_keys("MGET", "HMGET", keys)).await?)? {
            let Reply::Array(replies) = reply else { return Err(error::unexpected("MGET")) };
            for reply in replies {
                values.push(value(reply)?);
            }
        }
        if values.len() != keys.len() {
            return Err(error::unexpected("MGET"));
        }
        Ok(values)
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        pairs.iter().try_for_each(|(_, value)| check_size(value))?;
        if self.space.is_spread() {
            // The last of equal keys wins, in whichever order the nodes answer.
            let last: HashMap<&str, &[u8]> = pairs.iter().copied().collect();
            let keys: Vec<&str> = last.keys().copied().collect();
            let set = |key: &str| self.space.on_key("SET", "HSET", key, &[last.get(key).copied().unwrap_or_default()]);
            return whole(self.each(&keys, false, &set).await?).map(drop);
        }
        let route = self.space.route("");
        whole(self.client.tell_all(route, &self.space.on_pairs("MSET", "HSET", pairs)).await?)?;
        Ok(())
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        if self.space.is_spread() {
            let delete = |key: &str| self.space.on_key("DEL", "HDEL", key, &[]);
            return whole(self.each(keys, false, &delete).await?).map(drop);
        }
        let route = self.space.route("");
        whole(self.client.tell_all(route, &self.space.on_keys("DEL", "HDEL", keys)).await?)?;
        Ok(())
    }

    async fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.set_for(key, value, lifetime).await
    }
}

/// The same where nothing waits.
impl<N: Network + 'static, C: AsyncClock + 'static> Bucket for RedisBucket<N, C> {
    kvfuse_core::bucket_at_once!();

    fn watch(&self, prefix: &str, from: watch::From<'_>) -> Result<Box<dyn Watch>> {
        Ok(Box::new(RedisWatch::new(self.clone(), prefix, from)?))
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        at_once(self.left(keys))
    }
}

/// The value in the reply to a command that reads one.
pub(crate) fn value(reply: Reply) -> Result<Option<Vec<u8>>> {
    match reply {
        Reply::Null => Ok(None),
        Reply::Error(line) => Err(error::from_reply(&line)),
        reply => reply.into_bytes().map(Some).ok_or_else(|| error::unexpected("GET")),
    }
}

/// The replies, unless one of them is an error.
pub(crate) fn whole(replies: Vec<Reply>) -> Result<Vec<Reply>> {
    for reply in &replies {
        if let Reply::Error(line) = reply {
            return Err(error::from_reply(line));
        }
    }
    Ok(replies)
}

pub(crate) fn check_size(value: &[u8]) -> Result<()> {
    if value.len() <= MAX_STRING {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a value of {} bytes is larger than the limit of Redis, {MAX_STRING} bytes",
        value.len()
    )))
}

/// `UNWATCH` if necessary, `WATCH`, and the command that reads, in one round trip. The last reply has the value.
pub(crate) fn watch_and_read(watches: bool, redis_key: &[u8], read: &[&[u8]]) -> Request {
    let mut request = Request::default();
    if watches {
        request.command(&[b"UNWATCH"]);
    }
    request.command(&[b"WATCH", redis_key]).command(read);
    request
}
