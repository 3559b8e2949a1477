//! Setting keys, with lifetimes or without, and what is left of these.
//!
//! Memcached counts lifetimes in the seconds of its own clock, and takes them as the second in which they end. The item's client
//! flags have the same second: an increment, which has to set the item anew, finds it there. `t` alone says how many seconds are
//! left, and setting that many again would move the end a little each time.

use crate::client::only;
use crate::error::{self, Failure};
use crate::link::Link;
use crate::protocol::{Flags, Reply, Request};
use crate::store::MemcachedBucket;
use kvfuse_core::Result;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::sockets::Network;
use std::time::Duration;

/// Larger numbers of seconds are seconds since 1970.
const MONTH: u64 = 30 * 86_400;

impl<N: Network, C: AsyncClock> MemcachedBucket<N, C> {
    /// Sets a key in a mode of the command `ms`. Returns false if the mode does not allow it.
    pub(crate) async fn put(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Option<Duration>,
        mode: &str,
        deadline: Moment,
    ) -> Result<bool> {
        let (client, name) = (&self.client, self.space.name(key));
        let replies = client.attempt(client.server_of(&name), deadline, async |link| {
            link.process.check_size(&name, value)?;
            let flags = match lifetime {
                Some(lifetime) => beginning(link, lifetime, &client.clock, deadline).await?,
                None => String::new(),
            };
            let mut request = Request::default();
            let gap = if flags.is_empty() || mode.is_empty() { "" } else { " " };
            request.store(&name, value, &[mode, gap, &flags].concat());
            link.tell(&request, deadline).await
        });
        match only(replies.await?)? {
            Reply::Done(_) => Ok(true),
            Reply::NotStored => Ok(false),
            _ => Err(error::unexpected("ms")),
        }
    }

    pub(crate) async fn left(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        let left = self.read_many(keys, "t").await?.into_iter().map(|reply| match reply {
            Reply::Done(flags) => Ok(flags.left.map(Duration::from_secs)),
            Reply::Missing => Ok(None),
            Reply::Error(line) => Err(error::from_reply(&line)),
            _ => Err(error::unexpected("mg")),
        });
        left.collect()
    }
}

/// The flags of an item whose lifetime begins now.
async fn beginning<N: Network>(
    link: &mut Link<N>,
    lifetime: Duration,
    clock: &impl AsyncClock,
    deadline: Moment,
) -> Result<String, Failure> {
    link.keep_time(clock, deadline).await?;
    Ok(link.process.end_of(lifetime, clock.now()).map(ending).unwrap_or_default())
}

/// The flags of an item whose lifetime ends in this second.
fn ending(second: u64) -> String {
    format!("T{second} F{second}")
}

/// The flags that keep the lifetime of an item: the second in which it ends if the item has it, and what is left of it if another
/// client has set the item.
pub(crate) async fn kept<N: Network>(
    link: &mut Link<N>,
    item: Flags,
    clock: &impl AsyncClock,
    deadline: Moment,
) -> Result<String, Failure> {
    let Some(left) = item.left else { return Ok(String::new()) };
    link.keep_time(clock, deadline).await?;
    let (second, now) = (u64::from(item.client), clock.now());
    if link.process.is_end(second, left, now) {
        return Ok(ending(second));
    }
    if left > MONTH {
        let end = link.process.end_of(Duration::from_secs(left), now);
        return Ok(end.map(|end| format!("T{end} F{}", item.client)).unwrap_or_default());
    }
    // 0 would be no end at all.
    Ok(format!("T{} F{}", left.max(1), item.client))
}
