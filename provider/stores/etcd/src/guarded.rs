//! Writes that fail if the key has changed since it was read: increments and swaps.
//!
//! A guarded write whose answer is lost is sent again unchanged, if it expects a revision. If that succeeds, the first one had
//! not happened, and no longer can, because the revision that guards it is past: the write happened exactly once. If it fails,
//! the key was written in between, possibly by the first one. If the key's current state shows that it was another write, the
//! operation continues. Otherwise its outcome is unknown, and so is that of a write that expects no key and whose answer is lost.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, MAX_ANSWER, Repeat};
use crate::error::{self, Failure};
use crate::protocol::{self, Compare, KeyValue, Number, Operation, Put, Range, Txn, TxnDone};
use crate::store::{EtcdBucket, snapshot};
use kvfuse_core::{Error, Result, Snapshot, Swap, Version, counter};
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment};
use kvfuse_transport::http::AsyncHttpClient;
use kvfuse_transport::turns::contended;

enum Guarded {
    Done,
    /// Nothing was written. This is what the key holds now.
    Conflict(Option<KeyValue>),
}

impl<H: AsyncHttpClient, C: AsyncClock> EtcdBucket<H, C> {
    pub(crate) async fn add(&self, key: &str, delta: i64, floor: i64, deadline: Moment) -> Result<i64> {
        let client = &self.shared.client;
        let mut backoff = Backoff::new(client.clock.now().0);
        let mut before = self.read(key).await?;
        loop {
            let sum = counter::add(before.as_ref().map(|found| found.value.0.as_slice()), delta, floor)?;
            let revision = before.as_ref().map_or(Number(0), |found| found.mod_revision);
            match self.put_if(key, revision, &counter::format(sum), before.as_ref(), None, deadline).await? {
                Guarded::Done => return Ok(sum),
                // Someone else was first. The pause keeps many writers from blocking each other.
                Guarded::Conflict(now) if backoff.wait_async(&client.clock, deadline).await => before = now,
                Guarded::Conflict(_) => return Err(contended(client.config.time_limit)),
            }
        }
    }

    pub(crate) async fn swap_guarded(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let revision = match expected {
            Version::Absent => Some(0),
            Version::Number(revision) => i64::try_from(*revision).ok(),
            Version::Tag(_) => None,
        };
        let now = match revision {
            Some(revision) => {
                let deadline = self.shared.client.deadline();
                match self.put_if(key, Number(revision), value, None, None, deadline).await? {
                    Guarded::Done => return Ok(Swap::Done),
                    Guarded::Conflict(now) => now,
                }
            }
            None => self.read(key).await?,
        };
        Ok(Swap::Conflict(now.map_or(Ok(Snapshot::ABSENT), snapshot)?))
    }

    /// Whether the key did not exist and was written.
    pub(crate) async fn put_if_absent(
        &self,
        key: &str,
        value: &[u8],
        lease: Option<Number>,
        deadline: Moment,
    ) -> Result<bool> {
        Ok(matches!(self.put_if(key, Number(0), value, None, lease, deadline).await?, Guarded::Done))
    }

    /// Writes a value if the key was last modified at `revision` (0: if it does not exist). `before` is its state at
    /// that revision, if the caller knows it. Without a `lease` of its own it gets that of all keys, if they have one.
    async fn put_if(
        &self,
        key: &str,
        revision: Number,
        value: &[u8],
        before: Option<&KeyValue>,
        lease: Option<Number>,
        deadline: Moment,
    ) -> Result<Guarded> {
        let mut lost: Option<Error> = None;
        let mut backoff = Backoff::new(self.shared.client.clock.now().0);
        loop {
            match self.try_put_if(key, revision, value, lease, deadline).await {
                Ok(Guarded::Done) => return Ok(Guarded::Done),
                Ok(Guarded::Conflict(now)) => {
                    return match lost {
                        Some(error) if !was_another(before, now.as_ref(), value) => Err(error),
                        _ => Ok(Guarded::Conflict(now)),
                    };
                }
                Err(Failure::Failed(error)) => return Err(lost.unwrap_or(error)),
                Err(Failure::Unknown(error)) => {
                    // That a key is absent is no revision. It is so again when the key was written, and then deleted.
                    if revision == Number(0) || !backoff.wait_async(&self.shared.client.clock, deadline).await {
                        return Err(error);
                    }
                    lost = Some(error);
                }
            }
        }
    }

    async fn try_put_if(
        &self,
        key: &str,
        revision: Number,
        value: &[u8],
        lease: Option<Number>,
        deadline: Moment,
    ) -> Result<Guarded, Failure> {
        let (shared, client) = (&self.shared, &self.shared.client);
        let request = |lease| {
            protocol::encode(&Txn {
                compare: vec![Compare::modified_at(self.key(key), revision)],
                success: vec![Operation::Put(Put { key: self.key(key), value: value.into(), lease })],
                failure: vec![Operation::Range(Range { key: self.key(key), ..Range::default() })],
            })
        };
        let (done, from) = match lease {
            None => shared.write::<TxnDone>(protocol::TXN, deadline, request).await?,
            Some(lease) => {
                let body = request(lease);
                let (path, repeat) = (protocol::TXN, Repeat::Never);
                match client.answer(&Call { path, body: &body, repeat, max_answer: MAX_ANSWER, deadline }).await? {
                    // It ended before the key was written.
                    (Answer::NewLease, from) => {
                        return Err(Failure::Failed(error::timed_out(&client.config, from)));
                    }
                    answer => answer,
                }
            }
        };
        let Answer::Done(done) = done else {
            return Err(Failure::Failed(error::not_etcd(from)));
        };
        if done.succeeded {
            return Ok(Guarded::Done);
        }
        let ranged = done.responses.into_iter().next().and_then(|done| done.response_range);
        match ranged {
            Some(ranged) => Ok(Guarded::Conflict(ranged.kvs.into_iter().next())),
            // An answer without `succeeded` means that nothing was written.
            None => Err(Failure::Failed(error::not_etcd(from))),
        }
    }
}

/// Whether it is certain that our write of `value` is not what happened between `before` and `now`: there was exactly
/// one write, of something else.
fn was_another(before: Option<&KeyValue>, now: Option<&KeyValue>, value: &[u8]) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return false };
    let next = before.version.0.checked_add(1);
    now.create_revision == before.create_revision && next == Some(now.version.0) && now.value.0 != value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Bytes;

    #[test]
    fn another_write_is_only_what_is_certain_to_be_one() {
        let state = |created, version, value: &[u8]| KeyValue {
            create_revision: Number(created),
            version: Number(version),
            value: Bytes(value.to_vec()),
            ..KeyValue::default()
        };
        let before = state(5, 1, b"a");
        let is_another = |now: &KeyValue| was_another(Some(&before), Some(now), b"ours");
        assert!(is_another(&state(5, 2, b"theirs")));
        assert!(!is_another(&state(5, 2, b"ours")), "it may be ours");
        assert!(!is_another(&state(5, 3, b"theirs")), "ours may have been the first of two");
        assert!(!is_another(&state(6, 2, b"theirs")), "it was deleted in between");
        assert!(!was_another(Some(&before), None, b"ours") && !was_another(None, Some(&before), b"ours"));
        // A version that has no successor: only a faulty server sends it.
        let last = state(5, i64::MAX, b"a");
        assert!(!was_another(Some(&last), Some(&state(5, i64::MIN, b"theirs")), b"ours"));
    }
}
