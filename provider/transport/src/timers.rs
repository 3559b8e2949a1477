//! The time of day, and timers as pollables. On WASI: `wasi:clocks`.

use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::io::poll::Pollable;

/// Milliseconds since 1970 by the wall clock of the host.
pub fn now() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds) / 1_000_000)
}

/// Nanoseconds since 1970 by the same clock: a number that two instances hardly ever get.
pub fn nanoseconds() -> u64 {
    let now = wall_clock::now();
    now.seconds.wrapping_mul(1_000_000_000).wrapping_add(u64::from(now.nanoseconds))
}

/// A pollable that becomes ready after this time.
pub fn timer(milliseconds: u64) -> Pollable {
    monotonic_clock::subscribe_duration(milliseconds.saturating_mul(1_000_000))
}
