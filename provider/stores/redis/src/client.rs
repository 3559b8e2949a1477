//! Operations on the server: open connections, retries, and deadlines.

use crate::cluster::Cluster;
use crate::config::{Config, Servers};
use crate::error::{self, Failure};
use crate::link::{Link, answered};
use crate::node::{MAIN, Node};
use crate::pipe::Pipe;
use crate::protocol::{Reply, Request};
use crate::sentinel::Sentinels;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment, before};
use kvfuse_transport::fault::Fault;
use kvfuse_transport::sockets::Network;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// A connection that was used within this time is used again without asking the host whether it is still open.
const FRESH: Duration = Duration::from_millis(2);

/// Where a request goes: in a cluster, to the node that has this slot. Otherwise there is one server.
pub type Route = Option<u16>;

/// What is done rarely.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + 'a>>;

pub struct Client<N: Network, C> {
    pub config: Config,
    pub(crate) network: N,
    pub clock: C,
    /// The one server, or the primary that the sentinels name.
    pub(crate) node: Rc<Node<N>>,
    sentinels: Sentinels,
    pub(crate) cluster: Cluster<N>,
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

impl<N: Network, C: AsyncClock> Client<N, C> {
    pub fn new(config: Config, network: N, clock: C, instance: u64) -> Self {
        Self {
            config,
            network,
            clock,
            node: Rc::new(Node::of_settings()),
            sentinels: Sentinels::default(),
            cluster: Cluster::default(),
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

    /// Carries out an operation on one of the connections to the server, which is opened if necessary and is its own meanwhile.
    /// If it is dropped, the connection closes. It is tried again as [`retrying`](Self::retrying) says.
    pub async fn attempt<T>(
        &self,
        route: Route,
        choose: impl Fn(&Node<N>) -> usize,
        deadline: Moment,
        mut operation: impl AsyncFnMut(&mut Link<N>) -> Result<T, Failure>,
    ) -> Result<T> {
        self.routed(route, deadline, async |node: &Node<N>, asking| {
            self.on_link(node, choose(node), asking, deadline, &mut operation).await
        })
        .await
    }

    /// Carries out an operation once, on a certain connection of a certain server. `None` says that it did not happen, and that
    /// another try may succeed.
    pub async fn try_on<T>(
        &self,
        (node, number): (&Node<N>, usize),
        deadline: Moment,
        mut operation: impl AsyncFnMut(&mut Link<N>) -> Result<T, Failure>,
    ) -> Result<Option<T>> {
        match self.on_link(node, number, false, deadline, &mut operation).await {
            Ok(done) => Ok(Some(done)),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Lost { maybe_done: true, fault }) => {
                self.cluster.doubt();
                Err(error::lost(&self.config, true, &fault))
            }
            Err(_) => {
                self.cluster.doubt();
                Ok(None)
            }
        }
    }

    async fn on_link<T>(
        &self,
        node: &Node<N>,
        number: usize,
        asking: bool,
        deadline: Moment,
        operation: &mut impl AsyncFnMut(&mut Link<N>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let none = || Failure::Refused(Error::new(Kind::Other, "there is no such connection"));
        let place = node.places.get(number).ok_or_else(none)?;
        let turn = before(&self.clock, deadline, place.link.lock()).await;
        let mut kept = turn.ok_or_else(|| Failure::not_done(Fault::timed_out()))?;
        let connected = self.connected(node, kept.take(), deadline).await;
        let mut link = connected.inspect_err(|_| place.holds.set(None))?;
        link.asking = asking;
        let done = operation(&mut link).await;
        link.asking = false;
        if done.as_ref().err().is_none_or(Failure::keeps_the_connection) {
            place.holds.set(link.holds);
            *kept = Some(link);
        } else {
            place.holds.set(None);
        }
        done
    }

    /// Tries an operation until the deadline, with pauses, as long as it did not happen. One that may have happened is not
    /// tried again.
    pub(crate) async fn retrying<T>(
        &self,
        deadline: Moment,
        mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T> {
        let mut backoff: Option<Backoff> = None;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Elsewhere(_)) => return Err(error::is_a_cluster()),
                Err(Failure::Lost { maybe_done, fault }) => {
                    let error = error::lost(&self.config, maybe_done, &fault);
                    if maybe_done || fault.cause.is_hopeless() {
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

    /// An operation on the server that has a key, tried again as [`retrying`](Self::retrying) says. It is given the server, and
    /// whether that is just being given the key.
    async fn routed<T>(
        &self,
        route: Route,
        deadline: Moment,
        mut attempt: impl AsyncFnMut(&Node<N>, bool) -> Result<T, Failure>,
    ) -> Result<T> {
        self.retrying(deadline, async || self.followed(route, deadline, &mut attempt).await).await
    }

    /// A connection of its own, for what occupies one.
    pub async fn link(&self, deadline: Moment) -> Result<Link<N>, Failure> {
        self.open(&self.node, deadline).await
    }

    /// Once for all operations: what opens a connection is a large part of the code.
    fn open<'a>(&'a self, node: &'a Node<N>, deadline: Moment) -> Later<'a, Link<N>> {
        let (network, config) = (&self.network, &self.config);
        Box::pin(async move {
            match (&node.endpoint, &config.servers) {
                (Some(endpoint), _) | (None, Servers::One(endpoint)) => {
                    config.admit(endpoint).map_err(Failure::Refused)?;
                    Link::open(network, config, endpoint, false, deadline).await
                }
                (None, Servers::Sentinels(sentinels, name)) => {
                    self.sentinels.connect(network, &self.clock, config, (sentinels, name), deadline).await
                }
                (None, Servers::Cluster(_)) => {
                    Err(Failure::Refused(Error::new(Kind::Other, "a cluster has no server that has all keys")))
                }
            }
        })
    }

    pub(crate) async fn connected(
        &self,
        node: &Node<N>,
        kept: Option<Link<N>>,
        deadline: Moment,
    ) -> Result<Link<N>, Failure> {
        // Every operation has the same time limit, so its deadline says when it started.
        if let Some(mut link) = kept
            && (deadline.since(link.last_deadline) < FRESH || !link.is_stale().await)
        {
            link.last_deadline = deadline;
            return Ok(link);
        }
        self.open(node, deadline).await
    }

    /// Sends one read-only command.
    pub async fn ask(&self, route: Route, request: &Request) -> Result<Reply> {
        only(self.ask_all(route, request).await?)
    }

    /// Sends one command that writes.
    pub async fn tell(&self, route: Route, request: &Request) -> Result<Reply> {
        only(self.tell_all(route, request).await?)
    }

    /// Sends several commands that write, in one round trip, to one server.
    pub async fn tell_all(&self, route: Route, request: &Request) -> Result<Vec<Reply>> {
        if request.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline();
        self.routed(route, deadline, async |node: &Node<N>, asking| self.send(node, request, asking, deadline).await)
            .await
    }

    /// Sends several read-only commands, in one round trip, to one server.
    pub async fn ask_all(&self, route: Route, request: &Request) -> Result<Vec<Reply>> {
        if request.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline();
        self.routed(route, deadline, async |node: &Node<N>, asking| {
            self.send(node, request, asking, deadline).await.map_err(Failure::of_read)
        })
        .await
    }

    /// Sends a request once.
    pub(crate) async fn send(
        &self,
        node: &Node<N>,
        request: &Request,
        asking: bool,
        deadline: Moment,
    ) -> Result<Vec<Reply>, Failure> {
        if !N::WAITS {
            let tell = &mut async |link: &mut Link<N>| link.tell(request, deadline).await;
            return self.on_link(node, MAIN, asking, deadline, tell).await;
        }
        self.exchange(node, request, asking, deadline, answered).await
    }

    /// The same on the connection that single requests share. `check` says what the replies mean for the whole request.
    pub(crate) async fn exchange(
        &self,
        node: &Node<N>,
        request: &Request,
        asking: bool,
        deadline: Moment,
        check: impl FnOnce(Vec<Reply>) -> Result<Vec<Reply>, Failure>,
    ) -> Result<Vec<Reply>, Failure> {
        let pipe = self.pipe(node, deadline).await?;
        let replies = if asking {
            let asking = request.asking();
            pipe.exchange(&self.clock, asking.request(), deadline).await.map(|replies| asking.own(replies))
        } else {
            pipe.exchange(&self.clock, request, deadline).await
        };
        let done = replies.and_then(check);
        if !done.as_ref().err().is_none_or(Failure::keeps_the_connection) {
            pipe.retire();
        }
        done
    }

    /// The connection that single requests share. Whoever finds it gone opens the next one.
    async fn pipe(&self, node: &Node<N>, deadline: Moment) -> Result<Rc<Pipe<N>>, Failure> {
        let is_fresh = |last| deadline.since(last) < FRESH;
        loop {
            let kept = node.pipe.borrow().clone();
            if let Some(pipe) = &kept
                && pipe.is_good(is_fresh).await
            {
                return Ok(pipe.clone());
            }
            let turn = before(&self.clock, deadline, node.opening.lock()).await;
            let _turn = turn.ok_or_else(|| Failure::not_done(Fault::timed_out()))?;
            let is_another = node.pipe.borrow().as_ref().map(Rc::as_ptr) != kept.as_ref().map(Rc::as_ptr);
            if !is_another {
                let link = self.open(node, deadline).await?;
                let pipe = Rc::new(Pipe::new(link));
                *node.pipe.borrow_mut() = Some(pipe.clone());
                return Ok(pipe);
            }
        }
    }

    /// The connection that still holds the watch with this version.
    pub fn holder(&self, version: u64) -> Option<(Rc<Node<N>>, usize)> {
        let of = |node: &Rc<Node<N>>| node.place_of(version).map(|number| (node.clone(), number));
        of(&self.node).or_else(|| self.cluster.nodes().iter().find_map(of))
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
