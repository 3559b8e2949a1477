//! The store over wasi:filesystem, as providers have it.

use crate::{Config, FileStore};
use kvfuse_core::{Result, Settings};
use kvfuse_transport::files::wasi::{WasiDirectory, granted};

/// The store with the ports that WASI implements.
pub type Store = FileStore<WasiDirectory>;

/// The store that an instance's settings and its granted directories describe.
pub fn store(settings: &Settings) -> Result<Store> {
    let config = Config::from_settings(settings)?;
    Ok(FileStore::new(granted(settings), config))
}
