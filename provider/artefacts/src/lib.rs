//! The provider components that are built: each a store behind the gate, and the generations of the interface that it
//! exports. One artefact is one file in `examples/`, because cargo lets one package have several of those that are
//! libraries. `make generate` writes them, and their stanzas in Cargo.toml, from `provider/table`.

#[doc(hidden)]
pub use {
    kvfuse_core, kvfuse_facade, kvfuse_facade_shapes, kvfuse_facade_waiting, kvfuse_gate, kvfuse_transport, wasip2,
};

/// Makes a provider of a store: `provider!(struct Redis: kvfuse_redis)`. The crate has the store on WASI as
/// `wasi::store`. For several stores, chosen by the bucket's name: `provider!(struct All: "files" = kvfuse_files,
/// "redis" = kvfuse_redis)`.
#[macro_export]
macro_rules! provider {
    ($visibility:vis struct $name:ident: $store:ident) => {
        $crate::provider!($visibility struct $name: $crate::kvfuse_gate::Labelled<$store::wasi::Store>, |settings| {
            $crate::kvfuse_gate::Labelled::new(settings, $store::wasi::store(settings))
        });
    };
    ($visibility:vis struct $name:ident: waiting $store:ident) => {
        $crate::provider!($visibility struct $name: $crate::kvfuse_gate::Labelled<$store::wasi::waiting::Store>, |settings| {
            $crate::kvfuse_gate::Labelled::new(settings, $store::wasi::waiting::store(settings))
        }, waiting);
    };
    ($visibility:vis struct $name:ident: $($called:literal = $store:ident),+) => {
        $crate::provider!($visibility struct $name: $crate::kvfuse_gate::Routes, |settings| {
            Ok($crate::kvfuse_gate::Routes::new(settings, &[
                $(($called, |settings| Ok(Box::new($store::wasi::store(settings)?)))),+
            ]))
        });
    };
    ($visibility:vis struct $name:ident: $kind:ty, |$settings:ident| $make:expr $(, $waits:ident)?) => {
        $visibility struct $name;

        const _: () = {
            use $crate::kvfuse_core::Settings;
            use $crate::kvfuse_gate::{Gate, Labels};
            use $crate::kvfuse_transport::{clock::WasiClock, environment, last_words, timers};
            use std::cell::OnceCell;

            thread_local! {
                static STORE: OnceCell<Labels<$kind>> = const { OnceCell::new() };
            }

            fn make($settings: &Settings) -> $crate::kvfuse_core::Result<$kind> {
                $make
            }

            fn gate(settings: &Settings) -> Gate<$kind> {
                Gate::new(settings, make(settings), WasiClock)
            }

            fn with_gates<T>(f: impl FnOnce(&Labels<$kind>) -> T) -> T {
                STORE.with(|cell| f(cell.get_or_init(|| Labels::new(environment::variables(), gate))))
            }

            impl $crate::kvfuse_facade::Provider for $name {
                fn with_store<T>(f: impl FnOnce(&dyn $crate::kvfuse_core::Store) -> T) -> T {
                    with_gates(|gates| f(gates))
                }

                fn trap(reason: &str) -> ! {
                    last_words::trap(reason)
                }

                fn say(line: &str) {
                    last_words::say(line);
                }
            }

            $($crate::$waits!($name, $kind);)?

            impl $crate::kvfuse_facade::Caching for $name {
                fn now() -> u64 {
                    timers::now()
                }

                fn timer(milliseconds: u64) -> $crate::wasip2::io::poll::Pollable {
                    timers::timer(milliseconds)
                }
            }

            impl $crate::kvfuse_facade::Watching for $name {
                fn settings() -> Settings {
                    environment::settings()
                }
            }
        };
    };
}

/// How the facades of a provider get its store where calls wait beside each other.
#[doc(hidden)]
#[macro_export]
macro_rules! waiting {
    ($name:ident, $kind:ty) => {
        impl $crate::kvfuse_facade::WaitingProvider for $name {
            type Bucket = <Labels<$kind> as $crate::kvfuse_core::AsyncStore>::Bucket;

            fn open(identifier: &str) -> $crate::kvfuse_core::Result<Self::Bucket> {
                with_gates(|gates| $crate::kvfuse_core::AsyncStore::open_async(gates, identifier))
            }
        }
    };
}

/// An artefact: a store's crate and the generations that it exports, second shapes behind a semicolon:
/// `artefact!(kvfuse_redis: draft, v0_1; draft2_optional_pairs)`. Several stores have their names:
/// `artefact!("files" = kvfuse_files, "redis" = kvfuse_redis: draft, v0_1)`. Of a store whose calls wait beside each other, those
/// that wait come last: `artefact!(waiting kvfuse_redis: draft, v0_1; waiting wasmcloud_0_2)`.
#[macro_export]
macro_rules! artefact {
    ($store:ident: $($generations:tt)*) => {
        $crate::provider!(struct Provided: $store);
        $crate::generations!($($generations)*);
    };
    (waiting $store:ident: $($generations:tt)*) => {
        $crate::provider!(struct Provided: waiting $store);
        $crate::generations!($($generations)*);
    };
    ($($called:literal = $store:ident),+: $($generations:tt)*) => {
        $crate::provider!(struct Provided: $($called = $store),+);
        $crate::generations!($($generations)*);
    };
}

/// Exports generations from a component whose provider is called `Provided`.
#[doc(hidden)]
#[macro_export]
macro_rules! generations {
    ($($generation:ident),*; waiting $($waiting:ident),*) => {
        $crate::generations!($($generation),*);
        const _: () = {
            use $crate::kvfuse_facade_waiting as waiting;
            $crate::kvfuse_facade::export!(Provided: $($waiting),* of waiting);
        };
    };
    ($($generation:ident),* $(; $($shape:ident),*)?) => {
        $crate::kvfuse_facade::export!(Provided: $($generation),*);
        $crate::kvfuse_facade::export!(Provided: extras);
        $(const _: () = {
            use $crate::kvfuse_facade_shapes as shapes;
            $crate::kvfuse_facade::export!(Provided: $($shape),* of shapes);
        };)?
    };
}
