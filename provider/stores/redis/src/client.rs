//! Operations on the server: open connections, retries, and deadlines.

use crate::config::Config;
use crate::error::{self, Failure};
use crate::link::Link;
use crate::pipe::Pipe;
use crate::protocol::{Reply, Request};
use futures_util::lock::Mutex;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment, before};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::Network;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The connection that every operation uses. The others are only opened for snapshots taken while this one watches a
/// key. Where the network waits, single requests share a [`Pipe`] instead, and this one is for sequences.
pub const MAIN: usize = 0;
/// The most connections that an instance opens, beside the [`Pipe`].
pub const MAX_LINKS: usize = 4;

/// A connection that was used within this time is used again without asking the host whether it is still open.
const FRESH: Duration = Duration::from_millis(2);

pub struct Client<N: Network, C> {
    pub config: Config,
    network: N,
    pub clock: C,
    slots: [Slot<N>; MAX_LINKS],
    /// The connection that single requests share, if the network waits.
    pipe: RefCell<Option<Rc<Pipe<N>>>>,
    /// The turn to open it.
    opening: Mutex<()>,
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

/// The place of a connection. One operation at a time uses it.
struct Slot<N: Network> {
    link: Mutex<Option<Link<N>>>,
    /// The version that it holds, or held when the operation began that uses it now.
    holds: Cell<Option<u64>>,
}

impl<N: Network> Default for Slot<N> {
    fn default() -> Self {
        Self { link: Mutex::new(None), holds: Cell::new(None) }
    }
}

impl<N: Network, C: AsyncClock> Client<N, C> {
    pub fn new(config: Config, network: N, clock: C, instance: u64) -> Self {
        Self {
            config,
            network,
            clock,
            slots: Default::default(),
            pipe: RefCell::default(),
            opening: Mutex::default(),
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

    /// Carries out an operation on one of the connections, which is opened if necessary and is its own meanwhile. If it is
    /// dropped, the connection closes. It is tried again as [`retrying`](Self::retrying) says.
    pub async fn attempt<T>(
        &self,
        slot: usize,
        deadline: Moment,
        mut operation: impl AsyncFnMut(&mut Link<N>) -> Result<T, Failure>,
    ) -> Result<T> {
        let slot = self.slots.get(slot).ok_or_else(|| Error::new(Kind::Other, "there is no such connection"))?;
        self.retrying(deadline, async || {
            let turn = before(&self.clock, deadline, slot.link.lock()).await;
            let mut place = turn.ok_or_else(|| Failure::not_done(Fault::timed_out()))?;
            let mut link = self.connected(place.take(), deadline).await.inspect_err(|_| slot.holds.set(None))?;
            let done = operation(&mut link).await;
            if done.as_ref().err().is_none_or(Failure::keeps_the_connection) {
                slot.holds.set(link.holds);
                *place = Some(link);
            } else {
                slot.holds.set(None);
            }
            done
        })
        .await
    }

    /// Tries an operation until the deadline, with pauses, as long as it did not happen. One that may have happened is not
    /// tried again.
    async fn retrying<T>(&self, deadline: Moment, mut attempt: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T> {
        let mut backoff: Option<Backoff> = None;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost { maybe_done, fault }) => {
                    let error = error::lost(&self.config, maybe_done, &fault);
                    let hopeless = matches!(
                        fault.cause,
                        Cause::Denied
                            | Cause::NameUnknown
                            | Cause::Tls
                            | Cause::Malformed
                            | Cause::TooLarge
                            | Cause::TimedOut
                    );
                    if maybe_done || hopeless {
                        return Err(error);
                    }
                    error
                }
                Err(Failure::Busy(code)) => error::busy(&self.config, &code),
            };
            let backoff = backoff.get_or_insert_with(|| Backoff::new(self.clock.now().0));
            if !backoff.wait_async(&self.clock, deadline).await {
                return Err(error);
            }
        }
    }

    /// A connection of its own, for what occupies one.
    pub async fn link(&self, deadline: Moment) -> Result<Link<N>, Failure> {
        Link::open(&self.network, &self.config, deadline).await
    }

    async fn connected(&self, kept: Option<Link<N>>, deadline: Moment) -> Result<Link<N>, Failure> {
        // Every operation has the same time limit, so its deadline says when it started.
        if let Some(mut link) = kept
            && (deadline.since(link.last_deadline) < FRESH || !link.is_stale().await)
        {
            link.last_deadline = deadline;
            return Ok(link);
        }
        Link::open(&self.network, &self.config, deadline).await
    }

    /// Sends one read-only command.
    pub async fn ask(&self, request: &Request) -> Result<Reply> {
        only(self.ask_all(request).await?)
    }

    /// Sends one command that writes.
    pub async fn tell(&self, request: &Request) -> Result<Reply> {
        only(self.tell_all(request).await?)
    }

    /// Sends several commands that write, in one round trip.
    pub async fn tell_all(&self, request: &Request) -> Result<Vec<Reply>> {
        if request.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline();
        if N::WAITS {
            return self.retrying(deadline, async || self.exchange(request, deadline).await).await;
        }
        self.attempt(MAIN, deadline, async |link| link.tell(request, deadline).await).await
    }

    /// Sends several read-only commands, in one round trip.
    pub async fn ask_all(&self, request: &Request) -> Result<Vec<Reply>> {
        if request.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline();
        if N::WAITS {
            let ask = async || self.exchange(request, deadline).await.map_err(Failure::of_read);
            return self.retrying(deadline, ask).await;
        }
        self.attempt(MAIN, deadline, async |link| link.ask(request, deadline).await).await
    }

    /// Sends a request on the connection that all share.
    async fn exchange(&self, request: &Request, deadline: Moment) -> Result<Vec<Reply>, Failure> {
        let pipe = self.pipe(deadline).await?;
        let done = pipe.exchange(&self.clock, request, deadline).await;
        if !done.as_ref().err().is_none_or(Failure::keeps_the_connection) {
            pipe.retire();
        }
        done
    }

    /// The connection that single requests share. Whoever finds it gone opens the next one.
    async fn pipe(&self, deadline: Moment) -> Result<Rc<Pipe<N>>, Failure> {
        let is_fresh = |last| deadline.since(last) < FRESH;
        loop {
            let kept = self.pipe.borrow().clone();
            if let Some(pipe) = &kept
                && pipe.is_good(is_fresh).await
            {
                return Ok(pipe.clone());
            }
            let turn = before(&self.clock, deadline, self.opening.lock()).await;
            let _turn = turn.ok_or_else(|| Failure::not_done(Fault::timed_out()))?;
            let is_another = self.pipe.borrow().as_ref().map(Rc::as_ptr) != kept.as_ref().map(Rc::as_ptr);
            if !is_another {
                let link = Link::open(&self.network, &self.config, deadline).await?;
                let pipe = Rc::new(Pipe::new(link));
                *self.pipe.borrow_mut() = Some(pipe.clone());
                return Ok(pipe);
            }
        }
    }

    /// The connection to take a snapshot on: one without a watch, or else the one whose watch is the oldest. Those that are in
    /// use come last.
    pub fn free_slot(&self) -> usize {
        let order = |slot: &Slot<N>| (slot.link.try_lock().is_none(), slot.holds.get());
        self.slots.iter().enumerate().min_by_key(|(_, slot)| order(slot)).map_or(MAIN, |(number, _)| number)
    }

    /// The connection that still holds the watch with this version.
    pub fn slot_of(&self, version: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.holds.get() == Some(version))
    }
}

/// The reply to a single command.
fn only(replies: Vec<Reply>) -> Result<Reply> {
    match replies.into_iter().next() {
        Some(Reply::Error(line)) => Err(error::from_reply(&line)),
        Some(reply) => Ok(reply),
        None => Err(error::unexpected("a command")),
    }
}
