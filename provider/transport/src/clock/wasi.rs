//! `wasi:clocks/monotonic-clock`.

use super::{Clock, Moment};
use std::cell::RefCell;
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{self, Pollable};

/// The monotonic clock of the host.
#[derive(Clone, Copy, Default)]
pub struct WasiClock;

impl Clock for WasiClock {
    fn now(&self) -> Moment {
        Moment(monotonic_clock::now())
    }

    fn sleep_until(&self, moment: Moment) {
        monotonic_clock::subscribe_instant(moment.0).block();
    }
}

/// Waits for a pollable, with a deadline.
///
/// The timer is kept from one wait to the next, and most waits do not create one. A timer that fires before the
/// deadline is good enough: the wait then continues with a new one.
#[derive(Default)]
pub struct Waiter {
    timer: RefCell<Option<(Moment, Pollable)>>,
}

impl Waiter {
    /// Returns whether `what` became ready before the deadline.
    pub fn wait(&self, what: &Pollable, deadline: Moment) -> bool {
        let mut timer = self.timer.borrow_mut();
        loop {
            let (until, pollable) = match timer.take() {
                Some((until, pollable)) if until <= deadline => (until, pollable),
                _ => (deadline, monotonic_clock::subscribe_instant(deadline.0)),
            };
            let ready = poll::poll(&[what, &pollable]);
            if !ready.contains(&1) {
                *timer = Some((until, pollable));
                return true;
            }
            if ready.contains(&0) {
                return true;
            }
            if until >= deadline {
                return false;
            }
        }
    }
}
