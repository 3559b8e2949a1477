//! Reads of one instance that wait go together.
//!
//! Each request costs a connection, and etcd's gateway several times what a read costs etcd. So there are up to
//! [`MOST_REQUESTS`] for reads of single keys. Those that come meanwhile wait until one of them ends, and then go in one
//! transaction, which is linearizable as each of them would be: it begins after all of them. Where calls do not wait beside each
//! other, each read is a request of its own.

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

/// The reads of an instance.
#[derive(Clone, Default)]
pub struct Together(Rc<RefCell<Reads>>);

#[derive(Default)]
struct Reads {
    requests: usize,
    /// Only while there are as many requests as there may be.
    waiting: VecDeque<Waiting>,
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
struct Turn(Together);

impl Together {
    /// The right to make a request, if there may be one more, or else a place among those that wait.
    fn join(&self, range: &Range) -> std::result::Result<Turn, Receiver<News>> {
        let mut reads = self.0.borrow_mut();
        if reads.requests < MOST_REQUESTS {
            reads.requests += 1;
            return Ok(Turn(self.clone()));
        }
        let (tell, told) = oneshot::channel();
        reads.waiting.push_back(Waiting { range: range.clone(), tell });
        Err(told)
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

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(next) = self.0.take(1).pop() else {
            self.0.0.borrow_mut().requests -= 1;
            return;
        };
        // Who receives it and is dropped before it looks drops it as well.
        let _ = next.tell.send(News::Turn(Self(self.0.clone())));
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
    async fn range_for_all(&self, range: Range, turn: Turn, deadline: Moment) -> Result<Ranged> {
        let Shared { client, max_operations, .. } = &*self.shared;
        let (ranges, tell): (Vec<_>, Vec<_>) = turn
            .0
            .take(max_operations.get().saturating_sub(1))
            .into_iter()
            .map(|waiting| (waiting.range, waiting.tell))
            .unzip();
        if ranges.is_empty() {
            return self.range_alone(&range, deadline).await;
        }
        let all: Vec<_> = [range.clone()].into_iter().chain(ranges).collect();
        match self.ranges(&all, deadline).await {
            Ok(found) => {
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
