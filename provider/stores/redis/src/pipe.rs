//! One connection with many calls in flight, for a network that waits.
//!
//! Requests are sent in the order in which they came, and Redis replies in that order. Nothing runs between the calls, so the
//! calls do the work for each other: whoever finds the output free sends what is queued, whoever finds the input free reads
//! for all, and who leaves wakes another one if there is something left to do.
//!
//! A call that is dropped harms no other. If nothing of its request was sent, it is taken back. If all of it was, its reply is
//! read and discarded. If a part was, another call sends the rest; if there is none, the connection is closed, because nobody
//! knows when there would be one.

mod state;

use crate::error::Failure;
use crate::link::Link;
use crate::protocol::{Reply, Request};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::fault::Cause;
use kvfuse_transport::sockets::{Input, Network, Output};
use state::{Call, State};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

pub struct Pipe<N: Network> {
    state: RefCell<State>,
    /// `None` while a call reads.
    input: RefCell<Option<N::Input>>,
    /// `None` while a call writes.
    output: RefCell<Option<N::Output>>,
}

impl<N: Network> Pipe<N> {
    /// Of a connection that is between two requests.
    pub fn new(link: Link<N>) -> Self {
        let state = RefCell::new(State::new(link.decoder, link.last_deadline));
        Self { state, input: RefCell::new(Some(link.input)), output: RefCell::new(Some(link.output)) }
    }

    /// Whether it takes another call, as far as can be known without asking the server.
    pub async fn is_good(&self, is_fresh: impl FnOnce(Moment) -> bool) -> bool {
        {
            let state = self.state.borrow();
            if !state.takes_calls() {
                return false;
            }
            if state.has_calls() || is_fresh(state.last_deadline()) {
                return true;
            }
        }
        let _passing = Passing(self);
        let Some(mut held) = self.hold_input() else { return true };
        // Otherwise each call that begins meanwhile would set a timer, and stop it when it is over. That costs a runtime as much
        // as there are calls at once.
        self.state.borrow_mut().look();
        let arrived = match &mut held.input {
            Some(input) => input.at_hand().await,
            None => return true,
        };
        match arrived {
            Ok(None) => {}
            Ok(Some(bytes)) => self.state.borrow_mut().read(Ok(bytes)),
            Err(fault) => self.state.borrow_mut().close(&fault),
        }
        self.state.borrow().takes_calls()
    }

    /// Takes no more calls. Those in flight go on.
    pub fn retire(&self) {
        self.state.borrow_mut().retire();
    }

    /// Sends commands, and returns one reply for each.
    pub async fn exchange(
        &self,
        clock: &impl AsyncClock,
        request: &Request,
        deadline: Moment,
    ) -> Result<Vec<Reply>, Failure> {
        let call = self.state.borrow_mut().queue(request, deadline)?;
        let here = Here { call, passing: Passing(self) };
        let mut writing = pin!(None);
        let mut reading = pin!(None);
        let mut patience = pin!(None);
        let replies = poll_fn(|cx| {
            loop {
                if let Some(outcome) = here.call.outcome() {
                    return Poll::Ready(outcome);
                }
                if self.state.borrow().has_to_stop() {
                    if writing.is_none() {
                        // Who is sending wakes all that it ends.
                        here.call.wait(cx.waker());
                        return Poll::Pending;
                    }
                    writing.set(None);
                    self.state.borrow_mut().expire(clock.now());
                    continue;
                }
                if writing.is_none()
                    && let Some(held) = self.hold_output()
                {
                    writing.set(Some(self.write(clock, held)));
                }
                if let Some(role) = writing.as_mut().as_pin_mut()
                    && role.poll(cx).is_ready()
                {
                    writing.set(None);
                    continue;
                }
                if reading.is_none()
                    && let Some(held) = self.hold_input()
                {
                    let until = self.state.borrow_mut().arm();
                    reading.set(Some(self.read(clock, held, until)));
                }
                if let Some(role) = reading.as_mut().as_pin_mut()
                    && role.poll(cx).is_ready()
                {
                    reading.set(None);
                    continue;
                }
                here.call.wait(cx.waker());
                // Whoever reads keeps the time for all calls that end after the first one then known.
                if patience.is_none() && self.state.borrow().armed() > deadline {
                    patience.set(Some(clock.sleep_until(deadline)));
                }
                if let Some(role) = patience.as_mut().as_pin_mut()
                    && role.poll(cx).is_ready()
                {
                    patience.set(None);
                    self.state.borrow_mut().expire(clock.now());
                    continue;
                }
                return Poll::Pending;
            }
        });
        replies.await
    }

    /// Sends what is queued, until nothing is. Whoever reads meanwhile keeps the time.
    async fn write(&self, clock: &impl AsyncClock, mut held: HeldOutput<'_, N>) {
        // The others that are ready add their requests first: one write takes one packet, and WASI cannot tell the host to
        // send the next one before the first is confirmed.
        clock.others_first().await;
        loop {
            (held.batch, held.sent) = (self.state.borrow_mut().take_batch(), 0);
            let (Some(output), false) = (&mut held.output, held.batch.is_empty()) else { return };
            let written = output.write(&held.batch, &mut held.sent, Moment::NEVER).await;
            let mut state = self.state.borrow_mut();
            state.accepted_but(held.batch.len().saturating_sub(held.sent));
            if let Err(fault) = written {
                state.close(&fault);
                return;
            }
        }
    }

    /// Reads once, and hands the replies to those that wait for them.
    async fn read(&self, clock: &impl AsyncClock, mut held: HeldInput<'_, N>, until: Moment) {
        let Some(input) = &mut held.input else { return };
        let read = input.read(until).await;
        let mut state = self.state.borrow_mut();
        match read {
            Err(fault) if fault.cause == Cause::TimedOut => state.expire(clock.now()),
            read => state.read(read),
        }
    }

    /// The output, if it is free and there is something to send.
    fn hold_output(&self) -> Option<HeldOutput<'_, N>> {
        if !self.state.borrow().has_to_send() {
            return None;
        }
        let output = self.output.borrow_mut().take()?;
        Some(HeldOutput { pipe: self, output: Some(output), batch: Vec::new(), sent: 0 })
    }

    fn hold_input(&self) -> Option<HeldInput<'_, N>> {
        if self.state.borrow().is_closed() {
            return None;
        }
        let input = self.input.borrow_mut().take()?;
        Some(HeldInput { pipe: self, input: Some(input) })
    }

    /// Wakes a call if there is something to do that no call does.
    fn wake_one(&self) {
        let waker = {
            let state = self.state.borrow();
            let free = self.input.borrow().is_some() || (self.output.borrow().is_some() && state.has_to_send());
            if free { state.waiting() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Closes the connection once it is no good, but for the halves that calls hold: they drop them.
    fn tidy(&self) {
        if self.state.borrow().is_closed() {
            self.input.borrow_mut().take();
            self.output.borrow_mut().take();
        }
    }
}

/// The output in the hands of a call.
struct HeldOutput<'a, N: Network> {
    pipe: &'a Pipe<N>,
    output: Option<N::Output>,
    /// What is being sent: whole requests, or the rest of such.
    batch: Vec<u8>,
    sent: usize,
}

impl<N: Network> Drop for HeldOutput<'_, N> {
    fn drop(&mut self) {
        let rest = self.batch.split_off(self.sent.min(self.batch.len()));
        let is_closed = {
            let mut state = self.pipe.state.borrow_mut();
            state.end_write(rest);
            state.is_closed()
        };
        if !is_closed {
            *self.pipe.output.borrow_mut() = self.output.take();
        }
    }
}

/// The input in the hands of a call.
struct HeldInput<'a, N: Network> {
    pipe: &'a Pipe<N>,
    input: Option<N::Input>,
}

impl<N: Network> Drop for HeldInput<'_, N> {
    fn drop(&mut self) {
        let is_closed = {
            let mut state = self.pipe.state.borrow_mut();
            state.disarm();
            state.is_closed()
        };
        if !is_closed {
            *self.pipe.input.borrow_mut() = self.input.take();
        }
    }
}

/// A call on its way.
struct Here<'a, N: Network> {
    call: Rc<Call>,
    passing: Passing<'a, N>,
}

impl<N: Network> Drop for Here<'_, N> {
    fn drop(&mut self) {
        self.passing.0.state.borrow_mut().leave(&self.call);
    }
}

/// Whoever passes by may have done something for others, and leaves it to another one.
struct Passing<'a, N: Network>(&'a Pipe<N>);

impl<N: Network> Drop for Passing<'_, N> {
    fn drop(&mut self) {
        self.0.tidy();
        self.0.wake_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{Either, join_all, select};
    use kvfuse_servers::waiting::{TokioClock, TokioNetwork, runtime};
    use std::cell::Cell;
    use std::io::{Read, Write};
    use std::time::Duration;

    /// Counts the timers that are set.
    #[derive(Default)]
    struct Counting(Cell<usize>);

    impl AsyncClock for Counting {
        fn now(&self) -> Moment {
            TokioClock.now()
        }

        async fn sleep_until(&self, moment: Moment) {
            self.0.set(self.0.get() + 1);
            TokioClock.sleep_until(moment).await;
        }

        async fn others_first(&self) {
            TokioClock.others_first().await;
        }
    }

    #[test]
    fn calls_that_begin_while_one_looks_at_the_connection_set_no_timers_and_are_answered_if_it_is_dropped() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            connection.read_exact(&mut vec![0; 3 * REQUEST.len()]).unwrap();
            connection.write_all(&b"$1\r\nx\r\n".repeat(3)).unwrap();
            let _ = connection.read(&mut [0]);
        });
        runtime().block_on(async {
            let clock = Counting::default();
            let deadline = clock.now() + Duration::from_secs(300);
            let (input, output) = TokioNetwork::default().connect("127.0.0.1", port, deadline).await.unwrap();
            let pipe = Pipe::<TokioNetwork>::new(Link::new(input, output, deadline));
            let request = Request::of(&[b"GET", b"a"]);
            let mut looks = Box::pin(pipe.is_good(|_| false));
            let mut calls: Vec<_> = (0..3).map(|_| Box::pin(pipe.exchange(&clock, &request, deadline))).collect();
            poll_fn(|cx| {
                assert!(looks.as_mut().poll(cx).is_pending(), "it looks for a turn");
                assert!(calls.iter_mut().all(|call| call.as_mut().poll(cx).is_pending()));
                Poll::Ready(())
            })
            .await;
            drop(looks);
            assert_eq!(clock.0.get(), 0);
            for replies in join_all(calls).await {
                assert_eq!(replies.unwrap(), [Reply::Bulk(b"x".to_vec())]);
            }
            // Only who reads looks at the time.
            assert!(clock.0.get() <= 1, "{}", clock.0.get());
        });
        server.join().unwrap();
    }

    const REQUEST: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";

    /// A call that is tried again may have less time left than those that are already on its new connection.
    #[test]
    fn a_call_ends_at_its_own_deadline_whoever_reads_and_whatever_was_read_before() {
        let push = &b">2\r\n+pubsub\r\n+nothing\r\n"[..];
        for (sends, soon_reads) in [(&b""[..], false), (push, false), (push, true)] {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn(move || {
                let (mut connection, _) = listener.accept().unwrap();
                connection.read_exact(&mut vec![0; 2 * REQUEST.len()]).unwrap();
                connection.write_all(sends).unwrap();
                // Until the client has gone.
                let _ = connection.read(&mut [0]);
            });
            runtime().block_on(async {
                let clock = TokioClock;
                let (soon, later) = (clock.now() + Duration::from_millis(300), clock.now() + Duration::from_secs(300));
                let (input, output) = TokioNetwork::default().connect("127.0.0.1", port, later).await.unwrap();
                let pipe = Pipe::<TokioNetwork>::new(Link::new(input, output, later));
                let request = Request::of(&[b"GET", b"a"]);
                assert_eq!(request.bytes(), REQUEST);
                let deadlines = if soon_reads { [soon, later] } else { [later, soon] };
                let [first, second] = deadlines.map(|deadline| Box::pin(pipe.exchange(&clock, &request, deadline)));
                // Only one has ended, because the server never answers.
                let (ended, is_first) = match select(first, second).await {
                    Either::Left((ended, _)) => (ended, true),
                    Either::Right((ended, _)) => (ended, false),
                };
                assert_eq!(is_first, soon_reads);
                assert!(matches!(ended, Err(Failure::Lost { fault, .. }) if fault.cause == Cause::TimedOut));
                assert!(clock.now() < later);
            });
            server.join().unwrap();
        }
    }
}
