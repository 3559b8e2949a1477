//! The file provider: one store over append-only files in a granted directory, whichever generations an artefact of it
//! exports. The artefacts themselves are in `provider/components/file*`.

use kvfuse_core::Store;
use kvfuse_facade::{Caching, Provider};
use kvfuse_gate::Gate;
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::wasi;
use kvfuse_transport::{environment, timers};
use std::cell::OnceCell;
use wasip2::io::poll::Pollable;

/// The provider that every artefact over files exports.
pub struct File;

thread_local! {
    static STORE: OnceCell<Gate<FileStore<wasi::WasiDirectory>>> = const { OnceCell::new() };
}

impl Provider for File {
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T {
        STORE.with(|cell| {
            f(cell.get_or_init(|| {
                let settings = environment::settings();
                let store =
                    Config::from_settings(&settings).map(|config| FileStore::new(wasi::granted(&settings), config));
                Gate::new(&settings, store)
            }))
        })
    }
}

impl Caching for File {
    fn now() -> u64 {
        timers::now()
    }

    fn timer(milliseconds: u64) -> Pollable {
        timers::timer(milliseconds)
    }
}
