//! The store of `kvfuse-redis` with TLS inside, for `rediss://`. It takes `redis://` as well: one component for the
//! server next door and the one in production.
//!
//! `docs/redis-tls.md` has the settings.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

use kvfuse_core::{Result, Settings};
use kvfuse_redis::{RedisStore, asks_for_tls};
use kvfuse_tls::{Tls, Trust};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::sockets::Network;

/// The store over TLS, or without it if the URL says so. `instance` is a number that no other instance has.
///
/// # Errors
/// Those of [`RedisStore::new`] and [`Trust::from_settings`].
pub fn new<N: Network, C: AsyncClock>(
    settings: &Settings,
    network: N,
    clock: C,
    instance: u64,
) -> Result<RedisStore<Tls<N>, C>> {
    RedisStore::new(settings, Tls::new(network, trust(settings)?), clock, instance)
}

/// Whom to trust, if the URL asks for TLS.
fn trust(settings: &Settings) -> Result<Option<Trust>> {
    asks_for_tls(settings).then(|| Trust::from_settings(settings)).transpose()
}

#[cfg(target_arch = "wasm32")]
pub mod wasi {
    //! The store over wasi:sockets, as providers have it.

    use kvfuse_core::{Result, Settings};
    use kvfuse_redis::RedisStore;
    use kvfuse_tls::Tls;
    use kvfuse_transport::clock::WasiClock;
    use kvfuse_transport::sockets::WasiNetwork;
    use kvfuse_transport::timers;

    /// The store with the ports that WASI implements.
    pub type Store = RedisStore<Tls<WasiNetwork>, WasiClock>;

    /// The store that an instance's settings describe.
    pub fn store(settings: &Settings) -> Result<Store> {
        crate::new(settings, WasiNetwork::default(), WasiClock, timers::nanoseconds())
    }

    pub mod waiting {
        //! The store in both worlds, as that of `kvfuse-redis`.

        use kvfuse_core::{Result, Settings};
        use kvfuse_redis::wasi::waiting::{Both, over};
        use kvfuse_tls::Tls;
        use kvfuse_transport::sockets::{WaitingNetwork, WasiNetwork};

        /// The store with the ports that WASI implements.
        pub type Store = Both<Tls<WasiNetwork>, Tls<WaitingNetwork>>;

        /// The store that an instance's settings describe.
        pub fn store(settings: &Settings) -> Result<Store> {
            let trust = crate::trust(settings)?;
            over(settings, Tls::new(WasiNetwork::default(), trust.clone()), Tls::new(WaitingNetwork, trust))
        }
    }
}
