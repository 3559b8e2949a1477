//! Calls with many keys: the commands of one server are sent together, and those of several servers side by side.
//!
//! Memcached stops reading while its replies wait to be read, and a request is sent whole before its replies are read. So what is
//! sent at once is so little that its rest fits into the buffers of a connection, or is answered with so little.

use crate::error;
use crate::protocol::{Reply, Request};
use crate::store::{MemcachedBucket, deleted};
use futures_util::future::try_join_all;
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::sockets::Network;

/// The most commands in one request: the replies to those that write take 4 bytes each, and up to 50 if they are errors.
const COMMANDS: usize = 1024;
/// The size in bytes after which a request ends whose replies may be large.
const BYTES_OF_READS: usize = 16 << 10;
/// The same if its replies are small.
const BYTES_OF_WRITES: usize = 1 << 20;

impl<N: Network, C: AsyncClock> MemcachedBucket<N, C> {
    /// The replies to reads of several keys, in their order.
    pub(crate) async fn read_many(&self, keys: &[&str], flags: &str) -> Result<Vec<Reply>> {
        let names: Vec<_> = keys.iter().map(|key| self.space.name(key)).collect();
        let command = |request: &mut Request, place: usize| _ = names.get(place).map(|name| request.read(name, flags));
        self.many(&names, BYTES_OF_READS, true, command).await
    }

    pub(crate) async fn put_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let names: Vec<_> = pairs.iter().map(|(key, _)| self.space.name(key)).collect();
        self.check_sizes(&names, pairs).await?;
        let command = |request: &mut Request, place: usize| {
            if let (Some(name), Some((_, value))) = (names.get(place), pairs.get(place)) {
                request.store(name, value, "");
            }
        };
        self.many(&names, BYTES_OF_WRITES, false, command).await?.into_iter().try_for_each(|reply| match reply {
            Reply::Done(_) => Ok(()),
            Reply::Error(line) => Err(error::from_reply(&line)),
            _ => Err(error::unexpected("ms")),
        })
    }

    pub(crate) async fn remove_many(&self, keys: &[&str]) -> Result<()> {
        let names: Vec<_> = keys.iter().map(|key| self.space.name(key)).collect();
        let command = |request: &mut Request, place: usize| _ = names.get(place).map(|name| request.delete(name));
        self.many(&names, BYTES_OF_WRITES, false, command).await?.into_iter().try_for_each(deleted)
    }

    /// Checks all before any is sent: a batch with one that is too large changes nothing.
    async fn check_sizes(&self, names: &[Vec<u8>], pairs: &[(&str, &[u8])]) -> Result<()> {
        let client = &self.client;
        let deadline = client.deadline();
        let of_server = |(server, places): (usize, Vec<usize>)| async move {
            client
                .attempt(server, deadline, async |link| {
                    let mut here = places.iter().filter_map(|place| Some((names.get(*place)?, pairs.get(*place)?.1)));
                    here.try_for_each(|(name, value)| link.process.check_size(name, value))
                })
                .await
        };
        try_join_all(self.by_server(names).into_iter().map(of_server)).await.map(drop)
    }

    /// The places of the names that each server has.
    fn by_server(&self, names: &[Vec<u8>]) -> Vec<(usize, Vec<usize>)> {
        let mut places = vec![Vec::new(); self.client.config.servers.len()];
        for (place, name) in names.iter().enumerate() {
            if let Some(of_server) = places.get_mut(self.client.server_of(name)) {
                of_server.push(place);
            }
        }
        places.into_iter().enumerate().filter(|(_, places)| !places.is_empty()).collect()
    }

    /// Sends the command for the name at each place, and returns the replies in the order of the names.
    async fn many(
        &self,
        names: &[Vec<u8>],
        bytes: usize,
        reads: bool,
        command: impl Fn(&mut Request, usize),
    ) -> Result<Vec<Reply>> {
        let client = &self.client;
        let deadline = client.deadline();
        let command = &command;
        let of_server = |(server, places): (usize, Vec<usize>)| async move {
            let mut replies = Vec::with_capacity(places.len());
            let mut rest = places.iter().copied().peekable();
            while rest.peek().is_some() {
                let mut request = Request::default();
                while request.commands() < COMMANDS
                    && request.bytes().len() < bytes
                    && let Some(place) = rest.next()
                {
                    command(&mut request, place);
                }
                let exchanged = client.attempt(server, deadline, async |link| match reads {
                    true => link.ask(&request, deadline).await,
                    false => link.tell(&request, deadline).await,
                });
                replies.extend(exchanged.await?);
            }
            Ok::<Vec<_>, Error>(places.into_iter().zip(replies).collect())
        };
        let replies = try_join_all(self.by_server(names).into_iter().map(of_server)).await?;
        let mut replies: Vec<_> = replies.into_iter().flatten().collect();
        replies.sort_unstable_by_key(|(place, _)| *place);
        if replies.len() != names.len() {
            return Err(error::unexpected("a batch"));
        }
        Ok(replies.into_iter().map(|(_, reply)| reply).collect())
    }
}
