//! Lifetimes of keys: `SET … PX` and `PTTL`.

use crate::error;
use crate::protocol::{Reply, Request};
use crate::store::{RedisBucket, check_size, whole};
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::sockets::Network;
use std::time::Duration;

impl<N: Network, C: AsyncClock> RedisBucket<N, C> {
    pub(crate) async fn set_for(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        check_size(value)?;
        if self.is_hash() {
            return Err(no_lifetimes());
        }
        let milliseconds = milliseconds(lifetime);
        let set = self.space.on_key("SET", "HSET", key, &[value, b"PX", milliseconds.as_bytes()]);
        match self.client.tell(self.space.route(key), &set).await? {
            Reply::Status(_) => Ok(()),
            _ => Err(error::unexpected("SET")),
        }
    }

    pub(crate) async fn create_for(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        check_size(value)?;
        if self.is_hash() {
            if lifetime.is_some() {
                return Err(no_lifetimes());
            }
            let set = Request::of(&[b"HSETNX", self.space.base(), key.as_bytes(), value]);
            return match self.client.tell(self.space.route(key), &set).await? {
                Reply::Integer(created) => Ok(created == 1),
                _ => Err(error::unexpected("HSETNX")),
            };
        }
        let (redis_key, milliseconds) = (self.space.key(key), lifetime.map(milliseconds));
        let mut set: Vec<&[u8]> = vec![b"SET", &redis_key, value, b"NX"];
        if let Some(milliseconds) = &milliseconds {
            set.extend([&b"PX"[..], milliseconds.as_bytes()]);
        }
        match self.client.tell(self.space.route(key), &Request::of(&set)).await? {
            Reply::Null => Ok(false),
            reply if reply.is_ok() => Ok(true),
            _ => Err(error::unexpected("SET")),
        }
    }

    pub(crate) async fn left(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        if self.is_hash() {
            return Ok(vec![None; keys.len()]);
        }
        let pttl = |key: &str| self.space.on_key("PTTL", "HPTTL", key, &[]);
        let replies = if self.space.is_spread() {
            self.each(keys, true, &pttl).await?
        } else {
            let mut request = Request::default();
            keys.iter().for_each(|key| _ = request.append(&pttl(key)));
            self.client.ask_all(None, &request).await?
        };
        let lifetimes = whole(replies)?.into_iter().map(|reply| match reply {
            Reply::Integer(milliseconds) => Ok(u64::try_from(milliseconds).ok().map(Duration::from_millis)),
            _ => Err(error::unexpected("PTTL")),
        });
        lifetimes.collect()
    }
}

/// Rounded up: it may not end early. Redis adds it to the time since 1970, and refuses what does not fit.
fn milliseconds(lifetime: Duration) -> String {
    lifetime.as_nanos().div_ceil(1_000_000).clamp(1, LONGEST).to_string()
}

/// A hundred thousand years, in milliseconds.
const LONGEST: u128 = 100_000 * 366 * 86_400_000;

fn no_lifetimes() -> Error {
    Error::unsupported(
        "in the layout `hash`, lifetimes of keys are not supported; the layouts `prefix` and `raw` have them",
    )
}
