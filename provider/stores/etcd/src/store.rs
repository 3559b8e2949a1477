//! The store and its buckets.

use crate::client::{Answer, Answered, Call, Client, MAX_ANSWER, Repeat};
use crate::config::Config;
use crate::error::{self, Failure};
use crate::protocol::{self, Bytes, DeleteRange, Grant, Granted, KeyValue, Number, Put, Range, Written};
use crate::together::Together;
use crate::watch::EtcdWatch;
use futures_util::lock::Mutex;
use kvfuse_core::waiting::at_once;
use kvfuse_core::{
    AsyncBucket, AsyncStore, Bucket, Error, Page, Result, Settings, Snapshot, Store, Swap, Version, Watch, watch,
};
use kvfuse_transport::clock::{AsyncClock, Moment, before};
use kvfuse_transport::http::{AsyncHttpClient, HttpClient};
use kvfuse_transport::turns::Turns;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Buckets in an etcd cluster. Opening one takes no round trip.
pub struct EtcdStore<H, C> {
    shared: Rc<Shared<H, C>>,
}

/// What all buckets of an instance share.
pub(crate) struct Shared<H, C> {
    pub client: Client<H, C>,
    lease: Cell<Option<Lease>>,
    pub increments: Turns,
    pub together: Together,
    /// The turn to get another one.
    granting: Mutex<()>,
    /// The most operations that a transaction may have, as far as is known.
    pub max_operations: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Lease {
    id: Number,
    /// When it stops being used for new keys.
    until: Moment,
}

impl<H, C> EtcdStore<H, C> {
    /// A store with these settings, which `docs/etcd.md` lists.
    ///
    /// # Errors
    /// [`Unavailable`](kvfuse_core::Kind::Unavailable) if no server is configured,
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) for a setting that is not valid.
    pub fn new(settings: &Settings, http: H, clock: C) -> Result<Self> {
        let client = Client::new(Config::from_settings(settings)?, http, clock);
        // The default of etcd's --max-txn-ops is 128.
        let (lease, granting, max_operations) = (Cell::new(None), Mutex::default(), Cell::new(128));
        let (increments, together) = (Turns::default(), Together::default());
        let shared = Shared { client, lease, increments, together, granting, max_operations };
        Ok(Self { shared: Rc::new(shared) })
    }

    fn bucket(&self, name: &str) -> EtcdBucket<H, C> {
        let base = format!("{}{}/", self.shared.client.config.prefix, escaped(name));
        EtcdBucket { shared: self.shared.clone(), base }
    }
}

impl<H: HttpClient + 'static, C: AsyncClock + 'static> Store for EtcdStore<H, C> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(self.bucket(bucket)))
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncStore for EtcdStore<H, C> {
    type Bucket = EtcdBucket<H, C>;

    fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
        Ok(self.bucket(bucket))
    }
}

/// A bucket name with `/` escaped, so that the first `/` after the prefix ends it and no two buckets share an etcd key.
fn escaped(bucket: &str) -> String {
    bucket.replace('%', "%25").replace('/', "%2F")
}

/// One of its buckets.
pub struct EtcdBucket<H, C> {
    pub(crate) shared: Rc<Shared<H, C>>,
    /// The prefix of its etcd keys: the configured prefix, its name, `/`.
    pub(crate) base: String,
}

impl<H, C> Clone for EtcdBucket<H, C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), base: self.base.clone() }
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> Shared<H, C> {
    /// The lease for a key that is written now; 0 if keys live forever. The keys written within a tenth of a lifetime
    /// share a lease, which lives that much longer, so a key lives for its lifetime and at most a tenth more. Who finds none
    /// gets one, and the others wait for that.
    async fn lease(&self, deadline: Moment) -> Result<Number> {
        let Some(life) = self.client.config.life else { return Ok(Number(0)) };
        if let Some(id) = self.current_lease() {
            return Ok(id);
        }
        let turn = before(&self.client.clock, deadline, self.granting.lock()).await;
        let _turn = turn.ok_or_else(|| error::timed_out(&self.client.config, self.client.current().1))?;
        if let Some(id) = self.current_lease() {
            return Ok(id);
        }
        let now = self.client.clock.now();
        let shared_for = life / 10;
        // Leases are granted in whole seconds. One more makes up for the time that granting takes.
        let seconds = (life + shared_for).as_secs() + 1;
        let body = protocol::encode(&Grant { ttl: Number(i64::try_from(seconds).unwrap_or(i64::MAX)) });
        let call = Call {
            path: protocol::LEASE_GRANT,
            body: &body,
            // A lease that was granted in vain expires by itself.
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline,
        };
        let id = match self.client.answer(&call).await? {
            (Answer::Done(Granted { id }), _) => id,
            (_, from) => return Err(error::not_etcd(from)),
        };
        self.lease.set(Some(Lease { id, until: now + shared_for.max(Duration::from_millis(100)) }));
        Ok(id)
    }

    fn current_lease(&self) -> Option<Number> {
        let now = self.client.clock.now();
        self.lease.get().filter(|lease| now < lease.until).map(|lease| lease.id)
    }

    /// Carries out a write that may need a lease, which `request` puts into its body. If the lease no longer exists,
    /// nothing was written, and the write is retried with a new one.
    pub async fn write<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        deadline: Moment,
        request: impl Fn(Number) -> Vec<u8>,
    ) -> Result<Answered<'_, T>, Failure> {
        loop {
            let lease = self.lease(deadline).await.map_err(Failure::Failed)?;
            let body = request(lease);
            let call = Call { path, body: &body, repeat: Repeat::Never, max_answer: MAX_ANSWER, deadline };
            match self.client.answer(&call).await? {
                // Another call may have a new one already.
                (Answer::NewLease, _) if self.client.clock.now() < deadline => {
                    self.lease.set(self.lease.get().filter(|kept| kept.id != lease));
                }
                (Answer::NewLease, from) => return Err(Failure::Failed(error::timed_out(&self.client.config, from))),
                answered => return Ok(answered),
            }
        }
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> EtcdBucket<H, C> {
    pub(crate) fn key(&self, key: &str) -> Bytes {
        Bytes([self.base.as_bytes(), key.as_bytes()].concat())
    }

    /// A key with its history, if it exists.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<KeyValue>> {
        let range = Range { key: self.key(key), ..Range::default() };
        Ok(self.range(range).await?.kvs.into_iter().next())
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncBucket for EtcdBucket<H, C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.read(key).await?.map(|found| found.value.0))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let put = |lease| protocol::encode(&Put { key: self.key(key), value: value.into(), lease });
        let deadline = self.shared.client.deadline();
        match self.shared.write::<Written>(protocol::PUT, deadline, put).await? {
            (Answer::Done(_), _) => Ok(()),
            (_, from) => Err(error::not_etcd(from)),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let delete = DeleteRange { key: self.key(key) };
        self.shared.client.call::<Written>(protocol::DELETE_RANGE, &delete, Repeat::Never).await?;
        Ok(())
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let range = Range { key: self.key(key), count_only: true, ..Range::default() };
        Ok(self.range(range).await?.count > Number(0))
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.page("", cursor).await
    }

    async fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.page(prefix, cursor).await
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let Shared { client, increments, .. } = &*self.shared;
        let what = self.key(key).0;
        let add = async |deadline| self.add(key, delta, floor, deadline).await;
        increments.take(&what, &client.clock, client.config.time_limit, add).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.read(key).await?.map_or(Ok(Snapshot::ABSENT), snapshot)
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.swap_guarded(key, expected, value).await
    }

    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.create_for(key, value, lifetime).await
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.read_all(keys).await
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.write_all(pairs).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.delete_all(keys).await
    }

    async fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.set_for(key, value, lifetime).await
    }
}

/// The same where nothing waits.
impl<H: HttpClient + 'static, C: AsyncClock + 'static> Bucket for EtcdBucket<H, C> {
    kvfuse_core::bucket_at_once!();

    fn watch(&self, prefix: &str, from: watch::From<'_>) -> Result<Box<dyn Watch>> {
        Ok(Box::new(EtcdWatch::new(self.clone(), prefix, from)?))
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        at_once(self.left(keys))
    }
}

/// The state of a key. Its version is the revision of its last modification, which etcd never uses twice.
pub(crate) fn snapshot(found: KeyValue) -> Result<Snapshot> {
    let revision = u64::try_from(found.mod_revision.0).ok().filter(|revision| *revision > 0);
    let revision =
        revision.ok_or_else(|| Error::new(kvfuse_core::Kind::Other, "etcd returned a key without a revision"))?;
    Ok(Snapshot { value: Some(found.value.0), version: Version::Number(revision) })
}
