//! `wasi:clocks/monotonic-clock`.

use super::{Clock, Moment, Polled};
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

/// Waits of one instance, on the host's pollables.
pub type Waiter = super::Waiter<Pollable>;

impl super::Pollable for Pollable {
    type Timer = Pollable;

    fn timer(&self, at: Moment) -> Pollable {
        monotonic_clock::subscribe_instant(at.0)
    }

    fn poll(&self, timer: &Pollable) -> Polled {
        let indices = poll::poll(&[self, timer]);
        Polled { ready: indices.contains(&0), fired: indices.contains(&1) }
    }
}
