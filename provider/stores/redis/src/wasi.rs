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
    //! The store in both worlds: over the sockets of WASI 0.2 for what must not wait, and over those of 0.3.

    use crate::{RedisBucket, RedisStore};
    use kvfuse_core::{AsyncStore, Bucket, Result, Settings};
    use kvfuse_transport::clock::{WaitingClock, WasiClock};
    use kvfuse_transport::sockets::{Network, WaitingNetwork, WasiNetwork};
    use kvfuse_transport::timers;
    use std::rc::Rc;

    /// Both see the same data. Each has connections of its own, and connects when it is first used.
    pub struct Both<P: Network, W: Network> {
        plain: RedisStore<P, WasiClock>,
        waiting: RedisStore<W, WaitingClock>,
    }

    /// The store with the ports that WASI implements.
    pub type Store = Both<WasiNetwork, WaitingNetwork>;

    /// The store that an instance's settings describe.
    pub fn store(settings: &Settings) -> Result<Store> {
        Both::new(settings, WasiNetwork::default(), WaitingNetwork)
    }

    impl<P: Network, W: Network> Both<P, W> {
        /// The store over these networks.
        ///
        /// # Errors
        /// Those of [`RedisStore::new`].
        pub fn new(settings: &Settings, plain: P, waiting: W) -> Result<Self> {
            // Versions of one mean nothing to the other, so they are two instances.
            let instance = timers::nanoseconds();
            Ok(Self {
                plain: RedisStore::new(settings, plain, WasiClock, instance)?,
                waiting: RedisStore::new(settings, waiting, WaitingClock, !instance)?,
            })
        }
    }

    impl<P: Network + 'static, W: Network + 'static> kvfuse_core::Store for Both<P, W> {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            self.plain.open(bucket)
        }

        fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
            self.plain.space(bucket)
        }
    }

    impl<P: Network + 'static, W: Network + 'static> AsyncStore for Both<P, W> {
        type Bucket = RedisBucket<W, WaitingClock>;

        fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
            self.waiting.open_async(bucket)
        }
    }
}
