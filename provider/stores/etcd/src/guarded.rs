//! Writes on the condition that nobody wrote the key since it was read: increments and swaps.
//!
//! A guarded write whose answer was lost is sent once more as it was. If that succeeds, the first one had not happened,
//! and cannot any more, as the revision it was guarded by is past: the write happened exactly once. If it fails, somebody
//! wrote in between, be it the first one. Only where what is there now shows that it was not, the operation goes on;
//! else its outcome is unknown.

use crate::client::Answer;
use crate::error::{self, Failure};
use crate::protocol::{self, Compare, KeyValue, Number, Operation, Put, Range, Txn, TxnDone};
use crate::store::{EtcdBucket, snapshot};
use kvfuse_core::{Error, Kind, Result, Snapshot, Swap, Version, counter};
use kvfuse_transport::clock::{Backoff, Clock, Moment};
use kvfuse_transport::http::HttpClient;

enum Guarded {
    Done,
    /// Nothing was written: this is there now.
    Conflict(Option<KeyValue>),
}

impl<H: HttpClient, C: Clock> EtcdBucket<H, C> {
    pub fn add(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let client = &self.shared.client;
        let deadline = client.deadline();
        let mut backoff = Backoff::new(client.clock.now().0);
        let mut before = self.read(key)?;
        loop {
            let sum = counter::add(before.as_ref().map(|found| found.value.0.as_slice()), delta, floor)?;
            let revision = before.as_ref().map_or(Number(0), |found| found.mod_revision);
            match self.put_if(key, revision, &counter::format(sum), before.as_ref(), deadline)? {
                Guarded::Done => return Ok(sum),
                // Others came first. The pause keeps many of them from holding each other up.
                Guarded::Conflict(now) if backoff.wait(&client.clock, deadline) => before = now,
                Guarded::Conflict(_) => {
                    return Err(Error::new(
                        Kind::Timeout,
                        "others kept writing the counter until the time allowed was over; nothing was changed \
                         (KEYVALUE_TIMEOUT_MS sets the limit)",
                    ));
                }
            }
        }
    }

    pub fn swap_guarded(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let revision = match expected {
            Version::Absent => Some(0),
            Version::Number(revision) => i64::try_from(*revision).ok(),
            Version::Tag(_) => None,
        };
        let now = match revision {
            Some(revision) => {
                let deadline = self.shared.client.deadline();
                match self.put_if(key, Number(revision), value, None, deadline)? {
                    Guarded::Done => return Ok(Swap::Done),
                    Guarded::Conflict(now) => now,
                }
            }
            None => self.read(key)?,
        };
        Ok(Swap::Conflict(now.map_or(Ok(Snapshot::ABSENT), snapshot)?))
    }

    /// Writes a value if the key was last modified at `revision` (0: if it is not there). `before` is what was there
    /// then, as far as the caller knows it.
    fn put_if(
        &self,
        key: &str,
        revision: Number,
        value: &[u8],
        before: Option<&KeyValue>,
        deadline: Moment,
    ) -> Result<Guarded> {
        let mut lost: Option<Error> = None;
        let mut backoff = Backoff::new(self.shared.client.clock.now().0);
        loop {
            match self.try_put_if(key, revision, value, deadline) {
                Ok(Guarded::Done) => return Ok(Guarded::Done),
                Ok(Guarded::Conflict(now)) => {
                    return match lost {
                        Some(error) if !was_another(before, now.as_ref(), value) => Err(error),
                        _ => Ok(Guarded::Conflict(now)),
                    };
                }
                Err(Failure::Failed(error)) => return Err(lost.unwrap_or(error)),
                Err(Failure::Unknown(error)) => {
                    if !backoff.wait(&self.shared.client.clock, deadline) {
                        return Err(error);
                    }
                    lost = Some(error);
                }
            }
        }
    }

    fn try_put_if(&self, key: &str, revision: Number, value: &[u8], deadline: Moment) -> Result<Guarded, Failure> {
        let shared = &self.shared;
        let done = shared.write::<TxnDone>(protocol::TXN, deadline, |lease| {
            protocol::encode(&Txn {
                compare: vec![Compare::modified_at(self.key(key), revision)],
                success: vec![Operation::RequestPut(Put { key: self.key(key), value: value.into(), lease })],
                failure: vec![Operation::RequestRange(Range { key: self.key(key), ..Range::default() })],
            })
        })?;
        let Answer::Done(done) = done else {
            return Err(Failure::Failed(error::not_etcd(shared.client.authority())));
        };
        if done.succeeded {
            return Ok(Guarded::Done);
        }
        let ranged = done.responses.into_iter().next().and_then(|done| done.response_range);
        match ranged {
            Some(ranged) => Ok(Guarded::Conflict(ranged.kvs.into_iter().next())),
            // Not having happened is what an answer without `succeeded` says.
            None => Err(Failure::Failed(error::not_etcd(shared.client.authority()))),
        }
    }
}

/// Whether the one write between `before` and `now` was certainly not ours of `value`: there was just one, and it wrote
/// something else.
fn was_another(before: Option<&KeyValue>, now: Option<&KeyValue>, value: &[u8]) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return false };
    now.create_revision == before.create_revision && now.version.0 == before.version.0 + 1 && now.value.0 != value
}
