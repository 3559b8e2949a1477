//! Turns, for calls of one instance that would only get in each other's way.
//!
//! An increment that reads a key and writes it if it has not changed fails, and is tried again, whenever another one was faster.
//! A hundred of one instance at once would spend nearly all their requests on that. Where calls wait beside each other, those of
//! one key therefore take turns; where they do not, it is always a call's turn.

use crate::clock::{AsyncClock, Moment, before};
use futures_channel::oneshot::{self, Sender};
use kvfuse_core::{Error, Kind, Result};
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
    /// The result of an operation that begins when it is its turn, and is given its deadline. The time limit counts from this call
    /// on.
    ///
    /// ```
    /// use kvfuse_core::waiting::ready;
    /// use kvfuse_transport::clock::{AsyncClock, Moment};
    /// use kvfuse_transport::turns::Turns;
    /// use std::time::Duration;
    /// # struct Stopped;
    /// # impl AsyncClock for Stopped {
    /// #     fn now(&self) -> Moment { Moment(0) }
    /// #     async fn sleep_until(&self, _: Moment) { std::future::pending().await }
    /// #     async fn others_first(&self) {}
    /// # }
    ///
    /// let (turns, clock) = (Turns::default(), Stopped);
    /// let done = turns.take(b"key", &clock, Duration::from_nanos(9), async |deadline| Ok(deadline));
    /// assert_eq!(ready(done), Some(Ok(Moment(9))));
    /// ```
    ///
    /// # Errors
    /// Those of the operation; [`contended`] if it never was its turn within the time limit.
    pub async fn take<T>(
        &self,
        what: &[u8],
        clock: &impl AsyncClock,
        time_limit: Duration,
        operation: impl AsyncFnOnce(Moment) -> Result<T>,
    ) -> Result<T> {
        let deadline = clock.now() + time_limit;
        let _turn = match self.join(what) {
            Ok(turn) => turn,
            Err(waiting) => match before(clock, deadline, waiting).await {
                Some(Ok(turn)) => turn,
                Some(Err(_)) | None => return Err(contended(time_limit)),
            },
        };
        operation(deadline).await
    }

    /// The turn, if nobody has it, or else the end of the line.
    fn join(&self, what: &[u8]) -> std::result::Result<Turn, oneshot::Receiver<Turn>> {
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
    use std::future::pending;
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

        async fn others_first(&self) {}
    }

    const LATER: Duration = Duration::from_nanos(1);

    fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
        future.poll_unpin(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn calls_about_one_thing_go_one_after_the_other_and_others_beside_them() {
        let turns = Turns::default();
        let order = RefCell::new(Vec::new());
        let (go, gone) = oneshot::channel::<()>();
        let push = async |number: i32| -> Result<()> {
            order.borrow_mut().push(number);
            Ok(())
        };
        let first = async |_| {
            gone.await.unwrap();
            push(1).await
        };
        let mut first = Box::pin(turns.take(b"a", &Stopped, LATER, first));
        let mut second = Box::pin(turns.take(b"a", &Stopped, LATER, async |_| push(2).await));
        let mut third = Box::pin(turns.take(b"a", &Stopped, LATER, async |_| push(3).await));
        let mut other = Box::pin(turns.take(b"b", &Stopped, LATER, async |_| push(4).await));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending() && poll(&mut third).is_pending());
        assert_eq!(poll(&mut other), Poll::Ready(Ok(())));
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
        let forever = async |_| pending::<Result<()>>().await;
        let mut has = Box::pin(turns.take(b"a", &Stopped, LATER, forever));
        let mut waits = Box::pin(turns.take(b"a", &Stopped, LATER, forever));
        let mut next = Box::pin(turns.take(b"a", &Stopped, LATER, forever));
        let mut last = Box::pin(turns.take(b"a", &Stopped, LATER, async |_| Ok(1)));
        assert!(poll(&mut has).is_pending() && poll(&mut waits).is_pending() && poll(&mut next).is_pending());
        assert!(poll(&mut last).is_pending());
        drop(waits);
        drop(has);
        // It has the turn by now, and was not asked.
        drop(next);
        assert_eq!(poll(&mut last), Poll::Ready(Ok(1)));
        assert!(turns.lines.borrow().is_empty());
    }

    #[test]
    fn a_turn_that_does_not_come_before_the_deadline_is_given_up() {
        let turns = Turns::default();
        let mut has = Box::pin(turns.take(b"a", &Stopped, LATER, async |_| pending::<Result<()>>().await));
        assert!(poll(&mut has).is_pending());
        let mut late = Box::pin(turns.take(b"a", &Stopped, Duration::ZERO, async |_| Ok(())));
        assert_eq!(poll(&mut late), Poll::Ready(Err(contended(Duration::ZERO))));
        drop((late, has));
        assert!(turns.lines.borrow().is_empty());
    }
}
