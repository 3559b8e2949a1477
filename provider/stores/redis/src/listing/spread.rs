//! Listings of a bucket that is spread over the nodes of a cluster.
//!
//! What has to be covered is all slots, whoever has them: each is covered by the whole scan of a node at which all of its keys
//! were from the first step to the last. Slots that were moved meanwhile, from or to the node, do not count, and are covered by
//! another scan later. So it does not matter how slots move between the pages, and the cursor says which ones are covered.
#![deny(clippy::arithmetic_side_effects)]

use super::{Covered, Draft, End, FIRST_COUNT, Position, SMALL_REST};
use crate::runs::Run;
use crate::slots::{SlotSet, slot_of};
use crate::store::RedisBucket;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::clock::{AsyncClock, Backoff};
use kvfuse_transport::sockets::Network;

impl<N: Network + 'static, C: AsyncClock + 'static> RedisBucket<N, C> {
    /// Scans one node after the other from a position until the page is full or all slots are covered, and moves the position
    /// along.
    pub(super) async fn fill_spread(
        &self,
        draft: &mut Draft,
        prefix: &str,
        position: &mut Position,
        covered: &mut Covered,
        run: &mut Run,
    ) -> Result<End> {
        let (client, begun) = (&self.client, self.client.clock.now());
        // After half of the time limit.
        let is_late = || client.clock.now().since(begun).saturating_mul(2) > client.config.time_limit;
        let mut backoff = Backoff::new(begun.0);
        // Those that cannot be covered at the moment, because they are being moved.
        let mut moving = SlotSet::default();
        let mut count = FIRST_COUNT;
        // The slot by which the node of the scan was found.
        let mut found_by = None;
        loop {
            let of_scan = found_by.filter(|slot| covered.now.contains(*slot)).or_else(|| covered.now.first());
            let of_scan = of_scan.filter(|_| position.scan != 0);
            let Some(slot) = of_scan.or_else(|| covered.done.first_missing(&moving)) else {
                if moving.is_empty() {
                    return Ok(End::Bucket);
                }
                if !draft.keys.is_empty() {
                    return Ok(End::Page);
                }
                if !backoff.wait_async(&client.clock, client.deadline()).await || is_late() {
                    return Err(being_moved());
                }
                moving = SlotSet::default();
                continue;
            };
            if of_scan.is_none() {
                position.scan = 0;
            }
            found_by = Some(slot);
            let scanned = self.scan(Some(slot), position.scan, prefix, count).await?;
            let has_moved = position.scan != 0 && scanned.server != position.server;
            position.server = scanned.server;
            if has_moved {
                // Another node answers: this one was replaced, or the map of slots was old.
                client.cluster.doubt();
                if !run.is_complete {
                    return Err(changed());
                }
                position.scan = 0;
                if is_late() {
                    return Ok(End::Page);
                }
                continue;
            }
            if position.scan == 0 {
                covered.now = scanned.own;
                covered.now.subtract(&covered.done);
            } else {
                covered.now.keep(&scanned.own);
            }
            if covered.now.is_empty() {
                moving.insert(slot);
                position.scan = 0;
                client.cluster.doubt();
                continue;
            }
            let names = scanned.names.into_iter().filter(|name| covered.now.contains(slot_of(name)));
            let keys = names.filter_map(|name| self.space.key_of(name)).filter(|key| key.starts_with(prefix));
            if !draft.add(keys, &self.runs, run) {
                return Ok(End::Page);
            }
            position.scan = scanned.next;
            if scanned.next == 0 {
                covered.done.add(&covered.now);
                covered.now = SlotSet::default();
                if covered.done.first_missing(&SlotSet::default()).is_none() {
                    return Ok(End::Bucket);
                }
            }
            count = draft.room();
            if count < SMALL_REST || is_late() {
                return Ok(End::Page);
            }
        }
    }
}

fn changed() -> Error {
    Error::invalid(
        "a node of the Redis Cluster was replaced, or its slots were moved, after another instance returned this cursor, so keys \
         might be returned twice; start the listing again without a cursor",
    )
}

fn being_moved() -> Error {
    Error::new(
        Kind::Unavailable,
        "some keys are just being moved from one node of the Redis Cluster to another; ask for this page again",
    )
}
