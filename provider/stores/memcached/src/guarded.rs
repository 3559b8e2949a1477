//! Increments and compare-and-swap: writes that Memcached refuses if the item has another version than was read.
//!
//! The version of an item is its unique number, which counts the writes of one server process, together with that process: another
//! one, or the same one started again, gives the same numbers to other items. A guarded write is only sent on a connection to the
//! process that gave the number.
//!
//! Memcached's own arithmetic is not used. It knows no negative numbers, wraps around at 2^64, stops at 0 without saying so, and
//! leaves spaces behind numbers that became shorter.

use crate::client::only;
use crate::error::{self, Failure};
use crate::lifetimes;
use crate::protocol::{Flags, Reply, Request};
use crate::store::MemcachedBucket;
use kvfuse_core::{Result, Snapshot, Swap, Version, counter};
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment};
use kvfuse_transport::sockets::Network;
use kvfuse_transport::turns::contended;

/// What a key was seen with.
pub(crate) struct Seen {
    /// Its value and flags, and the process that it was seen in.
    item: Option<(Vec<u8>, Flags, Guard)>,
}

/// The version of an item.
#[derive(Clone, Copy)]
struct Guard {
    process: u64,
    number: u64,
}

impl Guard {
    fn version(self) -> Version {
        Version::Tag([self.process.to_be_bytes(), self.number.to_be_bytes()].concat().into())
    }

    fn of(tag: &[u8]) -> Option<Self> {
        let (process, number) = tag.split_first_chunk()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some(Self { process: u64::from_be_bytes(*process), number })
    }
}

impl Seen {
    pub fn snapshot(self) -> Snapshot {
        match self.item {
            None => Snapshot::ABSENT,
            Some((value, _, guard)) => Snapshot { value: Some(value), version: guard.version() },
        }
    }
}

impl<N: Network, C: AsyncClock> MemcachedBucket<N, C> {
    /// Reads a key with all that a guarded write of it needs.
    pub(crate) async fn see(&self, key: &str, deadline: Moment) -> Result<Seen> {
        let (client, name) = (&self.client, self.space.name(key));
        let mut request = Request::default();
        request.read(&name, "v c t f");
        let seen = client.attempt(client.server_of(&name), deadline, async |link| {
            if !link.process.has_versions {
                return Err(Failure::Refused(error::no_versions()));
            }
            Ok((link.ask(&request, deadline).await?, link.process.id))
        });
        let (replies, process) = seen.await?;
        match only(replies)? {
            Reply::Missing => Ok(Seen { item: None }),
            Reply::Value(value, flags) => {
                let number = flags.version.ok_or_else(|| error::unexpected("mg"))?;
                Ok(Seen { item: Some((value, flags, Guard { process, number })) })
            }
            _ => Err(error::unexpected("mg")),
        }
    }

    pub(crate) async fn add(&self, key: &str, delta: i64, floor: i64, deadline: Moment) -> Result<i64> {
        let client = &self.client;
        let mut backoff = Backoff::new(client.clock.now().0);
        loop {
            let seen = self.see(key, deadline).await?;
            let sum = counter::add(seen.item.as_ref().map(|(value, ..)| value.as_slice()), delta, floor)?;
            let sum_text = counter::format(sum);
            let done = match seen.item {
                None => self.put(key, &sum_text, None, "ME", deadline).await?,
                Some((_, flags, guard)) => self.put_if(key, guard, Some(flags), &sum_text, deadline).await?,
            };
            if done {
                return Ok(sum);
            }
            // Someone else was first. The pause keeps many writers from blocking each other.
            if !backoff.wait_async(&client.clock, deadline).await {
                return Err(contended(client.config.time_limit));
            }
        }
    }

    pub(crate) async fn swap_guarded(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let deadline = self.client.deadline();
        let done = match expected {
            Version::Absent => self.put(key, value, None, "ME", deadline).await?,
            Version::Tag(tag) => match Guard::of(tag) {
                Some(guard) => self.put_if(key, guard, None, value, deadline).await?,
                None => false,
            },
            Version::Number(_) => false,
        };
        if done { Ok(Swap::Done) } else { self.see(key, deadline).await.map(|seen| Swap::Conflict(seen.snapshot())) }
    }

    /// Sets a key if it still has this version, and returns whether it had. `keeping` are its flags if its lifetime is to be kept.
    async fn put_if(
        &self,
        key: &str,
        guard: Guard,
        keeping: Option<Flags>,
        value: &[u8],
        deadline: Moment,
    ) -> Result<bool> {
        let (client, name) = (&self.client, self.space.name(key));
        let written = client.attempt(client.server_of(&name), deadline, async |link| {
            link.process.check_size(&name, value)?;
            if link.process.id != guard.process {
                return Ok(None);
            }
            let mut flags = format!("C{}", guard.number);
            if let Some(item) = keeping {
                let kept = lifetimes::kept(link, item, &client.clock, deadline).await?;
                flags.push(' ');
                flags.push_str(&kept);
            }
            let mut request = Request::default();
            request.store(&name, value, flags.trim_end());
            link.tell(&request, deadline).await.map(Some)
        });
        let Some(replies) = written.await? else { return Ok(false) };
        match only(replies)? {
            Reply::Done(_) => Ok(true),
            Reply::Exists | Reply::NotFound | Reply::NotStored => Ok(false),
            _ => Err(error::unexpected("ms")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_holds_its_process_and_its_number_and_no_other_tag_is_one() {
        let guard = Guard { process: (1 << 63) | 7, number: 9 };
        let Version::Tag(tag) = guard.version() else { panic!("a tag") };
        assert!(Guard::of(&tag).is_some_and(|guard| (guard.process, guard.number) == ((1 << 63) | 7, 9)));
        for other in [&b""[..], b"1234567", &tag[1..], &[0; 17]] {
            assert!(Guard::of(other).is_none());
        }
    }
}
