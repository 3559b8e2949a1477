//! Compare-and-swap. Redis numbers no versions, so:
//!
//! - **In the string layouts** a snapshot is `WATCH` and `GET`, and the watch is held on that connection until the swap,
//!   `MULTI`, `SET`, `EXEC`: Redis itself then refuses if anything wrote the key in between, be it the same value again.
//!   A version is the number of that watch. When a watch is lost (the connection broke, or more than
//!   [`MAX_LINKS`](crate::engine::MAX_LINKS) snapshots were out at once), nobody can tell whether the key was written,
//!   and the swap is a conflict: a swap never succeeds wrongly, but can fail without need.
//! - **In the hash layout** a watch would cover the whole bucket, and any write to it would fail the swap: a busy bucket
//!   would never see one succeed. There the version is the value itself, compared on the server; that the value went
//!   away and came back is not noticed.
//!
//! An absent key needs no watch in either: `SET … NX` and `HSETNX` ask exactly that.

use crate::engine::MAIN;
use crate::error::{self, Failure};
use crate::protocol::{Reply, Request};
use crate::store::{RedisBucket, value, watch_and_read};
use kvfuse_core::{Error, Result, Snapshot, Swap, Version};
use kvfuse_transport::clock::{Backoff, Clock};
use kvfuse_transport::sockets::Network;

/// Sets a field if it holds what it held. Gives OK, or what it holds now.
const SWAP_FIELD: &[u8] = b"\
local now = redis.call('HGET', KEYS[1], ARGV[1]) \
if now ~= ARGV[2] then return now end \
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) \
return redis.status_reply('OK')";

impl<N: Network, C: Clock> RedisBucket<N, C> {
    pub fn snapshot_watched(&self, key: &str) -> Result<Snapshot> {
        let redis_key = self.space.key(key);
        let deadline = self.engine.deadline();
        self.engine.attempt(self.engine.free_slot(), deadline, |link| {
            let request = watch_and_read(link.watches, &redis_key, &[b"GET", &redis_key]);
            link.watches = true;
            link.holds = None;
            let current = value(last(link.ask(&request, deadline)?)?).map_err(Failure::Refused)?;
            let Some(current) = current else { return Ok(Snapshot::ABSENT) };
            let version = self.engine.new_version();
            link.holds = Some(version);
            Ok(Snapshot { value: Some(current), version: Version::Number(version) })
        })
    }

    pub fn swap_watched(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let done = match expected {
            Version::Absent => {
                let redis_key = self.space.key(key);
                match self.engine.tell(&Request::of(&[b"SET", &redis_key, value, b"NX"]))? {
                    Reply::Null => false,
                    reply if reply.is_ok() => true,
                    _ => return Err(error::unexpected("SET")),
                }
            }
            Version::Number(version) => self.swap_if_held(key, *version, value)?,
            Version::Tag(_) => false,
        };
        if done { Ok(Swap::Done) } else { self.snapshot_watched(key).map(Swap::Conflict) }
    }

    /// Whether the swap was done.
    fn swap_if_held(&self, key: &str, version: u64, value: &[u8]) -> Result<bool> {
        let Some(slot) = self.engine.slot_of(version) else { return Ok(false) };
        let redis_key = self.space.key(key);
        let mut request = Request::of(&[b"MULTI"]);
        request.command(&[b"SET", &redis_key, value]).command(&[b"EXEC"]);
        let deadline = self.engine.deadline();
        self.engine.attempt(slot, deadline, |link| {
            // A connection opened anew, or whose transaction was tried once, watches nothing any more.
            if link.holds.take() != Some(version) {
                return Ok(false);
            }
            link.watches = false;
            executed(link.tell(&request, deadline)?).map(|replies| replies.is_some())
        })
    }

    pub fn snapshot_of_field(&self, key: &str) -> Result<Snapshot> {
        let current = value(self.engine.ask(&Request::of(&[b"HGET", self.space.base(), key.as_bytes()]))?)?;
        Ok(snapshot_by_value(current))
    }

    pub fn swap_field(&self, key: &str, expected: &Version, new: &[u8]) -> Result<Swap> {
        let base = self.space.base();
        match expected {
            Version::Absent => match self.engine.tell(&Request::of(&[b"HSETNX", base, key.as_bytes(), new]))? {
                Reply::Integer(1) => Ok(Swap::Done),
                Reply::Integer(_) => self.snapshot_of_field(key).map(Swap::Conflict),
                _ => Err(error::unexpected("HSETNX")),
            },
            Version::Number(_) => self.snapshot_of_field(key).map(Swap::Conflict),
            Version::Tag(old) => {
                if !self.engine.no_scripts.get() {
                    let script = Request::of(&[b"EVAL", SWAP_FIELD, b"1", base, key.as_bytes(), old, new]);
                    match self.engine.tell_all(&script)?.into_iter().next() {
                        Some(Reply::Error(line)) if error::denies_command(&line) => self.engine.no_scripts.set(true),
                        Some(reply) if reply.is_ok() => return Ok(Swap::Done),
                        Some(reply) => return Ok(Swap::Conflict(snapshot_by_value(value(reply)?))),
                        None => return Err(error::unexpected("EVAL")),
                    }
                }
                self.swap_field_watched(key, old, new)
            }
        }
    }

    /// The same without a script: compared here, while the bucket is watched, and again after a write to any of it.
    fn swap_field_watched(&self, key: &str, old: &[u8], new: &[u8]) -> Result<Swap> {
        let (base, field) = (self.space.base(), key.as_bytes());
        let mut transaction = Request::of(&[b"MULTI"]);
        transaction.command(&[b"HSET", base, field, new]).command(&[b"EXEC"]);
        let deadline = self.engine.deadline();
        let mut backoff = Backoff::new(self.engine.clock.now().0);
        loop {
            let swap = self.engine.attempt(MAIN, deadline, |link| {
                let request = watch_and_read(link.watches, base, &[b"HGET", base, field]);
                link.watches = true;
                link.holds = None;
                let current = value(last(link.ask(&request, deadline)?)?).map_err(Failure::Refused)?;
                if current.as_deref() != Some(old) {
                    return Ok(Some(Swap::Conflict(snapshot_by_value(current))));
                }
                link.watches = false;
                Ok(executed(link.tell(&transaction, deadline)?)?.map(|_| Swap::Done))
            })?;
            match swap {
                Some(swap) => return Ok(swap),
                None if backoff.wait(&self.engine.clock, deadline) => {}
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

/// What `EXEC`, the last command of a transaction, answered: `None` if a watched key had been written, else the replies
/// of the commands in it.
pub(crate) fn executed(replies: Vec<Reply>) -> Result<Option<Vec<Reply>>, Failure> {
    // The first error is the reason; EXEC's own only says that there was one.
    for reply in &replies {
        if let Reply::Error(line) = reply {
            return Err(Failure::Refused(error::from_reply(line)));
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

/// The last reply, unless one before it is an error.
pub(crate) fn last(mut replies: Vec<Reply>) -> Result<Reply, Failure> {
    let last = replies.pop().ok_or_else(|| Failure::Refused(error::unexpected("a command")))?;
    match replies.into_iter().find(|reply| matches!(reply, Reply::Error(_))) {
        Some(Reply::Error(line)) => Err(Failure::Refused(error::from_reply(&line))),
        _ => Ok(last),
    }
}

pub(crate) fn contended() -> Error {
    Error::new(
        kvfuse_core::Kind::Timeout,
        "others kept writing the same place until the time allowed was over; nothing was changed (KEYVALUE_TIMEOUT_MS sets \
         the limit, and with scripting permitted this does not happen)",
    )
}
