//! The provider components that are built: each a store behind the gate, and the generations of the interface that it
//! exports. One artefact is one file in `examples/`, because cargo lets one package have several of those that are
//! libraries. `make generate` writes them, and their stanzas in Cargo.toml, from `provider/table`.

#[doc(hidden)]
pub use {kvfuse_core, kvfuse_facade, kvfuse_facade_shapes, kvfuse_gate, kvfuse_transport, wasip2};

/// Makes a provider of a store: `provider!(struct Redis: kvfuse_redis)`. The crate has the store on WASI as `wasi::store`.
#[macro_export]
macro_rules! provider {
    ($visibility:vis struct $name:ident: $store:ident) => {
        $visibility struct $name;

        const _: () = {
            use $crate::kvfuse_gate::Gate;
            use $crate::kvfuse_transport::{clock::WasiClock, environment, last_words, timers};
            use std::cell::OnceCell;

            thread_local! {
                static STORE: OnceCell<Gate<$store::wasi::Store>> = const { OnceCell::new() };
            }

            impl $crate::kvfuse_facade::Provider for $name {
                fn with_store<T>(f: impl FnOnce(&dyn $crate::kvfuse_core::Store) -> T) -> T {
                    STORE.with(|cell| {
                        f(cell.get_or_init(|| {
                            let settings = environment::settings();
                            let store = $store::wasi::store(&settings);
                            Gate::new(&settings, store, WasiClock)
                        }))
                    })
                }

                fn trap(reason: &str) -> ! {
                    last_words::trap(reason)
                }
            }

            impl $crate::kvfuse_facade::Caching for $name {
                fn now() -> u64 {
                    timers::now()
                }

                fn timer(milliseconds: u64) -> $crate::wasip2::io::poll::Pollable {
                    timers::timer(milliseconds)
                }
            }
        };
    };
}

/// An artefact: a store's crate and the generations that it exports, second shapes behind a semicolon:
/// `artefact!(kvfuse_redis: draft, v0_1; draft2_optional_pairs)`.
#[macro_export]
macro_rules! artefact {
    ($store:ident: $($generation:ident),* $(; $($shape:ident),*)?) => {
        $crate::provider!(struct Provided: $store);
        $crate::kvfuse_facade::export!(Provided: $($generation),*);
        $(const _: () = {
            use $crate::kvfuse_facade_shapes as shapes;
            $crate::kvfuse_facade::export!(Provided: $($shape),* of shapes);
        };)?
    };
}
