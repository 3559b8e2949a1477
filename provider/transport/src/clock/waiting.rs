//! `wasi:clocks/monotonic-clock` of WASI 0.3.

use super::{AsyncClock, Moment};
use crate::waiting::monotonic_clock;
use wit_bindgen::yield_async;

/// The monotonic clock of the host, whose waits let other tasks go on.
#[derive(Clone, Copy, Default)]
pub struct WaitingClock;

impl AsyncClock for WaitingClock {
    fn now(&self) -> Moment {
        Moment(monotonic_clock::now())
    }

    async fn sleep_until(&self, moment: Moment) {
        monotonic_clock::wait_until(moment.0).await;
    }

    async fn others_first(&self) {
        yield_async().await;
    }
}
