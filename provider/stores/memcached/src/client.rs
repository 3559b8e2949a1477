//! Operations on the servers: open connections, retries, and deadlines.

use crate::config::{Config, Server};
use crate::error::{self, Failure};
use crate::layout;
use crate::link::Link;
use crate::protocol::{Reply, Request};
use futures_util::lock::Mutex;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment, before};
use kvfuse_transport::fault::Fault;
use kvfuse_transport::sockets::Network;
use kvfuse_transport::turns::Turns;
use std::cell::Cell;
use std::time::Duration;

/// The most connections to one server where calls wait beside each other. Elsewhere one is enough.
const LINKS: usize = 4;

/// A connection that was used within this time is used again without asking the host whether it is still open.
const FRESH: Duration = Duration::from_millis(2);

pub struct Client<N: Network, C> {
    pub config: Config,
    network: N,
    pub clock: C,
    pub increments: Turns,
    /// In the order of the configuration.
    places: Vec<Place<N>>,
}

/// The connections to one server. Each is used by one call at a time.
struct Place<N: Network> {
    links: [Mutex<Option<Link<N>>>; LINKS],
    /// The connection for which the next call waits if all are in use.
    next: Cell<usize>,
}

impl<N: Network, C: AsyncClock> Client<N, C> {
    pub fn new(config: Config, network: N, clock: C) -> Self {
        let place = |_: &Server| Place { links: Default::default(), next: Cell::new(0) };
        let places = config.servers.iter().map(place).collect();
        Self { config, network, clock, increments: Turns::default(), places }
    }

    /// When an operation that starts now times out.
    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    /// The server that has a name.
    pub fn server_of(&self, name: &[u8]) -> usize {
        layout::server_of(&self.config.servers, name)
    }

    /// Carries out an operation on a connection to a server, which is opened if necessary and is its own meanwhile. If it is
    /// dropped, the connection closes. The operation is tried until the deadline, with pauses, as long as it did not happen. One
    /// that may have happened is not tried again.
    pub async fn attempt<T>(
        &self,
        server: usize,
        deadline: Moment,
        mut operation: impl AsyncFnMut(&mut Link<N>) -> Result<T, Failure>,
    ) -> Result<T> {
        let known = (self.places.get(server), self.config.servers.get(server));
        let (Some(place), Some(address)) = known else {
            return Err(Error::new(Kind::Other, "there is no such server"));
        };
        let mut backoff: Option<Backoff> = None;
        loop {
            let error = match self.try_once(place, server, deadline, &mut operation).await {
                Ok(done) => return Ok(done),
                Err(Failure::Refused(error) | Failure::Rejected(error)) => return Err(error),
                Err(Failure::Busy) => error::busy(address),
                Err(Failure::Lost { maybe_done, fault }) => {
                    let error = error::lost(&self.config, address, maybe_done, &fault);
                    if maybe_done || fault.cause.is_hopeless() {
                        return Err(error);
                    }
                    error
                }
            };
            let backoff = backoff.get_or_insert_with(|| Backoff::new(self.clock.now().0));
            if !backoff.wait_async(&self.clock, deadline).await {
                return Err(error);
            }
        }
    }

    async fn try_once<T>(
        &self,
        place: &Place<N>,
        server: usize,
        deadline: Moment,
        operation: &mut impl AsyncFnMut(&mut Link<N>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let free = place.links.iter().find_map(Mutex::try_lock);
        let mut kept = match free {
            Some(free) => free,
            None => {
                let turn = before(&self.clock, deadline, place.in_turn().lock()).await;
                turn.ok_or_else(|| Failure::not_done(Fault::timed_out()))?
            }
        };
        let mut link = self.connected(kept.take(), server, deadline).await?;
        let done = operation(&mut link).await;
        if matches!(done, Ok(_) | Err(Failure::Refused(_))) {
            *kept = Some(link);
        }
        done
    }

    async fn connected(&self, kept: Option<Link<N>>, server: usize, deadline: Moment) -> Result<Link<N>, Failure> {
        // Every operation has the same time limit, so its deadline says when it started.
        if let Some(mut link) = kept
            && (deadline.since(link.last_deadline) < FRESH || !link.is_stale().await)
        {
            link.last_deadline = deadline;
            return Ok(link);
        }
        Link::open(&self.network, &self.config, server, &self.clock, deadline).await
    }

    /// Sends one read-only command to the server that has a name.
    pub async fn ask(&self, name: &[u8], flags: &str) -> Result<Reply> {
        let mut request = Request::default();
        request.read(name, flags);
        let deadline = self.deadline();
        let ask = async |link: &mut Link<N>| link.ask(&request, deadline).await;
        only(self.attempt(self.server_of(name), deadline, ask).await?)
    }
}

impl<N: Network> Place<N> {
    fn in_turn(&self) -> &Mutex<Option<Link<N>>> {
        let next = self.next.get();
        self.next.set(next.wrapping_add(1) % LINKS);
        let [first, ..] = &self.links;
        self.links.get(next).unwrap_or(first)
    }
}

/// The reply to a single command.
pub fn only(replies: Vec<Reply>) -> Result<Reply> {
    match replies.into_iter().next() {
        Some(Reply::Error(line)) => Err(error::from_reply(&line)),
        Some(reply) => Ok(reply),
        None => Err(error::unexpected("a command")),
    }
}
