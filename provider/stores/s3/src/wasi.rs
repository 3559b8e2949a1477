//! The store over wasi:http, as providers have it.

use crate::{Ambient, S3Store};
use kvfuse_core::{Result, Settings};
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::http::WasiHttp;

/// The store with the ports that WASI implements.
pub type Store = S3Store<WasiHttp, WasiClock>;

/// The store that an instance's settings describe.
pub fn store(settings: &Settings) -> Result<Store> {
    S3Store::new(settings, WasiHttp::default(), WasiClock, Ambient::of_wasi())
}

pub mod waiting {
    //! The store in both worlds: over the HTTP of WASI 0.2 for what must not wait, and over that of 0.3.

    use crate::{Ambient, S3Store};
    use kvfuse_core::waiting::Both;
    use kvfuse_core::{Result, Settings};
    use kvfuse_transport::clock::WaitingClock;
    use kvfuse_transport::http::WaitingHttp;

    /// The store with the ports that WASI implements.
    pub type Store = Both<super::Store, S3Store<WaitingHttp, WaitingClock>>;

    /// The store that an instance's settings describe.
    pub fn store(settings: &Settings) -> Result<Store> {
        let waiting = S3Store::new(settings, WaitingHttp, WaitingClock, Ambient::of_wasi())?;
        Ok(Both { plain: super::store(settings)?, waiting })
    }
}
