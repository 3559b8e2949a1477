//! What a pipelined connection knows of its calls. No I/O, and nothing waits.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::Failure;
use crate::link::{decode, more_replies};
use crate::protocol::{Decoder, Reply, Request, Size};
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

pub struct State {
    decoder: Decoder,
    /// The requests that nobody has begun to send, and their calls.
    outgoing: Vec<u8>,
    queued: VecDeque<Rc<Call>>,
    /// The calls whose requests are being sent, or were. Replies come in this order.
    flying: VecDeque<Rc<Call>>,
    /// What a call that was dropped left of the requests that it was sending.
    rest: Vec<u8>,
    /// The number of bytes of all requests that a call has begun to send, and of those that the host has accepted.
    taken: u64,
    accepted: u64,
    /// Whether a call is sending, so that more may have been accepted than is known.
    is_sending: bool,
    /// Whether who is sending has to stop, so that it is known what was sent of the calls whose time has passed.
    has_to_stop: bool,
    /// Calls that wait for an outcome.
    live: usize,
    /// When the one that reads looks at the time.
    armed: Moment,
    last_deadline: Moment,
    is_retired: bool,
    is_closed: bool,
}

/// One request on its way.
pub struct Call {
    size: Size,
    deadline: Moment,
    /// Where its request begins in all that is sent; `None` as long as nobody has begun to send it.
    start: Cell<Option<u64>>,
    /// The number of its replies that have arrived.
    arrived: Cell<usize>,
    replies: RefCell<Vec<Reply>>,
    outcome: RefCell<Option<Result<Vec<Reply>, Failure>>>,
    /// Whether it still waits for its outcome.
    is_live: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Call {
    pub fn outcome(&self) -> Option<Result<Vec<Reply>, Failure>> {
        self.outcome.borrow_mut().take()
    }

    /// Is woken when there is an outcome, or something to do for others.
    pub fn wait(&self, waker: &Waker) {
        let mut kept = self.waker.borrow_mut();
        match &mut *kept {
            Some(kept) => kept.clone_from(waker),
            None => *kept = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl State {
    pub fn new(decoder: Decoder, last_deadline: Moment) -> Self {
        Self {
            decoder,
            outgoing: Vec::new(),
            queued: VecDeque::new(),
            flying: VecDeque::new(),
            rest: Vec::new(),
            taken: 0,
            accepted: 0,
            is_sending: false,
            has_to_stop: false,
            live: 0,
            armed: Moment::NEVER,
            last_deadline,
            is_retired: false,
            is_closed: false,
        }
    }

    pub fn takes_calls(&self) -> bool {
        !self.is_closed && !self.is_retired
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether a call waits for its outcome.
    pub fn has_calls(&self) -> bool {
        self.live > 0
    }

    /// The deadline of the call that came last, which says when it came.
    pub fn last_deadline(&self) -> Moment {
        self.last_deadline
    }

    pub fn retire(&mut self) {
        self.is_retired = true;
    }

    /// Queues a request.
    pub fn queue(&mut self, request: &Request, deadline: Moment) -> Result<Rc<Call>, Failure> {
        if !self.takes_calls() {
            return Err(Failure::not_done(Fault::closed()));
        }
        let call = Rc::new(Call {
            size: request.size(),
            deadline,
            start: Cell::new(None),
            arrived: Cell::new(0),
            replies: RefCell::default(),
            outcome: RefCell::default(),
            is_live: Cell::new(true),
            waker: RefCell::default(),
        });
        self.outgoing.extend_from_slice(request.bytes());
        self.queued.push_back(call.clone());
        self.live = self.live.saturating_add(1);
        self.last_deadline = deadline;
        Ok(call)
    }

    pub fn has_to_send(&self) -> bool {
        let is_empty = self.rest.is_empty() && self.outgoing.is_empty();
        !self.is_closed && !is_empty
    }

    /// What is to be sent next; empty if nothing is. Until [`accepted_but`](Self::accepted_but) or
    /// [`end_write`](Self::end_write) it counts as being sent.
    pub fn take_batch(&mut self) -> Vec<u8> {
        let mut batch = std::mem::take(&mut self.rest);
        if batch.is_empty() {
            batch = std::mem::take(&mut self.outgoing);
        } else {
            batch.append(&mut self.outgoing);
        }
        for call in self.queued.drain(..) {
            call.start.set(Some(self.taken));
            self.taken = self.taken.saturating_add(call.size.bytes as u64);
            self.flying.push_back(call);
        }
        self.is_sending = !batch.is_empty();
        batch
    }

    /// The host has accepted the batch but for this many bytes.
    pub fn accepted_but(&mut self, unsent: usize) {
        (self.is_sending, self.has_to_stop) = (false, false);
        self.accepted = self.taken.saturating_sub(unsent as u64);
    }

    /// Nobody sends any more, and this is left of what was taken. Who has taken nothing leaves what was there.
    pub fn end_write(&mut self, rest: Vec<u8>) {
        if self.is_sending {
            self.accepted_but(rest.len());
        }
        if !rest.is_empty() {
            self.rest = rest;
        }
    }

    /// A call begins to read. Returns when it has to look at the time.
    pub fn arm(&mut self) -> Moment {
        self.armed = self.earliest();
        self.armed
    }

    /// A call looks for a turn at what has arrived. Nobody has to look at the time meanwhile: another call reads afterwards.
    pub fn look(&mut self) {
        self.armed = Moment(0);
    }

    pub fn disarm(&mut self) {
        self.armed = Moment::NEVER;
    }

    pub fn armed(&self) -> Moment {
        self.armed
    }

    /// The first deadline of the calls that wait.
    pub fn earliest(&self) -> Moment {
        self.live_calls().map(|call| call.deadline).min().unwrap_or(Moment::NEVER)
    }

    fn live_calls(&self) -> impl Iterator<Item = &Rc<Call>> {
        self.flying.iter().chain(&self.queued).filter(|call| call.is_live.get())
    }

    /// How to wake a call that waits.
    pub fn waiting(&self) -> Option<Waker> {
        self.live_calls().find_map(|call| call.waker.borrow().clone())
    }

    /// Takes what was read.
    pub fn read(&mut self, read: Result<Vec<u8>, Fault>) {
        let read = match read {
            Ok(bytes) if bytes.is_empty() => Err(Fault::closed()),
            Ok(bytes) => {
                let (flying, live) = (&mut self.flying, &mut self.live);
                decode(&mut self.decoder, &bytes, |reply| arrived(flying, live, reply))
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = read {
            self.close(&fault);
        }
    }

    /// The connection is no good any more. All calls end.
    pub fn close(&mut self, fault: &Fault) {
        self.is_closed = true;
        for call in std::mem::take(&mut self.flying).iter().chain(&std::mem::take(&mut self.queued)) {
            let maybe_done = self.may_be_done(call);
            finish(&mut self.live, call, Err(Failure::Lost { maybe_done, fault: fault.clone() }));
        }
        self.outgoing.clear();
        self.rest.clear();
    }

    /// Whether the server may carry out a call if nothing more is sent.
    fn may_be_done(&self, call: &Call) -> bool {
        let Some(start) = call.start.get() else { return false };
        self.is_sending || call.size.may_be_done(self.accepted.saturating_sub(start))
    }

    pub fn has_to_stop(&self) -> bool {
        self.has_to_stop
    }

    /// Ends the calls whose time has passed, once nobody is sending one of them. A server that has not even taken a whole
    /// request gets nothing more.
    pub fn expire(&mut self, now: Moment) {
        let late: Vec<Rc<Call>> = self.live_calls().filter(|call| call.deadline <= now).cloned().collect();
        let is_on_its_way = |call: &Rc<Call>| call.start.get().is_some_and(|start| start >= self.accepted);
        if self.is_sending && late.iter().any(is_on_its_way) {
            self.has_to_stop = true;
            self.live_calls().for_each(|call| call.wake());
            return;
        }
        let mut is_stuck = false;
        for call in late {
            let maybe_done = self.may_be_done(&call);
            if call.start.get().is_none() {
                self.take_back(&call);
            } else {
                is_stuck |= !maybe_done;
            }
            finish(&mut self.live, &call, Err(Failure::Lost { maybe_done, fault: Fault::timed_out() }));
        }
        if is_stuck || self.is_abandoned() {
            self.close(&Fault::new(Cause::Closed, "the server took no more bytes"));
        }
    }

    /// A call is over, or was dropped.
    pub fn leave(&mut self, call: &Rc<Call>) {
        if call.is_live.replace(false) {
            self.live = self.live.saturating_sub(1);
            call.replies.take();
            call.waker.take();
            if call.start.get().is_none() {
                self.take_back(call);
            }
        }
        if self.is_abandoned() {
            self.close(&Fault::closed());
        }
    }

    /// Whether a part of a request was sent, and nobody is there who would send the rest.
    fn is_abandoned(&self) -> bool {
        self.live == 0 && !self.is_sending && self.accepted < self.taken
    }

    /// Takes a request out of the queue.
    fn take_back(&mut self, call: &Rc<Call>) {
        let mut before = 0usize;
        for (number, other) in self.queued.iter().enumerate() {
            if Rc::ptr_eq(other, call) {
                self.outgoing.drain(before..before.saturating_add(call.size.bytes).min(self.outgoing.len()));
                self.queued.remove(number);
                return;
            }
            before = before.saturating_add(other.size.bytes);
        }
    }
}

/// A reply belongs to the first call that has not got all of its own.
fn arrived(flying: &mut VecDeque<Rc<Call>>, live: &mut usize, reply: Reply) -> Result<(), Fault> {
    let call = flying.front().ok_or_else(more_replies)?;
    if call.is_live.get() {
        call.replies.borrow_mut().push(reply);
    }
    call.arrived.set(call.arrived.get().saturating_add(1));
    if call.arrived.get() >= call.size.commands
        && let Some(call) = flying.pop_front()
    {
        let replies = call.replies.take();
        finish(live, &call, Ok(replies));
    }
    Ok(())
}

fn finish(live: &mut usize, call: &Call, outcome: Result<Vec<Reply>, Failure>) {
    if call.is_live.replace(false) {
        *live = live.saturating_sub(1);
        *call.outcome.borrow_mut() = Some(outcome);
        call.wake();
    }
}
