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
    use kvfuse_transport::clock::WaitingClock;
    use kvfuse_transport::sockets::WaitingNetwork;
    use kvfuse_transport::timers;
    use std::rc::Rc;

    /// Both see the same data. Each has connections of its own, and connects when it is first used.
    pub struct Store {
        plain: super::Store,
        waiting: RedisStore<WaitingNetwork, WaitingClock>,
    }

    /// The store that an instance's settings describe.
    pub fn store(settings: &Settings) -> Result<Store> {
        // Versions of one mean nothing to the other, so they are two instances.
        let waiting = RedisStore::new(settings, WaitingNetwork, WaitingClock, !timers::nanoseconds())?;
        Ok(Store { plain: super::store(settings)?, waiting })
    }

    impl kvfuse_core::Store for Store {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            self.plain.open(bucket)
        }

        fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
            self.plain.space(bucket)
        }
    }

    impl AsyncStore for Store {
        type Bucket = RedisBucket<WaitingNetwork, WaitingClock>;

        fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
            self.waiting.open_async(bucket)
        }
    }
}
