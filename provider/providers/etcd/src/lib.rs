//! The etcd provider: one store in etcd, over wasi:http, whichever generations an artefact of it exports. The
//! artefacts themselves are in `provider/components/etcd*`.

use kvfuse_core::Store;
use kvfuse_etcd::EtcdStore;
use kvfuse_facade::{Caching, Provider};
use kvfuse_gate::Gate;
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::http::WasiHttp;
use kvfuse_transport::{environment, timers};
use std::cell::OnceCell;
use wasip2::io::poll::Pollable;

/// The provider that every artefact over etcd exports.
pub struct Etcd;

type Wasi = Gate<EtcdStore<WasiHttp, WasiClock>>;

thread_local! {
    static STORE: OnceCell<Wasi> = const { OnceCell::new() };
}

impl Provider for Etcd {
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T {
        STORE.with(|cell| {
            f(cell.get_or_init(|| {
                let settings = environment::settings();
                let store = EtcdStore::new(&settings, WasiHttp::default(), WasiClock);
                Gate::new(&settings, store)
            }))
        })
    }
}

impl Caching for Etcd {
    fn now() -> u64 {
        timers::now()
    }

    fn timer(milliseconds: u64) -> Pollable {
        timers::timer(milliseconds)
    }
}
