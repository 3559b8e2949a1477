//! The clock port on `std::time`.

use kvfuse_transport::clock::{Clock, Moment};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment(START.elapsed().as_nanos() as u64 + 1)
    }

    fn sleep_until(&self, moment: Moment) {
        std::thread::sleep(moment.since(self.now()));
    }
}

/// The time left until a deadline; `None` if it has passed.
pub fn left(deadline: Moment) -> Option<Duration> {
    Some(deadline.since(SystemClock.now())).filter(|left| !left.is_zero())
}
