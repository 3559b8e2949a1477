//! Lifetimes of single keys, by leases. A lease counts whole seconds.

use crate::client::{Answer, Call, MAX_ANSWER, Repeat};
use crate::error;
use crate::protocol::{self, Grant, Granted, LeaseHas, LeaseLeft, Number, Put, Written};
use crate::store::EtcdBucket;
use kvfuse_core::Result;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::AsyncHttpClient;
use std::collections::HashMap;
use std::time::Duration;

impl<H: AsyncHttpClient, C: AsyncClock> EtcdBucket<H, C> {
    pub(crate) async fn set_for(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        let client = &self.shared.client;
        let deadline = client.deadline();
        let id = self.lease_for(lifetime, deadline).await?;
        let body = protocol::encode(&Put { key: self.key(key), value: value.into(), lease: id });
        let call = Call { path: protocol::PUT, body: &body, repeat: Repeat::Never, max_answer: MAX_ANSWER, deadline };
        match client.answer::<Written>(&call).await? {
            (Answer::Done(_), _) => Ok(()),
            (Answer::NewLease, from) => Err(error::timed_out(&client.config, from)),
            (_, from) => Err(error::not_etcd(from)),
        }
    }

    pub(crate) async fn create_for(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        let deadline = self.shared.client.deadline();
        let lease = match lifetime {
            Some(lifetime) => Some(self.lease_for(lifetime, deadline).await?),
            None => None,
        };
        self.put_if_absent(key, value, lease, deadline).await
    }

    /// A lease of its own for one key.
    async fn lease_for(&self, lifetime: Duration, deadline: Moment) -> Result<Number> {
        let client = &self.shared.client;
        // Rounded up: it may not end early.
        let seconds = lifetime.as_nanos().div_ceil(1_000_000_000).max(1);
        let body = protocol::encode(&Grant { ttl: Number(i64::try_from(seconds).unwrap_or(i64::MAX)) });
        // A lease that was granted in vain ends by itself.
        let call =
            Call { path: protocol::LEASE_GRANT, body: &body, repeat: Repeat::Freely, max_answer: MAX_ANSWER, deadline };
        match client.answer(&call).await? {
            (Answer::Done(Granted { id }), _) => Ok(id),
            (_, from) => Err(error::not_etcd(from)),
        }
    }

    pub(crate) async fn left(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        let leases = self.leases(keys).await?;
        let mut known: HashMap<i64, Option<Duration>> = HashMap::from([(0, None)]);
        let mut lifetimes = Vec::with_capacity(leases.len());
        for lease in leases {
            let left = match known.get(&lease.0) {
                Some(left) => *left,
                None => {
                    let asked = LeaseLeft { id: lease };
                    let has: LeaseHas = self.shared.client.call(protocol::LEASE_LEFT, &asked, Repeat::Freely).await?;
                    // A lease that has ended takes its keys with it.
                    let left = Some(Duration::from_secs(u64::try_from(has.ttl.0).unwrap_or(0)));
                    known.insert(lease.0, left);
                    left
                }
            };
            lifetimes.push(left);
        }
        Ok(lifetimes)
    }
}
