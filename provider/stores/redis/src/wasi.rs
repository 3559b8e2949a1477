//! The store over wasi:sockets, as providers have it.

use crate::RedisStore;
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::sockets::WasiNetwork;
use kvfuse_transport::timers;

/// The store with the ports that WASI implements.
pub type Store = RedisStore<WasiNetwork, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    RedisStore::new(settings, WasiNetwork::default(), WasiClock, timers::nanoseconds())
}

pub mod waiting {
    //! The store in both worlds: over the sockets of WASI 0.2 for what must not wait, and over those of 0.3. Each has connections
    //! of its own, and connects when it is first used.

    use crate::RedisStore;
    use kvfuse_core::{Result, Settings, waiting};
    use kvfuse_transport::clock::{WaitingClock, WasiClock};
    use kvfuse_transport::sockets::{Network, WaitingNetwork, WasiNetwork};
    use kvfuse_transport::timers;

    /// The store over these networks.
    pub type Both<P, W> = waiting::Both<RedisStore<P, WasiClock>, RedisStore<W, WaitingClock>>;

    /// The store with the ports that WASI implements.
    pub type Store = Both<WasiNetwork, WaitingNetwork>;

    /// The store that an instance's settings describe.
    pub fn store(settings: &Settings) -> Result<Store> {
        over(settings, WasiNetwork::default(), WaitingNetwork)
    }

    /// The same over other networks.
    ///
    /// # Errors
    /// Those of [`RedisStore::new`].
    pub fn over<P: Network, W: Network>(settings: &Settings, plain: P, waiting: W) -> Result<Both<P, W>> {
        // Versions of one mean nothing to the other, so they are two instances.
        let instance = timers::nanoseconds();
        Ok(Both {
            plain: RedisStore::new(settings, plain, WasiClock, instance)?,
            waiting: RedisStore::new(settings, waiting, WaitingClock, !instance)?,
        })
    }
}
