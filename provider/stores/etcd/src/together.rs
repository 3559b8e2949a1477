//! Reads of one instance that begin at the same time go together.
//!
//! Each request costs a connection, and etcd's gateway several times what a read costs etcd. So a read first lets those that are
//! ready join it, and they go in one transaction, which is linearizable as each of them would be: it begins after all of them.
//! There are up to [`MOST_REQUESTS`] such requests on their way, which many reads share evenly; what comes meanwhile waits until
//! one of them ends. Where calls do not wait beside each other, each read is a request of its own.

use crate::client::Repeat;
use crate::error;
use crate::protocol::{self, Range, Ranged};
use crate::store::{EtcdBucket, Shared};
use futures_channel::oneshot::{self, Receiver, Sender};
use kvfuse_core::Result;
use kvfuse_transport::clock::{AsyncClock, Moment, before};
use kvfuse_transport::http::AsyncHttpClient;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Requests on their way at the same time.
const MOST_REQUESTS: usize = 4;
/// Reads that go together before another request is worth its cost.
const FEW: usize = 32;
/// Bytes of values that one answer is to have at most. Those that are longer cost more together than beside each other.
const ANSWER_BYTES: usize = 1 << 20;

/// The reads of an instance.
#[derive(Clone, Default)]
pub struct Together(Rc<RefCell<Reads>>);

#[derive(Default)]
struct Reads {
    requests: usize,
    /// One of them lets others join it, and is not on its way yet.
    gathers: bool,
    /// Only while one gathers, or there are as many requests as there may be.
    waiting: VecDeque<Waiting>,
    /// Bytes of a value in the last answer, on average.
    bytes: usize,
}

struct Waiting {
    range: Range,
    tell: Sender<News>,
}

/// What a read that waits is told. If it is told nothing, the one that was to read for it was dropped.
enum News {
    /// Another one has read for it.
    Read(Ranged),
    /// Another one could not read for all of them.
    Alone,
    /// It is to read, for those that wait as well.
    Turn(Turn),
}

/// The right to make a request. It goes on to the next read when this is dropped, and so when the call is.
struct Turn {
    together: Together,
    /// Whether it is the one that gathers.
    gathers: bool,
}

impl Together {
    /// The right to make a request, if there may be one more, or else a place among those that wait.
    fn join(&self, range: &Range) -> std::result::Result<Turn, Receiver<News>> {
        let mut reads = self.0.borrow_mut();
        if !reads.gathers && reads.requests < MOST_REQUESTS {
            reads.requests += 1;
            reads.gathers = true;
            return Ok(Turn { together: self.clone(), gathers: true });
        }
        let (tell, told) = oneshot::channel();
        reads.waiting.push_back(Waiting { range: range.clone(), tell });
        Err(told)
    }

    /// How many reads go in one request of those that there may still be, if values are as long as the last ones.
    fn share(&self) -> usize {
        let reads = self.0.borrow();
        let requests = MOST_REQUESTS.saturating_sub(reads.requests).saturating_add(1);
        let evenly = reads.waiting.len().saturating_add(1).div_ceil(requests);
        let fitting = ANSWER_BYTES.checked_div(reads.bytes).unwrap_or(usize::MAX);
        fitting.min(evenly.max(FEW)).max(1)
    }

    /// Remembers how long values are. What has none, as of a read that only counts, tells nothing.
    fn learn(&self, answers: &[Ranged]) {
        let lengths = answers.iter().flat_map(|answer| &answer.kvs).map(|entry| entry.value.0.len());
        let (values, bytes) = lengths.fold((0_usize, 0_usize), |(values, bytes), length| {
            (values.saturating_add(1), bytes.saturating_add(length))
        });
        if let Some(average) = bytes.checked_div(values) {
            self.0.borrow_mut().bytes = average;
        }
    }

    /// Takes reads that wait, up to this many. Those that were dropped, or are past their deadlines, no longer listen.
    fn take(&self, most: usize) -> Vec<Waiting> {
        let mut reads = self.0.borrow_mut();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(waiting) = reads.waiting.pop_front()
        {
            if !waiting.tell.is_canceled() {
                taken.push(waiting);
            }
        }
        taken
    }
}

impl Turn {
    /// The reads that go with this one, after those that are ready have joined: together with it up to `most`. If there are more,
    /// another request begins.
    async fn gather(&mut self, clock: &impl AsyncClock, most: usize) -> Vec<Waiting> {
        if self.gathers {
            clock.others_first().await;
            self.gathers = false;
            self.together.0.borrow_mut().gathers = false;
        }
        let taken = self.together.take(most.min(self.together.share()).saturating_sub(1));
        let another = {
            let mut reads = self.together.0.borrow_mut();
            let may = !reads.gathers && !reads.waiting.is_empty() && reads.requests < MOST_REQUESTS;
            reads.requests += usize::from(may);
            may.then(|| Self { together: self.together.clone(), gathers: false })
        };
        // Its drop hands it on.
        drop(another);
        taken
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.gathers {
            self.together.0.borrow_mut().gathers = false;
        }
        let Some(next) = self.together.take(1).pop() else {
            self.together.0.borrow_mut().requests -= 1;
            return;
        };
        // Who receives it and is dropped before it looks drops it as well.
        let _ = next.tell.send(News::Turn(Self { together: self.together.clone(), gathers: false }));
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> EtcdBucket<H, C> {
    /// Reads a single key.
    pub(crate) async fn range(&self, range: Range) -> Result<Ranged> {
        let client = &self.shared.client;
        let deadline = client.deadline();
        loop {
            let told = match self.shared.together.join(&range) {
                Ok(turn) => return self.range_for_all(range, turn, deadline).await,
                Err(told) => told,
            };
            match before(&client.clock, deadline, told).await {
                Some(Ok(News::Read(ranged))) => return Ok(ranged),
                Some(Ok(News::Alone)) => return self.range_alone(&range, deadline).await,
                Some(Ok(News::Turn(turn))) => return self.range_for_all(range, turn, deadline).await,
                Some(Err(_)) => {}
                None => return Err(error::timed_out(&client.config, client.current().1)),
            }
        }
    }

    async fn range_alone(&self, range: &Range, deadline: Moment) -> Result<Ranged> {
        self.shared.client.call_until(protocol::RANGE, range, Repeat::Freely, deadline).await
    }

    /// Reads a key, and in the same request those that wait.
    async fn range_for_all(&self, range: Range, mut turn: Turn, deadline: Moment) -> Result<Ranged> {
        let Shared { client, max_operations, .. } = &*self.shared;
        let taken = turn.gather(&client.clock, max_operations.get()).await;
        let (ranges, tell): (Vec<_>, Vec<_>) = taken.into_iter().map(|waiting| (waiting.range, waiting.tell)).unzip();
        if ranges.is_empty() {
            let found = self.range_alone(&range, deadline).await?;
            turn.together.learn(std::slice::from_ref(&found));
            return Ok(found);
        }
        let all: Vec<_> = [range.clone()].into_iter().chain(ranges).collect();
        match self.ranges(&all, deadline).await {
            Ok(found) => {
                turn.together.learn(&found);
                let mut found = found.into_iter();
                let own = found.next();
                tell.into_iter().zip(found).for_each(|(tell, found)| _ = tell.send(News::Read(found)));
                own.ok_or_else(|| error::not_etcd(client.current().1))
            }
            Err(error) if client.clock.now() >= deadline => Err(error),
            // One of them may be what etcd refuses.
            Err(_) => {
                tell.into_iter().for_each(|tell| _ = tell.send(News::Alone));
                self.range_alone(&range, deadline).await
            }
        }
    }
}
