//! Many keys at once: transactions without a condition, split where they would exceed the limits of a server.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, MAX_ANSWER, Repeat};
use crate::error;
use crate::protocol::{self, DeleteRange, KeyValue, Number, Operation, Put, Range, Ranged, Txn, TxnDone};
use crate::store::EtcdBucket;
use kvfuse_core::Result;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::AsyncHttpClient;
use std::collections::HashSet;

/// The size of keys and values, in bytes, after which a transaction ends: below etcd's --max-request-bytes (1.5 MiB),
/// with room for the encoding. A larger operation is sent by itself, and the server decides.
const BYTES: usize = 1 << 20;

impl<H: AsyncHttpClient, C: AsyncClock> EtcdBucket<H, C> {
    pub(crate) async fn read_all(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.find_all(keys, false, |found| found.map(|found| found.value.0)).await
    }

    /// The lease of each key; 0 for one that has none, or does not exist.
    pub(crate) async fn leases(&self, keys: &[&str]) -> Result<Vec<Number>> {
        self.find_all(keys, true, |found| found.map_or(Number(0), |found| found.lease)).await
    }

    async fn find_all<T>(&self, keys: &[&str], keys_only: bool, of: impl Fn(Option<KeyValue>) -> T) -> Result<Vec<T>> {
        let ranges: Vec<_> =
            keys.iter().map(|key| Range { key: self.key(key), keys_only, ..Range::default() }).collect();
        let found = self.ranges(&ranges, self.shared.client.deadline()).await?;
        Ok(found.into_iter().map(|ranged| of(ranged.kvs.into_iter().next())).collect())
    }

    /// The answer to each range.
    pub(crate) async fn ranges(&self, ranges: &[Range], deadline: Moment) -> Result<Vec<Ranged>> {
        let mut found = Vec::with_capacity(ranges.len());
        self.in_parts(
            (ranges, deadline),
            |range| range.key.0.len(),
            Repeat::Freely,
            |range, _| Operation::Range(range.clone()),
            |done, count| {
                let before = found.len();
                found.extend(done.responses.into_iter().map_while(|response| response.response_range));
                before.checked_add(count) == Some(found.len())
            },
        )
        .await?;
        Ok(found)
    }

    pub(crate) async fn write_all(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        // etcd rejects a transaction that puts a key twice. The last pair counts.
        let mut seen = HashSet::new();
        let mut unique: Vec<_> = pairs.iter().rev().filter(|(key, _)| seen.insert(*key)).copied().collect();
        unique.reverse();
        let size = |(key, value): &(&str, &[u8])| key.len().saturating_add(value.len()).saturating_add(self.base.len());
        self.in_parts(
            (&unique, self.shared.client.deadline()),
            size,
            Repeat::Never,
            |(key, value), lease| Operation::Put(Put { key: self.key(key), value: (*value).into(), lease }),
            |_, _| true,
        )
        .await
    }

    pub(crate) async fn delete_all(&self, keys: &[&str]) -> Result<()> {
        let size = |key: &&str| key.len().saturating_add(self.base.len());
        self.in_parts(
            (keys, self.shared.client.deadline()),
            size,
            Repeat::Never,
            |key, _| Operation::DeleteRange(DeleteRange { key: self.key(key) }),
            |_, _| true,
        )
        .await
    }

    /// Carries out an operation on each item until a deadline, in as few transactions as the limits allow. `take` is called with
    /// each answer and the number of operations in it, and returns whether the answer was complete.
    async fn in_parts<T>(
        &self,
        (items, deadline): (&[T], Moment),
        size: impl Fn(&T) -> usize,
        repeat: Repeat,
        operation: impl Fn(&T, Number) -> Operation,
        mut take: impl FnMut(TxnDone, usize) -> bool,
    ) -> Result<()> {
        let shared = &self.shared;
        let mut rest = items;
        while !rest.is_empty() {
            let (part, after) = rest.split_at_checked(self.part(rest, &size)).unwrap_or((rest, &[]));
            let body = |lease| {
                let success = part.iter().map(|item| operation(item, lease)).collect();
                protocol::encode(&Txn { success, ..Txn::default() })
            };
            let (answer, from) = match repeat {
                Repeat::Never => shared.write(protocol::TXN, deadline, body).await?,
                Repeat::Freely => {
                    let body = body(Number(0));
                    let call = Call { path: protocol::TXN, body: &body, repeat, max_answer: MAX_ANSWER, deadline };
                    shared.client.answer(&call).await?
                }
            };
            match answer {
                Answer::Done(done) => {
                    if !take(done, part.len()) {
                        return Err(error::not_etcd(from));
                    }
                    rest = after;
                }
                // The server has a lower limit, and nothing was done. Another call may know a lower one already.
                Answer::TooManyOperations if part.len() > 1 => {
                    shared.max_operations.set(shared.max_operations.get().min(part.len() / 2));
                }
                Answer::TooLarge => return Err(too_large()),
                _ => return Err(error::not_etcd(from)),
            }
        }
        Ok(())
    }

    /// How many of the items fit into one transaction; at least one.
    fn part<T>(&self, items: &[T], size: &impl Fn(&T) -> usize) -> usize {
        let mut bytes = 0;
        let fitting = items.iter().take(self.shared.max_operations.get()).take_while(|item| {
            bytes = usize::saturating_add(bytes, size(item));
            bytes <= BYTES
        });
        fitting.count().max(1)
    }
}

fn too_large() -> kvfuse_core::Error {
    kvfuse_core::Error::invalid("the requested values are too large for one answer; request fewer at once")
}
