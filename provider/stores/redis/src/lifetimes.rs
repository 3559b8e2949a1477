//! Lifetimes of keys: `SET … PX` and `PTTL`.

use crate::error;
use crate::protocol::{Reply, Request};
use crate::store::{RedisBucket, check_size, whole};
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::Clock;
use kvfuse_transport::sockets::Network;
use std::time::Duration;

impl<N: Network, C: Clock> RedisBucket<N, C> {
    pub fn set_for(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        check_size(value)?;
        if self.is_hash() {
            return Err(Error::unsupported(
                "in the layout `hash` keys have no lifetimes of their own; the layouts `prefix` and `raw` have them",
            ));
        }
        // Rounded up: it may not end early.
        let milliseconds = lifetime.as_nanos().div_ceil(1_000_000).max(1).to_string();
        match self.client.tell(&self.space.on_key("SET", "HSET", key, &[value, b"PX", milliseconds.as_bytes()]))? {
            Reply::Status(_) => Ok(()),
            _ => Err(error::unexpected("SET")),
        }
    }

    pub fn left(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        if self.is_hash() {
            return Ok(vec![None; keys.len()]);
        }
        let mut request = Request::default();
        for key in keys {
            request.append(&self.space.on_key("PTTL", "HPTTL", key, &[]));
        }
        let lifetimes = whole(self.client.ask_all(&request)?)?.into_iter().map(|reply| match reply {
            Reply::Integer(milliseconds) => Ok(u64::try_from(milliseconds).ok().map(Duration::from_millis)),
            _ => Err(error::unexpected("PTTL")),
        });
        lifetimes.collect()
    }
}
