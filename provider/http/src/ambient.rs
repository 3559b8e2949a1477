//! What a store needs to know of its surroundings.

use std::time::Duration;

/// What a store needs to know of its surroundings.
#[derive(Clone, Copy)]
pub struct Ambient {
    /// The time of day, as the time since 1970 in UTC. Signatures have it, and keys end by it.
    pub since_1970: fn() -> Duration,
    /// Unpredictable bytes, which tell a write from every other one.
    pub random: fn() -> [u8; 16],
}

#[cfg(target_arch = "wasm32")]
impl Ambient {
    /// As the host says.
    pub fn of_wasi() -> Self {
        use kvfuse_transport::{random, timers};
        Self { since_1970: || Duration::from_millis(timers::now()), random: random::bytes }
    }
}
