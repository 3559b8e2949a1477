//! The store over wasi:http, as providers have it.

use crate::{Ambient, DynamoStore};
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::http::WasiHttp;

/// The store with the ports that WASI implements.
pub type Store = DynamoStore<WasiHttp, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    DynamoStore::new(settings, WasiHttp::default(), WasiClock, Ambient::of_wasi())
}

pub mod waiting {
    //! The store in both worlds: over the HTTP of WASI 0.2 for what must not wait, and over that of 0.3.

    use crate::{Ambient, DynamoStore};
    use kvfuse_core::waiting::Both;
    use kvfuse_core::{Result, Settings};
    use kvfuse_transport::clock::WaitingClock;
    use kvfuse_transport::http::WaitingHttp;

    /// The store with the ports that WASI implements.
    pub type Store = Both<super::Store, DynamoStore<WaitingHttp, WaitingClock>>;

    /// The store that an instance's settings describe.
    pub fn store(settings: &Settings) -> Result<Store> {
        let waiting = DynamoStore::new(settings, WaitingHttp, WaitingClock, Ambient::of_wasi())?;
        Ok(Both { plain: super::store(settings)?, waiting })
    }
}
