//! The store and its buckets.

use crate::client::{Answer, Call, Client, MAX_ANSWER, Repeat};
use crate::config::Config;
use crate::error::{self, Failure};
use crate::protocol::{self, Bytes, DeleteRange, Grant, Granted, KeyValue, Number, Put, Range, Ranged, Written};
use crate::watch::EtcdWatch;
use kvfuse_core::{Bucket, Error, Page, Result, Settings, Snapshot, Store, Swap, Version, Watch, watch};
use kvfuse_transport::clock::{Clock, Moment};
use kvfuse_transport::http::HttpClient;
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
    /// The most operations that a transaction may have, as far as is known.
    pub max_operations: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Lease {
    id: Number,
    /// When it stops being used for new keys.
    until: Moment,
}

impl<H: HttpClient, C: Clock> EtcdStore<H, C> {
    /// A store with these settings, which `docs/etcd.md` lists.
    ///
    /// # Errors
    /// [`Unavailable`](kvfuse_core::Kind::Unavailable) if no server is configured,
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) for a setting that is not valid.
    pub fn new(settings: &Settings, http: H, clock: C) -> Result<Self> {
        let client = Client::new(Config::from_settings(settings)?, http, clock);
        // The default of etcd's --max-txn-ops is 128.
        let shared = Shared { client, lease: Cell::new(None), max_operations: Cell::new(128) };
        Ok(Self { shared: Rc::new(shared) })
    }
}

impl<H: HttpClient + 'static, C: Clock + 'static> Store for EtcdStore<H, C> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        let base = format!("{}{}/", self.shared.client.config.prefix, escaped(bucket));
        Ok(Rc::new(EtcdBucket { shared: self.shared.clone(), base }))
    }
}

/// A bucket name with `/` escaped, so that the first `/` after the prefix ends it and no two buckets share an etcd key.
fn escaped(bucket: &str) -> String {
    bucket.replace('%', "%25").replace('/', "%2F")
}

pub(crate) struct EtcdBucket<H, C> {
    pub shared: Rc<Shared<H, C>>,
    /// The prefix of its etcd keys: the configured prefix, its name, `/`.
    pub base: String,
}

impl<H: HttpClient, C: Clock> Shared<H, C> {
    /// The lease for a key that is written now; 0 if keys live forever. The keys written within a tenth of a lifetime
    /// share a lease, which lives that much longer, so a key lives for its lifetime and at most a tenth more.
    pub fn lease(&self, deadline: Moment) -> Result<Number> {
        let Some(life) = self.client.config.life else { return Ok(Number(0)) };
        let now = self.client.clock.now();
        if let Some(lease) = self.lease.get()
            && now < lease.until
        {
            return Ok(lease.id);
        }
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
        let Answer::Done(Granted { id }) = self.client.answer(&call)? else {
            return Err(error::not_etcd(self.client.authority()));
        };
        self.lease.set(Some(Lease { id, until: now + shared_for.max(Duration::from_millis(100)) }));
        Ok(id)
    }

    pub fn forget_lease(&self) {
        self.lease.set(None);
    }

    /// Carries out a write that may need a lease, which `request` puts into its body. If the lease no longer exists,
    /// nothing was written, and the write is retried with a new one.
    pub fn write<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        deadline: Moment,
        request: impl Fn(Number) -> Vec<u8>,
    ) -> Result<Answer<T>, Failure> {
        loop {
            let lease = self.lease(deadline).map_err(Failure::Failed)?;
            let body = request(lease);
            let call = Call { path, body: &body, repeat: Repeat::Never, max_answer: MAX_ANSWER, deadline };
            match self.client.answer(&call)? {
                Answer::NewLease if self.client.clock.now() < deadline => self.forget_lease(),
                Answer::NewLease => {
                    let error = error::timed_out(&self.client.config, self.client.authority());
                    return Err(Failure::Failed(error));
                }
                answer => return Ok(answer),
            }
        }
    }
}

impl<H: HttpClient + 'static, C: Clock + 'static> EtcdBucket<H, C> {
    pub fn key(&self, key: &str) -> Bytes {
        Bytes([self.base.as_bytes(), key.as_bytes()].concat())
    }

    /// A key with its history, if it exists.
    pub fn read(&self, key: &str) -> Result<Option<KeyValue>> {
        let range = Range { key: self.key(key), ..Range::default() };
        let ranged: Ranged = self.shared.client.call(protocol::RANGE, &range, Repeat::Freely)?;
        Ok(ranged.kvs.into_iter().next())
    }
}

impl<H: HttpClient + 'static, C: Clock + 'static> Bucket for EtcdBucket<H, C> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.read(key)?.map(|found| found.value.0))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let put = |lease| protocol::encode(&Put { key: self.key(key), value: value.into(), lease });
        let deadline = self.shared.client.deadline();
        match self.shared.write::<Written>(protocol::PUT, deadline, put)? {
            Answer::Done(_) => Ok(()),
            _ => Err(error::not_etcd(self.shared.client.authority())),
        }
    }

    fn delete(&self, key: &str) -> Result<()> {
        let delete = DeleteRange { key: self.key(key) };
        self.shared.client.call::<Written>(protocol::DELETE_RANGE, &delete, Repeat::Never)?;
        Ok(())
    }

    fn exists(&self, key: &str) -> Result<bool> {
        let range = Range { key: self.key(key), count_only: true, ..Range::default() };
        let ranged: Ranged = self.shared.client.call(protocol::RANGE, &range, Repeat::Freely)?;
        Ok(ranged.count > Number(0))
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.page("", cursor)
    }

    fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.page(prefix, cursor)
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.add(key, delta, floor)
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.read(key)?.map_or(Ok(Snapshot::ABSENT), snapshot)
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.swap_guarded(key, expected, value)
    }

    fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        self.create_for(key, value, lifetime)
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.read_all(keys)
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.write_all(pairs)
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.delete_all(keys)
    }

    fn watch(&self, prefix: &str, from: watch::From<'_>) -> Result<Box<dyn Watch>> {
        let bucket = Self { shared: self.shared.clone(), base: self.base.clone() };
        Ok(Box::new(EtcdWatch::new(bucket, prefix, from)?))
    }

    fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.set_for(key, value, lifetime)
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        self.left(keys)
    }
}

/// The state of a key. Its version is the revision of its last modification, which etcd never uses twice.
pub(crate) fn snapshot(found: KeyValue) -> Result<Snapshot> {
    let revision = u64::try_from(found.mod_revision.0).ok().filter(|revision| *revision > 0);
    let revision =
        revision.ok_or_else(|| Error::new(kvfuse_core::Kind::Other, "etcd returned a key without a revision"))?;
    Ok(Snapshot { value: Some(found.value.0), version: Version::Number(revision) })
}
