//! Snapshots and compare-and-swap. Redis has no version numbers, so:
//!
//! - **In the string layouts** a snapshot is `WATCH` and `GET`. The watch stays on that connection until the swap,
//!   which is `MULTI`, `SET`, `EXEC`: Redis rejects it if anything wrote the key in between, even the same value. The
//!   version is the number of that watch. If the watch is lost (because the connection broke, or because more than
//!   [`MAX_LINKS`](crate::node::MAX_LINKS) snapshots were open at once), it is unknown whether the key was written,
//!   and the swap is a conflict. A swap never succeeds wrongly, but it can fail needlessly.
//! - **In the hash layout** a watch would cover the whole bucket, and any write to the bucket would fail the swap. In a
//!   busy bucket none would ever succeed. So the version is the value itself, compared on the server. A value that is
//!   replaced and then restored goes unnoticed.
//!
//! As text (for the interfaces that hand versions out) a watch also names its instance: in another one it is a version that the
//! key no longer has.
//!
//! An absent key needs no watch in either layout: `SET … NX` and `HSETNX` do exactly that.

use crate::error::{self, Failure};
use crate::node::{MAIN, Node};
use crate::protocol::{Reply, Request};
use crate::store::{RedisBucket, value, watch_and_read};
use kvfuse_core::{Error, Result, Snapshot, Swap, Version};
use kvfuse_transport::clock::{AsyncClock, Backoff};
use kvfuse_transport::sockets::Network;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Sets a field if its value is still the expected one. Returns OK, or the current value.
const SWAP_FIELD: &[u8] = b"\
local now = redis.call('HGET', KEYS[1], ARGV[1]) \
if now ~= ARGV[2] then return now end \
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) \
return redis.status_reply('OK')";

impl<N: Network + 'static, C: AsyncClock + 'static> RedisBucket<N, C> {
    pub(crate) async fn snapshot_watched(&self, key: &str) -> Result<Snapshot> {
        let redis_key = self.space.key(key);
        let deadline = self.client.deadline();
        let taken = self.client.attempt(self.space.route(key), Node::free_place, deadline, async |link| {
            let request = watch_and_read(link.watches, &redis_key, &[b"GET", &redis_key]);
            link.watches = true;
            link.holds = None;
            let current = value(last(link.ask(&request, deadline).await?)?).map_err(Failure::Refused)?;
            let Some(current) = current else { return Ok(Snapshot::ABSENT) };
            let version = self.client.new_version();
            link.holds = Some(version);
            Ok(Snapshot { value: Some(current), version: Version::Number(version) })
        });
        taken.await
    }

    /// A watch means something to this instance and for this key only, and its text says so: `{number}.{instance}.{check}`, the
    /// last two in hexadecimal. The version of a field is its value.
    pub(crate) fn text_of_version(&self, key: &str, version: &Version) -> String {
        match version {
            Version::Number(number) => format!("{number}.{:x}.{:x}", self.client.instance, self.check(key, *number)),
            other => other.to_text(),
        }
    }

    pub(crate) fn version_in_text(&self, key: &str, text: &str) -> Option<Version> {
        if self.is_hash() {
            return Version::from_text(text);
        }
        let version = Version::Number(text.split('.').next()?.parse().ok()?);
        (self.text_of_version(key, &version) == text).then_some(version)
    }

    fn check(&self, key: &str, number: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.client.instance, number);
        hasher.write(&self.space.key(key));
        hasher.finish()
    }

    pub(crate) async fn swap_watched(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let done = match expected {
            Version::Absent => {
                let redis_key = self.space.key(key);
                match self.client.tell(self.space.route(key), &Request::of(&[b"SET", &redis_key, value, b"NX"])).await?
                {
                    Reply::Null => false,
                    reply if reply.is_ok() => true,
                    _ => return Err(error::unexpected("SET")),
                }
            }
            Version::Number(version) => self.swap_if_held(key, *version, value).await?,
            Version::Tag(_) => false,
        };
        if done { Ok(Swap::Done) } else { self.snapshot_watched(key).await.map(Swap::Conflict) }
    }

    /// Returns whether the value was written.
    async fn swap_if_held(&self, key: &str, version: u64, value: &[u8]) -> Result<bool> {
        let Some((node, number)) = self.client.holder(version) else { return Ok(false) };
        let redis_key = self.space.key(key);
        let mut request = Request::of(&[b"MULTI"]);
        request.command(&[b"SET", &redis_key, value]).command(&[b"EXEC"]);
        let deadline = self.client.deadline();
        let swapped = self.client.try_on((&node, number), deadline, async |link| {
            // A new connection watches nothing, and neither does one on which the transaction was already tried.
            if link.holds.take() != Some(version) {
                return Ok(false);
            }
            link.watches = false;
            // A node that was being given the key when it was read may still be.
            link.asking = self.space.is_spread();
            executed(link.tell(&request, deadline).await?).map(|replies| replies.is_some())
        });
        // Where it was refused because the key, or the primary, is elsewhere by now, nobody watches it.
        Ok(swapped.await?.unwrap_or(false))
    }

    pub(crate) async fn snapshot_of_field(&self, key: &str) -> Result<Snapshot> {
        let read = Request::of(&[b"HGET", self.space.base(), key.as_bytes()]);
        let current = value(self.client.ask(self.space.route(key), &read).await?)?;
        Ok(snapshot_by_value(current))
    }

    pub(crate) async fn swap_field(&self, key: &str, expected: &Version, new: &[u8]) -> Result<Swap> {
        let (base, route) = (self.space.base(), self.space.route(key));
        match expected {
            Version::Absent => {
                match self.client.tell(route, &Request::of(&[b"HSETNX", base, key.as_bytes(), new])).await? {
                    Reply::Integer(1) => Ok(Swap::Done),
                    Reply::Integer(_) => self.snapshot_of_field(key).await.map(Swap::Conflict),
                    _ => Err(error::unexpected("HSETNX")),
                }
            }
            Version::Number(_) => self.snapshot_of_field(key).await.map(Swap::Conflict),
            Version::Tag(old) => {
                if !self.client.no_scripts.get() {
                    let script = Request::of(&[b"EVAL", SWAP_FIELD, b"1", base, key.as_bytes(), old, new]);
                    match self.client.tell_all(route, &script).await?.into_iter().next() {
                        Some(Reply::Error(line)) if error::denies_command(&line) => self.client.no_scripts.set(true),
                        Some(reply) if reply.is_ok() => return Ok(Swap::Done),
                        Some(reply) => return Ok(Swap::Conflict(snapshot_by_value(value(reply)?))),
                        None => return Err(error::unexpected("EVAL")),
                    }
                }
                self.swap_field_watched(key, old, new).await
            }
        }
    }

    /// The same without a script: the value is compared here while the bucket is watched, and again after any write to
    /// the bucket.
    async fn swap_field_watched(&self, key: &str, old: &[u8], new: &[u8]) -> Result<Swap> {
        let (base, field) = (self.space.base(), key.as_bytes());
        let mut transaction = Request::of(&[b"MULTI"]);
        transaction.command(&[b"HSET", base, field, new]).command(&[b"EXEC"]);
        let deadline = self.client.deadline();
        let mut backoff = Backoff::new(self.client.clock.now().0);
        loop {
            let swap = self.client.attempt(
                self.space.route(key),
                |_| MAIN,
                deadline,
                async |link| {
                    let request = watch_and_read(link.watches, base, &[b"HGET", base, field]);
                    link.watches = true;
                    link.holds = None;
                    let current = value(last(link.ask(&request, deadline).await?)?).map_err(Failure::Refused)?;
                    if current.as_deref() != Some(old) {
                        return Ok(Some(Swap::Conflict(snapshot_by_value(current))));
                    }
                    link.watches = false;
                    Ok(executed(link.tell(&transaction, deadline).await?)?.map(|_| Swap::Done))
                },
            );
            match swap.await? {
                Some(swap) => return Ok(swap),
                None if backoff.wait_async(&self.client.clock, deadline).await => {}
                None => return Err(contended()),
            }
        }
    }
}

fn snapshot_by_value(value: Option<Vec<u8>>) -> Snapshot {
    match value {
        None => Snapshot::ABSENT,
        Some(value) => Snapshot { version: Version::Tag(value.clone().into_boxed_slice()), value: Some(value) },
    }
}

/// The outcome of a transaction, whose last command is `EXEC`: `None` if a watched key was written, otherwise the
/// replies to its commands.
pub(crate) fn executed(replies: Vec<Reply>) -> Result<Option<Vec<Reply>>, Failure> {
    // The first error is the reason; that of EXEC only says that there was one, and nothing happened.
    for reply in &replies {
        if let Reply::Error(line) = reply {
            return Err(error::refusal(line));
        }
    }
    match last(replies)? {
        Reply::Null => Ok(None),
        Reply::Array(replies) => match replies.iter().find_map(|reply| match reply {
            Reply::Error(line) => Some(error::from_reply(line)),
            _ => None,
        }) {
            Some(error) => Err(Failure::Refused(error)),
            None => Ok(Some(replies)),
        },
        _ => Err(Failure::Refused(error::unexpected("EXEC"))),
    }
}

/// The last reply, unless one of them is an error.
pub(crate) fn last(mut replies: Vec<Reply>) -> Result<Reply, Failure> {
    if let Some(Reply::Error(line)) = replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
        return Err(error::refusal(line));
    }
    replies.pop().ok_or_else(|| Failure::Refused(error::unexpected("a command")))
}

pub(crate) fn contended() -> Error {
    Error::new(
        kvfuse_core::Kind::Timeout,
        "timed out because other clients kept writing the same key; nothing was changed (KEYVALUE_TIMEOUT_MS sets the \
         limit; with scripts allowed this does not happen)",
    )
}
