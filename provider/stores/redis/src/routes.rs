//! Requests to a cluster: the map of its slots, redirections, and batches that go to several nodes side by side.

use crate::client::{Client, Later, Route};
use crate::cluster::ranges;
use crate::config::Servers;
use crate::error::{self, Failure};
use crate::link::Link;
use crate::node::{MAIN, Node};
use crate::protocol::{Asking, Reply, Request};
use crate::sentinel::{in_share, share, telling};
use futures_util::future::join_all;
use futures_util::lock::MutexGuard;
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::{AsyncClock, Moment, before};
use kvfuse_transport::fault::Fault;
use kvfuse_transport::sockets::Network;
use std::rc::Rc;

/// How many redirections are followed at once. A cluster that goes on redirecting is asked again after a pause.
const REDIRECTIONS: usize = 8;

impl<N: Network, C: AsyncClock> Client<N, C> {
    /// One attempt of an operation at the server that has its key: in a cluster, at the node that has the slot, wherever that is.
    pub(crate) async fn followed<T>(
        &self,
        route: Route,
        deadline: Moment,
        attempt: &mut impl AsyncFnMut(&Node<N>, bool) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut asked = None;
        for _ in 0..REDIRECTIONS {
            let asking = asked.is_some();
            let node = match (asked.take(), route) {
                (Some(node), _) => node,
                (None, Some(slot)) => self.owner(slot, deadline).await?,
                (None, None) => self.node.clone(),
            };
            match (attempt(&node, asking).await, route) {
                (Err(Failure::Elsewhere(redirect)), Some(slot)) => {
                    asked = self.cluster.follow(slot, &redirect, &node)?
                }
                (Err(failure), Some(_)) => return Err(self.doubted(failure, &node)),
                (done, _) => return done,
            }
        }
        Err(Failure::Busy("MOVED".into()))
    }

    /// A failure of a node, after which the map may be another.
    fn doubted(&self, failure: Failure, node: &Node<N>) -> Failure {
        if matches!(failure, Failure::Lost { .. } | Failure::Busy(_)) {
            self.cluster.doubt();
        }
        match &node.endpoint {
            Some(endpoint) => failure.at(endpoint),
            None => failure,
        }
    }

    async fn owner(&self, slot: u16, deadline: Moment) -> Result<Rc<Node<N>>, Failure> {
        if self.cluster.is_stale() {
            self.update_map(deadline).await?;
        }
        self.cluster.owner(slot).ok_or_else(|| {
            self.cluster.doubt();
            Failure::Busy("CLUSTERDOWN".into())
        })
    }

    /// Asks for the map of slots. Each node that is asked gets its share of the time. If none
    /// answers, the old one has to do.
    fn update_map(&self, deadline: Moment) -> Later<'_, ()> {
        Box::pin(self.updated_map(deadline))
    }

    async fn updated_map(&self, deadline: Moment) -> Result<(), Failure> {
        let before_turn = self.cluster.generation.get();
        let turn = before(&self.clock, deadline, self.cluster.turn.lock()).await;
        let _turn = turn.ok_or_else(|| Failure::not_done(Fault::timed_out()))?;
        if self.cluster.generation.get() != before_turn {
            return Ok(());
        }
        let Servers::Cluster(seeds) = &self.config.servers else { return Ok(()) };
        let nodes = self.cluster.candidates(seeds);
        let mut failed = None;
        for (number, node) in nodes.iter().enumerate() {
            let until = share(&self.clock, deadline, nodes.len() - number);
            match self.ask_for_map(node, until).await {
                Ok(()) => return Ok(()),
                Err(failure) => {
                    self.cluster.ask_last(node);
                    let failure = in_share(failure, &self.clock, deadline);
                    failed = Some(telling(failed, self.doubted(failure, node)));
                }
            }
        }
        match failed {
            Some(failure) if !self.cluster.is_known() => Err(failure),
            _ => Ok(()),
        }
    }

    async fn ask_for_map(&self, node: &Rc<Node<N>>, until: Moment) -> Result<(), Failure> {
        let Some(endpoint) = &node.endpoint else { return Ok(()) };
        let replies = self.send(node, &Request::of(&[b"CLUSTER", b"SLOTS"]), false, until).await;
        match replies.map_err(Failure::of_read)?.into_iter().next() {
            Some(Reply::Error(line)) if line.contains("cluster support disabled") || error::denies_command(&line) => {
                Err(Failure::Refused(Error::unsupported(format!(
                    "the server at {endpoint} is no node of a Redis Cluster, or does not allow CLUSTER SLOTS; for one server \
                     KEYVALUE_REDIS_URL begins with redis:// (or rediss://)"
                ))))
            }
            Some(Reply::Error(line)) => Err(error::refusal(&line)),
            Some(reply) => {
                let ranges = ranges(reply, endpoint).map_err(Failure::Refused)?;
                self.cluster.learn(ranges, node);
                Ok(())
            }
            None => Err(Failure::Refused(error::unexpected("CLUSTER SLOTS"))),
        }
    }

    /// Carries out one command for each of these slots, side by side: each node gets its commands in one round trip, and all
    /// nodes get them before any answer is awaited. `add` adds the command with a number to a request. What did not happen is
    /// tried again by itself.
    pub async fn each(&self, slots: &[u16], reads: bool, add: &dyn Fn(usize, &mut Request)) -> Result<Vec<Reply>> {
        let deadline = self.deadline();
        let mut batch = Batch { replies: vec![None; slots.len()], left: Vec::new() };
        batch.left.extend((0..slots.len()).map(|number| Part { number, asked: None }));
        self.retrying(deadline, async || {
            for _ in 0..REDIRECTIONS {
                if batch.left.is_empty() {
                    return Ok(());
                }
                self.round(&mut batch, slots, reads, add, deadline).await?;
            }
            if batch.left.is_empty() { Ok(()) } else { Err(Failure::Busy("MOVED".into())) }
        })
        .await?;
        Ok(batch.replies.into_iter().flatten().collect())
    }

    /// Sends what is left of a batch once. What was redirected is left.
    async fn round(
        &self,
        batch: &mut Batch<N>,
        slots: &[u16],
        reads: bool,
        add: &dyn Fn(usize, &mut Request),
        deadline: Moment,
    ) -> Result<(), Failure> {
        if self.cluster.is_stale() {
            self.update_map(deadline).await?;
        }
        let mut groups: Vec<Group<N>> = Vec::new();
        for Part { number, asked } in batch.left.drain(..) {
            let slot = slots.get(number).copied().unwrap_or_default();
            let asking = asked.is_some();
            let node = asked.or_else(|| self.cluster.owner(slot));
            let group = match groups.iter_mut().position(|group| group.is_for(node.as_ref(), asking)) {
                Some(at) => groups.get_mut(at),
                None => {
                    groups.push(Group { node, asking, numbers: Vec::new(), request: Request::default() });
                    groups.last_mut()
                }
            };
            if let Some(group) = group {
                add(number, &mut group.request);
                group.numbers.push(number);
            }
        }
        let outcomes = self.side_by_side(&groups, deadline).await;
        let mut failed = None;
        for (group, outcome) in groups.into_iter().zip(outcomes) {
            let Group { node: Some(node), numbers, .. } = group else {
                self.cluster.doubt();
                batch.again(group.numbers);
                failed = Some(telling(failed, Failure::Busy("CLUSTERDOWN".into())));
                continue;
            };
            let replies = match outcome {
                Ok(replies) => replies,
                Err(failure) => {
                    let failure = self.doubted(if reads { failure.of_read() } else { failure }, &node);
                    batch.again(numbers);
                    failed = Some(worse(failed, failure));
                    continue;
                }
            };
            for (number, reply) in numbers.into_iter().zip(replies) {
                match reply {
                    Reply::Error(line) if error::is_busy(&line) => {
                        batch.again(vec![number]);
                        failed = Some(worse(failed, self.doubted(error::refusal(&line), &node)));
                    }
                    Reply::Error(line) if error::is_elsewhere(&line) => {
                        let slot = slots.get(number).copied().unwrap_or_default();
                        let followed = match error::refusal(&line) {
                            Failure::Elsewhere(redirect) => self.cluster.follow(slot, &redirect, &node),
                            other => Err(other),
                        };
                        match followed {
                            Ok(asked) => batch.left.push(Part { number, asked }),
                            Err(failure) => failed = Some(worse(failed, failure)),
                        }
                    }
                    reply => {
                        if let Some(place) = batch.replies.get_mut(number) {
                            *place = Some(reply);
                        }
                    }
                }
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Sends each group's request to its node, all of them before any reply is awaited.
    async fn side_by_side(&self, groups: &[Group<N>], deadline: Moment) -> Vec<Result<Vec<Reply>, Failure>> {
        if N::WAITS {
            return join_all(groups.iter().map(async |group| match &group.node {
                Some(node) => self.exchange(node, &group.request, group.asking, deadline, Ok).await,
                None => Ok(Vec::new()),
            }))
            .await;
        }
        let mut sent = Vec::with_capacity(groups.len());
        for group in groups {
            sent.push(self.begin(group, deadline).await);
        }
        let mut outcomes = Vec::with_capacity(groups.len());
        for sent in sent {
            outcomes.push(match sent {
                Ok(sent) => sent.end(deadline).await,
                Err(failure) => Err(failure),
            });
        }
        outcomes
    }

    async fn begin<'a>(&self, group: &'a Group<N>, deadline: Moment) -> Result<Sent<'a, N>, Failure> {
        let nothing = || Failure::not_done(Fault::timed_out());
        let node = group.node.as_ref().ok_or_else(nothing)?;
        let place = node.places.get(MAIN).ok_or_else(nothing)?;
        let mut kept = before(&self.clock, deadline, place.link.lock()).await.ok_or_else(nothing)?;
        let connected = self.connected(node, kept.take(), deadline).await;
        let mut link = connected.inspect_err(|_| place.holds.set(None))?;
        let asking = group.asking.then(|| group.request.asking());
        let begun = link.begin(asking.as_ref().map_or(&group.request, |asking| asking.request()), deadline).await;
        begun.inspect_err(|_| place.holds.set(None))?;
        Ok(Sent { group, asking, link, kept })
    }
}

/// A request whose replies are awaited, and the connection that it has to itself.
struct Sent<'a, N: Network> {
    group: &'a Group<N>,
    asking: Option<Asking>,
    link: Link<N>,
    kept: MutexGuard<'a, Option<Link<N>>>,
}

impl<N: Network> Sent<'_, N> {
    async fn end(mut self, deadline: Moment) -> Result<Vec<Reply>, Failure> {
        let replies = match &self.asking {
            Some(asking) => self.link.end(asking.request(), deadline).await.map(|replies| asking.own(replies)),
            None => self.link.end(&self.group.request, deadline).await,
        };
        let place = self.group.node.as_ref().and_then(|node| node.places.get(MAIN));
        if let Some(place) = place {
            place.holds.set(self.link.holds.filter(|_| replies.is_ok()));
        }
        if replies.is_ok() {
            *self.kept = Some(self.link);
        }
        replies
    }
}

/// A batch on its way.
struct Batch<N: Network> {
    replies: Vec<Option<Reply>>,
    left: Vec<Part<N>>,
}

impl<N: Network> Batch<N> {
    fn again(&mut self, numbers: Vec<usize>) {
        self.left.extend(numbers.into_iter().map(|number| Part { number, asked: None }));
    }
}

/// A command that did not happen yet.
struct Part<N: Network> {
    number: usize,
    /// The node that is being given its key.
    asked: Option<Rc<Node<N>>>,
}

/// The commands for one node.
struct Group<N: Network> {
    /// `None` if no node has their slots.
    node: Option<Rc<Node<N>>>,
    asking: bool,
    numbers: Vec<usize>,
    request: Request,
}

impl<N: Network> Group<N> {
    fn is_for(&self, node: Option<&Rc<Node<N>>>, asking: bool) -> bool {
        self.asking == asking && self.node.as_ref().map(Rc::as_ptr) == node.map(Rc::as_ptr)
    }
}

/// The failure that decides: what may have happened, then what is refused.
fn worse(one: Option<Failure>, other: Failure) -> Failure {
    match one {
        Some(unknown @ Failure::Lost { maybe_done: true, .. }) => unknown,
        Some(refused @ Failure::Refused(_)) if !matches!(other, Failure::Lost { maybe_done: true, .. }) => refused,
        _ => other,
    }
}
