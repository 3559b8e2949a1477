//! The store and its buckets.

use crate::client::{Client, only};
use crate::config::Config;
use crate::error;
use crate::layout::Space;
use crate::protocol::{Reply, Request};
use kvfuse_core::waiting::at_once;
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Error, Page, Result, Settings, Snapshot, Store, Swap, Version};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::sockets::Network;
use std::rc::Rc;
use std::time::Duration;

/// Buckets in Memcached. Opening one takes no round trip; the first operation connects.
pub struct MemcachedStore<N: Network, C> {
    client: Rc<Client<N, C>>,
}

impl<N: Network, C: AsyncClock> MemcachedStore<N, C> {
    /// A store with these settings, which `docs/memcached.md` lists.
    ///
    /// # Errors
    /// [`Unavailable`](kvfuse_core::Kind::Unavailable) if no server is configured,
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) or [`Unsupported`](kvfuse_core::Kind::Unsupported) for a
    /// setting that is not valid.
    pub fn new(settings: &Settings, network: N, clock: C) -> Result<Self> {
        Ok(Self { client: Rc::new(Client::new(Config::from_settings(settings)?, network, clock)) })
    }

    fn bucket(&self, name: &str) -> MemcachedBucket<N, C> {
        MemcachedBucket { space: Space::new(&self.client.config, name), client: self.client.clone() }
    }
}

impl<N: Network + 'static, C: AsyncClock + 'static> Store for MemcachedStore<N, C> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(self.bucket(bucket)))
    }
}

impl<N: Network + 'static, C: AsyncClock + 'static> AsyncStore for MemcachedStore<N, C> {
    type Bucket = MemcachedBucket<N, C>;

    fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
        Ok(self.bucket(bucket))
    }
}

/// One of its buckets.
pub struct MemcachedBucket<N: Network, C> {
    pub(crate) client: Rc<Client<N, C>>,
    pub(crate) space: Space,
}

impl<N: Network + 'static, C: AsyncClock + 'static> AsyncBucket for MemcachedBucket<N, C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        value(self.client.ask(&self.space.name(key), "v").await?)
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.put(key, value, None, "", self.client.deadline()).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let name = self.space.name(key);
        let mut request = Request::default();
        request.delete(&name);
        let deadline = self.client.deadline();
        let server = self.client.server_of(&name);
        let replies = self.client.attempt(server, deadline, async |link| link.tell(&request, deadline).await).await?;
        deleted(only(replies)?)
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        match self.client.ask(&self.space.name(key), "").await? {
            Reply::Done(_) => Ok(true),
            Reply::Missing => Ok(false),
            _ => Err(error::unexpected("mg")),
        }
    }

    async fn list(&self, _cursor: Option<&str>) -> Result<Page> {
        Err(no_listing())
    }

    async fn list_prefix(&self, _prefix: &str, _cursor: Option<&str>) -> Result<Page> {
        Err(no_listing())
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let client = &self.client;
        let add = async |deadline| self.add(key, delta, floor, deadline).await;
        client.increments.take(&self.space.name(key), &client.clock, client.config.time_limit, add).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(self.see(key, self.client.deadline()).await?.snapshot())
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.swap_guarded(key, expected, value).await
    }

    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.put(key, value, lifetime, "ME", self.client.deadline()).await
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.read_many(keys, "v").await?.into_iter().map(value).collect()
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.put_many(pairs).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.remove_many(keys).await
    }

    async fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.put(key, value, Some(lifetime), "", self.client.deadline()).await.map(drop)
    }
}

/// The same where nothing waits.
impl<N: Network + 'static, C: AsyncClock + 'static> Bucket for MemcachedBucket<N, C> {
    kvfuse_core::bucket_at_once!();

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        at_once(self.left(keys))
    }
}

/// The value in the reply to a command that reads one.
fn value(reply: Reply) -> Result<Option<Vec<u8>>> {
    match reply {
        Reply::Value(value, _) => Ok(Some(value)),
        Reply::Missing => Ok(None),
        Reply::Error(line) => Err(error::from_reply(&line)),
        _ => Err(error::unexpected("mg")),
    }
}

pub(crate) fn deleted(reply: Reply) -> Result<()> {
    match reply {
        Reply::Done(_) | Reply::NotFound => Ok(()),
        Reply::Error(line) => Err(error::from_reply(&line)),
        _ => Err(error::unexpected("md")),
    }
}

fn no_listing() -> Error {
    Error::unsupported(
        "listing keys is not supported with Memcached, which has no command for it; keep the names of keys that have to be found \
         in a value, or use another store",
    )
}
