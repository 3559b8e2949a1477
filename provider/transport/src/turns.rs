//! Turns, for calls of one instance that would only get in each other's way.
//!
//! An increment that reads a key and writes it if it has not changed fails, and is tried again, whenever another one was faster.
//! A hundred of one instance at once would spend nearly all their requests on that. Where calls wait beside each other, those of
//! one key therefore take turns; where they do not, it is always a call's turn.

use crate::clock::{AsyncClock, Moment, before};
use futures_channel::oneshot::{self, Sender};
use kvfuse_core::{Error, Kind};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// The calls that wait for their turn, by what they are about. Those that came first go first.
#[derive(Clone, Default)]
pub struct Turns {
    lines: Rc<RefCell<HashMap<Vec<u8>, Line>>>,
}

/// Who waits behind the one whose turn it is.
type Line = VecDeque<Sender<Turn>>;

/// The turn of a call. It goes on to the next one when this is dropped, and so when the call is.
struct Turn {
    turns: Turns,
    what: Vec<u8>,
}

impl Turns {
    /// The result of an operation that begins when it is its turn. `None` if it never was before the deadline.
    ///
    /// ```
    /// use kvfuse_core::waiting::ready;
    /// use kvfuse_transport::clock::{AsyncClock, Moment};
    /// use kvfuse_transport::turns::Turns;
    /// # struct Stopped;
    /// # impl AsyncClock for Stopped {
    /// #     fn now(&self) -> Moment { Moment(0) }
    /// #     async fn sleep_until(&self, _: Moment) { std::future::pending().await }
    /// # }
    ///
    /// let (turns, clock) = (Turns::default(), Stopped);
    /// let done = turns.take(b"key", &clock, Moment(9), async { 1 });
    /// assert_eq!(ready(done), Some(Some(1)));
    /// ```
    pub async fn take<T>(
        &self,
        what: &[u8],
        clock: &impl AsyncClock,
        deadline: Moment,
        operation: impl Future<Output = T>,
    ) -> Option<T> {
        let _turn = match self.join(what) {
            Ok(turn) => turn,
            Err(waiting) => before(clock, deadline, waiting).await?.ok()?,
        };
        Some(operation.await)
    }

    /// The turn, if nobody has it, or else the end of the line.
    fn join(&self, what: &[u8]) -> Result<Turn, oneshot::Receiver<Turn>> {
        let mut lines = self.lines.borrow_mut();
        if let Some(line) = lines.get_mut(what) {
            let (sender, receiver) = oneshot::channel();
            line.push_back(sender);
            return Err(receiver);
        }
        lines.insert(what.to_vec(), Line::new());
        Ok(Turn { turns: self.clone(), what: what.to_vec() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = self.turns.lines.borrow_mut();
        let next = lines.get_mut(&self.what).and_then(|line| {
            // Those that were dropped, or are past their deadlines, no longer listen.
            while line.front().is_some_and(Sender::is_canceled) {
                line.pop_front();
            }
            line.pop_front()
        });
        let Some(next) = next else {
            lines.remove(&self.what);
            return;
        };
        // Who receives it and is dropped before it looks drops the turn as well.
        drop(lines);
        let _ = next.send(Turn { turns: self.turns.clone(), what: std::mem::take(&mut self.what) });
    }
}

/// The error of a call that others kept from its turn, or from writing what it had read, until its time limit passed.
pub fn contended(time_limit: Duration) -> Error {
    Error::new(
        Kind::Timeout,
        format!(
            "timed out after {} ms, because other calls were changing the same key; nothing was changed \
             (KEYVALUE_TIMEOUT_MS sets the limit)",
            time_limit.as_millis()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::future::{Pending, pending};
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    /// A clock that stands still.
    struct Stopped;

    impl AsyncClock for Stopped {
        fn now(&self) -> Moment {
            Moment(0)
        }

        async fn sleep_until(&self, moment: Moment) {
            if moment > Moment(0) {
                pending().await
            }
        }
    }

    const LATER: Moment = Moment(1);

    fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
        future.poll_unpin(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn calls_about_one_thing_go_one_after_the_other_and_others_beside_them() {
        let turns = Turns::default();
        let order = RefCell::new(Vec::new());
        let (go, gone) = oneshot::channel::<()>();
        let first = async {
            gone.await.unwrap();
            order.borrow_mut().push(1);
        };
        let mut first = Box::pin(turns.take(b"a", &Stopped, LATER, first));
        let mut second = Box::pin(turns.take(b"a", &Stopped, LATER, async { order.borrow_mut().push(2) }));
        let mut third = Box::pin(turns.take(b"a", &Stopped, LATER, async { order.borrow_mut().push(3) }));
        let mut other = Box::pin(turns.take(b"b", &Stopped, LATER, async { order.borrow_mut().push(4) }));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending() && poll(&mut third).is_pending());
        assert_eq!(poll(&mut other), Poll::Ready(Some(())));
        go.send(()).unwrap();
        assert!(poll(&mut first).is_ready());
        assert!(poll(&mut third).is_pending(), "the second one came before it");
        assert!(poll(&mut second).is_ready() && poll(&mut third).is_ready());
        assert_eq!(*order.borrow(), [4, 1, 2, 3]);
        assert!(turns.lines.borrow().is_empty());
    }

    #[test]
    fn a_call_that_is_dropped_at_any_point_holds_up_nobody() {
        let turns = Turns::default();
        let forever = || -> Pending<()> { pending() };
        let mut has = Box::pin(turns.take(b"a", &Stopped, LATER, forever()));
        let mut waits = Box::pin(turns.take(b"a", &Stopped, LATER, forever()));
        let mut next = Box::pin(turns.take(b"a", &Stopped, LATER, forever()));
        let mut last = Box::pin(turns.take(b"a", &Stopped, LATER, async { 1 }));
        assert!(poll(&mut has).is_pending() && poll(&mut waits).is_pending() && poll(&mut next).is_pending());
        assert!(poll(&mut last).is_pending());
        drop(waits);
        drop(has);
        // It has the turn by now, and was not asked.
        drop(next);
        assert_eq!(poll(&mut last), Poll::Ready(Some(1)));
        assert!(turns.lines.borrow().is_empty());
    }

    #[test]
    fn a_turn_that_does_not_come_before_the_deadline_is_given_up() {
        let turns = Turns::default();
        let mut has = Box::pin(turns.take(b"a", &Stopped, LATER, pending::<()>()));
        assert!(poll(&mut has).is_pending());
        let mut late = Box::pin(turns.take(b"a", &Stopped, Moment(0), async {}));
        assert_eq!(poll(&mut late), Poll::Ready(None));
        drop((late, has));
        assert!(turns.lines.borrow().is_empty());
    }
}
