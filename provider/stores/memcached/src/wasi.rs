//! The store over wasi:sockets, as providers have it.

use crate::MemcachedStore;
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::sockets::WasiNetwork;

/// The store with the ports that WASI implements.
pub type Store = MemcachedStore<WasiNetwork, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    MemcachedStore::new(settings, WasiNetwork::default(), WasiClock)
}

pub mod waiting {
    //! The store in both worlds: over the sockets of WASI 0.2 for what must not wait, and over those of 0.3. Each has connections
    //! of its own, and connects when it is first used.

    use crate::MemcachedStore;
    use kvfuse_core::{Result, Settings, waiting::Both};
    use kvfuse_transport::clock::{WaitingClock, WasiClock};
    use kvfuse_transport::sockets::{WaitingNetwork, WasiNetwork};

    /// The store with the ports that WASI implements.
    pub type Store = Both<MemcachedStore<WasiNetwork, WasiClock>, MemcachedStore<WaitingNetwork, WaitingClock>>;

    /// The store that an instance's settings describe.
    pub fn store(settings: &Settings) -> Result<Store> {
        Ok(Both {
            plain: super::store(settings)?,
            waiting: MemcachedStore::new(settings, WaitingNetwork, WaitingClock)?,
        })
    }
}
