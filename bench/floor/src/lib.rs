//! The floor of the benchmarks: the facades over the memory store, without even the gate.

use kvfuse_facade::{Provider, Store};
use kvfuse_memory::MemoryStore;

struct Floor;

thread_local! {
    static STORE: MemoryStore = MemoryStore::default();
}

impl Provider for Floor {
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T {
        STORE.with(|store| f(store))
    }

    fn trap(_reason: &str) -> ! {
        std::process::abort()
    }

    fn say(_line: &str) {}
}

type Draft = kvfuse_facade::draft::Facade<Floor>;
type Draft2 = kvfuse_facade::draft2::Facade<Floor>;
kvfuse_facade::draft::export!(Draft with_types_in kvfuse_facade::draft);
kvfuse_facade::draft2::export!(Draft2 with_types_in kvfuse_facade::draft2);
