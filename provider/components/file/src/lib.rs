//! The file provider: every generation of the interface over append-only files in a granted directory.

use kvfuse_core::Store;
use kvfuse_facade::Provider;
use kvfuse_gate::Gate;
use kvfuse_log::{Config, LogStore};
use kvfuse_transport::{environment, files::wasi};
use std::cell::OnceCell;

struct File;

thread_local! {
    static STORE: OnceCell<Gate<LogStore<wasi::WasiDirectory>>> = const { OnceCell::new() };
}

impl Provider for File {
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T {
        STORE.with(|cell| {
            f(cell.get_or_init(|| {
                let settings = environment::settings();
                let store =
                    Config::from_settings(&settings).map(|config| LogStore::new(wasi::granted(&settings), config));
                Gate::new(&settings, store)
            }))
        })
    }
}

type Draft = kvfuse_facade::draft::Facade<File>;
type Draft2 = kvfuse_facade::draft2::Facade<File>;
kvfuse_facade::draft::export!(Draft with_types_in kvfuse_facade::draft);
kvfuse_facade::draft2::export!(Draft2 with_types_in kvfuse_facade::draft2);
