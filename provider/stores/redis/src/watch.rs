//! Watching, by client-side caching: `CLIENT TRACKING` in broadcast mode (Redis 6 and newer).
//!
//! The server names every key that begins with the bucket's base and was changed, deleted, expired or evicted; the
//! watch then reads the value. Redis keeps no log: keys that change while there is no connection are not named later.
//! So after a lost connection, all keys are delivered, and the watch reports that deletions may be missing.
//!
//! The alternative, keyspace notifications, loses as much, has to be enabled in the server's configuration, and sends
//! one message for each command instead of one for each key.

use crate::client::Client;
use crate::error::{self, Failure};
use crate::link::{Link, decode};
use crate::protocol::{Reply, Request};
use crate::store::RedisBucket;
use kvfuse_core::waiting::at_once;
use kvfuse_core::watch::{Everything, From, MOST_BYTES, MOST_CHANGES};
use kvfuse_core::{Bucket, Change, Changes, Error, Kind, Result, Watch};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Input, Network, Output};
use std::collections::VecDeque;
use std::time::Duration;

/// How long the server may be silent before it is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(10);

const LOST: &str = "the connection to Redis was lost, and Redis keeps no log: deletions in between may be missing";
const FLUSHED: &str = "the Redis database was emptied, so it is not known which keys were deleted";

pub struct RedisWatch<N: Network, C> {
    bucket: RedisBucket<N, C>,
    prefix: String,
    /// `None` once the connection was lost.
    link: Option<Link<N>>,
    /// When something was heard last.
    heard: Moment,
    /// Keys that changed and whose values were not read yet.
    changed: VecDeque<String>,
    /// How many of them are read at once.
    at_once: usize,
    everything: Option<Everything>,
    missed: Option<String>,
}

impl<N: Network + 'static, C: AsyncClock + 'static> RedisWatch<N, C> {
    pub fn new(bucket: RedisBucket<N, C>, prefix: &str, from: From<'_>) -> Result<Self> {
        if bucket.is_hash() {
            return Err(Error::unsupported(
                "in the layout `hash` Redis reports only that a bucket changed, not which keys; watch buckets in the \
                 layout `prefix`",
            ));
        }
        if bucket.client.config.is_cluster() {
            return Err(Error::unsupported(
                "in a Redis Cluster each node reports only the changes of its own keys, and nothing reports that a key was moved \
                 to another node meanwhile; watch a bucket on one server, or on the primary of sentinels",
            ));
        }
        let everything = match from {
            From::Now => None,
            From::Beginning => Some(Everything::default()),
            From::Position(_) => {
                return Err(Error::unsupported(
                    "Redis keeps no log of changes, so there is no position to continue from; watch from now on, or \
                     from the beginning",
                ));
            }
        };
        let heard = bucket.client.clock.now();
        let prefix = prefix.to_string();
        let (changed, at_once) = (VecDeque::new(), 1);
        let mut watch = Self { bucket, prefix, link: None, heard, changed, at_once, everything, missed: None };
        watch.link = Some(watch.connect()?);
        Ok(watch)
    }

    fn client(&self) -> &Client<N, C> {
        &self.bucket.client
    }

    /// A connection on which the server names the keys that change.
    fn connect(&mut self) -> Result<Link<N>> {
        let link = at_once(async { self.tracking().await.map_err(|failure| self.error(failure)) })?;
        self.heard = self.client().clock.now();
        Ok(link)
    }

    async fn tracking(&self) -> Result<Link<N>, Failure> {
        let deadline = self.client().deadline();
        let base = self.bucket.space.base();
        let mut tracking: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON", b"BCAST"];
        if !base.is_empty() {
            tracking.extend([&b"PREFIX"[..], base]);
        }
        let request = Request::of(&tracking);
        let mut link = self.client().link(deadline).await?;
        // Whether this server supports the protocol in which it can send messages unasked.
        let hello = link.ask(&Request::of(&[b"HELLO", b"3"]), deadline).await?;
        if !matches!(hello.first(), Some(Reply::Array(_))) {
            return Err(Failure::Refused(Error::unsupported(
                "this server cannot report changes: watching needs Redis 6 or newer, or Valkey",
            )));
        }
        link.listen(&request, deadline).await?;
        Ok(link)
    }

    /// What a failure means for a watch, which changes nothing.
    fn error(&self, failure: Failure) -> Error {
        match failure {
            Failure::Refused(error) => error,
            Failure::Lost { fault, .. } => error::lost(&self.client().config, false, &fault),
            Failure::Busy(code) => error::busy(&self.client().config, &code),
            Failure::Elsewhere(_) => error::is_a_cluster(),
        }
    }

    /// Waits until the deadline for a message, and takes what has arrived.
    async fn listen(&mut self, deadline: Moment) -> Result<(), Failure> {
        let now = self.client().clock.now();
        let silent = now.since(self.heard) >= SILENCE;
        let limit = self.client().deadline();
        let Some(link) = &mut self.link else { return Ok(()) };
        if silent {
            link.send(&Request::of(&[b"PING"]), limit).await?;
        }
        let until = if silent { limit.max(deadline) } else { deadline };
        let replies = match link.hear(until).await {
            Ok(replies) => replies,
            Err(fault) if fault.cause == Cause::TimedOut && !silent => return Ok(()),
            Err(fault) => return Err(Failure::Lost { maybe_done: false, fault }),
        };
        self.heard = self.client().clock.now();
        for reply in replies {
            let Reply::Array(parts) = reply else { continue };
            let mut parts = parts.into_iter();
            let kind = parts.next().and_then(Reply::into_bytes);
            match (kind.as_deref(), parts.next()) {
                (Some(b"invalidate"), Some(Reply::Array(keys))) => {
                    let names = keys.into_iter().filter_map(Reply::into_bytes);
                    let keys = names.filter_map(|name| self.bucket.space.key_of(name));
                    self.changed.extend(keys.filter(|key| key.starts_with(&self.prefix)));
                }
                (Some(b"invalidate"), _) => {
                    self.missed = Some(FLUSHED.to_string());
                    self.everything = Some(Everything::default());
                }
                // Some other message of the server.
                _ => {}
            }
        }
        Ok(())
    }

    /// The changes of some of the keys that were named.
    fn changes(&mut self) -> Result<Vec<Change>> {
        let count = self.at_once.clamp(1, MOST_CHANGES).min(self.changed.len());
        let keys: Vec<&str> = self.changed.iter().take(count).map(String::as_str).collect();
        let values = Bucket::get_many(&self.bucket, &keys)?;
        let changes: Vec<Change> = keys
            .into_iter()
            .zip(values)
            .map(|(key, value)| match value {
                Some(value) => Change::Set { key: key.to_string(), value },
                None => Change::Delete { key: key.to_string() },
            })
            .collect();
        self.changed.drain(..count);
        let size: usize = changes.iter().map(Change::size).sum();
        self.at_once = (MOST_BYTES / (size / count.max(1)).max(1)).min(count * 2);
        Ok(changes)
    }
}

impl<N: Network + 'static, C: AsyncClock + 'static> Watch for RedisWatch<N, C> {
    fn next(&mut self, patience: Duration) -> Result<Changes> {
        if self.link.is_none() {
            self.link = Some(self.connect()?);
            self.missed = Some(LOST.to_string());
            self.everything = Some(Everything::default());
            // All keys are delivered anyway.
            self.changed.clear();
        }
        // A key that changes meanwhile is named again after it was read, so no old value comes after a new one.
        if let Some(everything) = &mut self.everything {
            match everything.next(&self.bucket, &self.prefix) {
                Ok(Some(changes)) => return Ok(Changes { changes, position: None, missed: self.missed.take() }),
                Ok(None) => self.everything = None,
                // The listing cannot continue after a restart of the server.
                Err(error) if error.kind() == Kind::InvalidArgument => {
                    self.everything = Some(Everything::default());
                    return Err(Error::new(Kind::Unavailable, error.message()));
                }
                Err(error) => return Err(error),
            }
        }
        let deadline = self.client().clock.now() + patience;
        loop {
            if !self.changed.is_empty() {
                let changes = self.changes()?;
                return Ok(Changes { changes, position: None, missed: self.missed.take() });
            }
            let listened = at_once(async { Ok(self.listen(deadline).await) })?;
            if let Err(failure) = listened {
                self.link = None;
                return Err(self.error(failure));
            }
            let ended = self.client().clock.now() >= deadline;
            if self.changed.is_empty() && (ended || self.everything.is_some()) {
                return Ok(Changes { missed: self.missed.take(), ..Changes::default() });
            }
        }
    }
}

impl<N: Network> Link<N> {
    /// Sends a request, after which the server may send messages unasked, and waits for its reply.
    async fn listen(&mut self, request: &Request, deadline: Moment) -> Result<(), Failure> {
        self.decoder.keep_pushes();
        self.send(request, deadline).await?;
        loop {
            for reply in self.hear(deadline).await.map_err(Failure::not_done)? {
                match reply {
                    Reply::Error(line) => {
                        return Err(Failure::Refused(
                            error::from_reply(&line).within("watching needs CLIENT TRACKING"),
                        ));
                    }
                    // The keys that it names here were changed before the watch began.
                    Reply::Array(_) => {}
                    _ => return Ok(()),
                }
            }
        }
    }

    async fn send(&mut self, request: &Request, deadline: Moment) -> Result<(), Failure> {
        self.output.write(request.bytes(), &mut 0, deadline).await.map_err(Failure::not_done)
    }

    /// Waits for bytes, and returns the messages that are complete.
    async fn hear(&mut self, deadline: Moment) -> Result<Vec<Reply>, Fault> {
        let bytes = self.input.read(deadline).await?;
        if bytes.is_empty() {
            return Err(Fault::closed());
        }
        let mut replies = Vec::new();
        decode(&mut self.decoder, &bytes, |reply| {
            replies.push(reply);
            Ok(())
        })?;
        Ok(replies)
    }
}
