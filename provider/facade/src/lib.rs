//! Facades: the published generations of the key-value interface, one file each, on top of the contract.
//!
//! A provider component implements [`Provider`] and exports any number of generations with [`export!`]. They are all
//! views of the same store. A facade only translates types: the contract defines what an operation does, and no facade
//! knows which store it calls.
//!
//! Two version strings were published in two shapes each. A component cannot export both under the same name: the second
//! shapes are in the crate `kvfuse-facade-shapes` and in artefacts of their own. The generations whose functions are asynchronous
//! are there twice as well: here lifted synchronously, and in the crate `kvfuse-facade-waiting` for stores whose calls wait beside
//! each other.
//!
//! Code that generations share is in `shared` (all of them), `drafts` (those since 2024-04), `classic`, `values` and `caching`
//! (those before), and `wasmcloud` (wasmCloud's own).

#[doc(hidden)]
pub mod caching;
mod classic;
#[doc(hidden)]
pub mod drafts;
pub mod extras;
#[doc(hidden)]
pub mod shared;
#[doc(hidden)]
pub mod values;
#[doc(hidden)]
pub mod wasmcloud;

// Written by `make generate` from provider/table.
pub mod draft;
pub mod draft2;
pub mod draft_eventual;
pub mod spin1;
pub mod spin2;
pub mod spin3;
pub mod unversioned;
pub mod v0_1;
pub mod wasmcloud_0_1;
pub mod wasmcloud_0_2;
pub mod wrpc;

/// Exports every generation of this crate.
#[macro_export]
macro_rules! export_all {
    ($provider:ty) => {
        $crate::export!($provider: draft2, draft, wrpc, draft_eventual, v0_1, unversioned, wasmcloud_0_2, wasmcloud_0_1, spin3, spin2, spin1);
    };
}
// End of what is written.

pub use caching::Caching;
pub use extras::Watching;
pub use kvfuse_core::Store;
use kvfuse_core::{AsyncBucket, Result};

/// How the facades of a component get its store.
pub trait Provider: 'static {
    /// Calls `f` with the store of this instance. It is the same store every time.
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T;

    /// Writes the reason to standard error and traps.
    ///
    /// For a call that failed and whose signature has no place for an error: any answer would be made up.
    fn trap(reason: &str) -> !;

    /// Writes a line to standard error.
    fn say(line: &str);
}

/// How the facades of a component get its store where calls wait beside each other.
pub trait WaitingProvider: Provider {
    /// Its buckets.
    type Bucket: AsyncBucket + 'static;

    /// Opens a bucket of the store of this instance.
    fn open(identifier: &str) -> Result<Self::Bucket>;
}

/// What a call does, if it is over when it returns.
#[doc(hidden)]
#[macro_export]
macro_rules! plain {
    ($whole:expr) => {
        $whole
    };
}

/// The same, if calls wait beside each other.
#[doc(hidden)]
#[macro_export]
macro_rules! settled {
    ($whole:expr) => {
        $crate::shared::settled(async move { $whole }).await
    };
}

/// Exports generations from a component: `export!(MyProvider: draft, draft2)`. To export those of another crate, name it:
/// `export!(MyProvider: draft2_optional_pairs of kvfuse_facade_shapes)`.
#[macro_export]
macro_rules! export {
    ($provider:ty: $($generation:ident),*) => {
        $crate::export!($provider: $($generation),* of $crate);
    };
    ($provider:ty: $($generation:ident),* of $facades:tt) => {
        $(const _: () = {
            type Facade = $facades::$generation::Facade<$provider>;
            $facades::$generation::export!(Facade with_types_in $facades::$generation);
        };)*
    };
}
