//! The Redis provider: one store in Redis or Valkey, over wasi:sockets, whichever generations an artefact of it exports. The
//! artefacts themselves are in `provider/components/redis*`.

use kvfuse_core::Store;
use kvfuse_facade::{Caching, Provider};
use kvfuse_gate::Gate;
use kvfuse_redis::RedisStore;
use kvfuse_transport::clock::WasiClock;
use kvfuse_transport::sockets::WasiNetwork;
use kvfuse_transport::{environment, timers};
use std::cell::OnceCell;
use wasip2::io::poll::Pollable;

/// The provider that every artefact over Redis exports.
pub struct Redis;

type Wasi = Gate<RedisStore<WasiNetwork, WasiClock>>;

thread_local! {
    static STORE: OnceCell<Wasi> = const { OnceCell::new() };
}

impl Provider for Redis {
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T {
        STORE.with(|cell| {
            f(cell.get_or_init(|| {
                let settings = environment::settings();
                let store = RedisStore::new(&settings, WasiNetwork::default(), WasiClock);
                Gate::new(&settings, store)
            }))
        })
    }
}

impl Caching for Redis {
    fn now() -> u64 {
        timers::now()
    }

    fn timer(milliseconds: u64) -> Pollable {
        timers::timer(milliseconds)
    }
}
