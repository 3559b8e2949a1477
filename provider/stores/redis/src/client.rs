//! Operations on the server: open connections, retries, and deadlines.

use crate::config::Config;
use crate::error::{self, Failure};
use crate::link::Link;
use crate::protocol::{Reply, Request};
use kvfuse_core::Result;
use kvfuse_transport::clock::{Backoff, Clock, Moment};
use kvfuse_transport::fault::Cause;
use kvfuse_transport::sockets::Network;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// The connection that every operation uses. The others are only opened for snapshots taken while this one watches a
/// key.
pub const MAIN: usize = 0;
/// The most connections that an instance opens.
pub const MAX_LINKS: usize = 4;

/// A connection that was used within this time is used again without asking the host whether it is still open.
const FRESH: Duration = Duration::from_millis(2);

pub struct Client<N: Network, C> {
    pub config: Config,
    network: N,
    pub clock: C,
    links: RefCell<[Option<Link<N::Connection>>; MAX_LINKS]>,
    last_version: Cell<u64>,
    /// What no other instance has.
    pub instance: u64,
    /// Whether the user is not allowed to run scripts; learnt from the first refusal.
    pub no_scripts: Cell<bool>,
    /// Whether the server is too old for `HSCAN … NOVALUES`; learnt in the same way.
    pub no_novalues: Cell<bool>,
    /// Whether it is too old for `SCAN … TYPE`; learnt in the same way.
    pub no_scan_type: Cell<bool>,
}

impl<N: Network, C: Clock> Client<N, C> {
    pub fn new(config: Config, network: N, clock: C, instance: u64) -> Self {
        Self {
            config,
            network,
            clock,
            links: RefCell::default(),
            last_version: Cell::new(0),
            instance,
            no_scripts: Cell::new(false),
            no_novalues: Cell::new(false),
            no_scan_type: Cell::new(false),
        }
    }

    /// When an operation that starts now times out.
    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    /// A version that this instance has not used before.
    pub fn new_version(&self) -> u64 {
        self.last_version.set(self.last_version.get() + 1);
        self.last_version.get()
    }

    /// Carries out an operation on one of the connections, which is opened if necessary. An operation that did not
    /// happen is retried until the deadline, with pauses. One that may have happened is not.
    pub fn attempt<T>(
        &self,
        slot: usize,
        deadline: Moment,
        mut operation: impl FnMut(&mut Link<N::Connection>) -> Result<T, Failure>,
    ) -> Result<T> {
        let mut backoff: Option<Backoff> = None;
        loop {
            let failure = match self.connected(slot, deadline) {
                Ok(mut link) => match operation(&mut link) {
                    Ok(done) => {
                        self.put_back(slot, link);
                        return Ok(done);
                    }
                    Err(failure) => {
                        // A server that has become read-only was the primary once: its name may have moved to another.
                        let keep = matches!(&failure, Failure::Refused(_))
                            || matches!(&failure, Failure::Busy(code) if code != "READONLY");
                        if keep {
                            self.put_back(slot, link);
                        }
                        failure
                    }
                },
                Err(failure) => failure,
            };
            let error = match &failure {
                Failure::Refused(error) => return Err(error.clone()),
                Failure::Lost { maybe_done, fault } => {
                    let error = error::lost(&self.config, *maybe_done, fault);
                    let hopeless = matches!(
                        fault.cause,
                        Cause::Denied
                            | Cause::NameUnknown
                            | Cause::Tls
                            | Cause::Malformed
                            | Cause::TooLarge
                            | Cause::TimedOut
                    );
                    if *maybe_done || hopeless {
                        return Err(error);
                    }
                    error
                }
                Failure::Busy(code) => error::busy(&self.config, code),
            };
            let backoff = backoff.get_or_insert_with(|| Backoff::new(self.clock.now().0));
            if !backoff.wait(&self.clock, deadline) {
                return Err(error);
            }
        }
    }

    /// A connection of its own, for what occupies one.
    pub fn link(
        &self,
        deadline: Moment,
        prepare: impl FnOnce(&mut Link<N::Connection>) -> Result<(), Failure>,
    ) -> Result<Link<N::Connection>> {
        let opened = Link::open(&self.network, &self.config, deadline);
        let prepared = opened.and_then(|mut link| prepare(&mut link).map(|()| link));
        prepared.map_err(|failure| match failure {
            Failure::Refused(error) => error,
            Failure::Lost { fault, .. } => error::lost(&self.config, false, &fault),
            Failure::Busy(code) => error::busy(&self.config, &code),
        })
    }

    fn connected(&self, slot: usize, deadline: Moment) -> Result<Link<N::Connection>, Failure> {
        let kept = self.links.borrow_mut().get_mut(slot).and_then(Option::take);
        // Every operation has the same time limit, so its deadline says when it started.
        if let Some(mut link) = kept
            && (deadline.since(link.last_deadline) < FRESH || !link.is_stale())
        {
            link.last_deadline = deadline;
            return Ok(link);
        }
        Link::open(&self.network, &self.config, deadline)
    }

    fn put_back(&self, slot: usize, link: Link<N::Connection>) {
        if let Some(place) = self.links.borrow_mut().get_mut(slot) {
            *place = Some(link);
        }
    }

    /// Sends one read-only command.
    pub fn ask(&self, request: &Request) -> Result<Reply> {
        let deadline = self.deadline();
        self.attempt(MAIN, deadline, |link| link.ask(request, deadline).and_then(only))
    }

    /// Sends one command that writes.
    pub fn tell(&self, request: &Request) -> Result<Reply> {
        let deadline = self.deadline();
        self.attempt(MAIN, deadline, |link| link.tell(request, deadline).and_then(only))
    }

    /// Sends several commands that write, in one round trip.
    pub fn tell_all(&self, request: &Request) -> Result<Vec<Reply>> {
        if request.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline();
        self.attempt(MAIN, deadline, |link| link.tell(request, deadline))
    }

    /// Sends several read-only commands, in one round trip.
    pub fn ask_all(&self, request: &Request) -> Result<Vec<Reply>> {
        if request.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline();
        self.attempt(MAIN, deadline, |link| link.ask(request, deadline))
    }

    /// The connection to take a snapshot on: one without a watch, or else the one whose watch is the oldest.
    pub fn free_slot(&self) -> usize {
        let links = self.links.borrow();
        let holds = |link: &Option<Link<_>>| link.as_ref().and_then(|link| link.holds);
        let oldest = || links.iter().enumerate().min_by_key(|(_, link)| holds(link)).map(|(slot, _)| slot);
        links.iter().position(|link| holds(link).is_none()).or_else(oldest).unwrap_or(MAIN)
    }

    /// The connection that still holds the watch with this version.
    pub fn slot_of(&self, version: u64) -> Option<usize> {
        let links = self.links.borrow();
        links.iter().position(|link| link.as_ref().is_some_and(|link| link.holds == Some(version)))
    }
}

/// The reply to a single command.
fn only(replies: Vec<Reply>) -> Result<Reply, Failure> {
    match replies.into_iter().next() {
        Some(Reply::Error(line)) => Err(Failure::Refused(error::from_reply(&line))),
        Some(reply) => Ok(reply),
        None => Err(Failure::Refused(error::unexpected("a command"))),
    }
}
