//! Facades: the published generations of the key-value interface, one file each, over the one contract.
//!
//! A provider component names a [`Provider`], and exports the generations it likes with each one's `export!` macro;
//! all of them are views of the provider's one store. A facade translates types and nothing else: what an operation
//! does is the contract's business, and no facade knows which store it talks to.
//!
//! | file | generation |
//! |---|---|
//! | [`draft2`] | `wasi:keyvalue@0.2.0-draft2` |
//! | [`draft`] | `wasi:keyvalue@0.2.0-draft` |
//! | [`draft_eventual`] | the same version, with the interfaces of 0.1.0 |
//! | [`wrpc`] | `wrpc:keyvalue@0.2.0-draft` |
//! | [`v0_1`] | `wasi:keyvalue@0.1.0` |
//! | [`unversioned`] | `wasi:keyvalue` |
//!
//! Two of these version strings had another shape before. One component cannot export two shapes under one name, and
//! nor can one crate generate both, so those shapes are in the crate `facade-earlier` and in artefacts of their own.
//!
//! To add a generation: its WIT in a folder under `wit/`, a file here, its name in the components that export it.
//!
//! What generations share: `shared` (any of them), `drafts` (since 2024-04), and for those before `classic`, `values`
//! and `caching`.

#[doc(hidden)]
pub mod caching;
mod classic;
pub mod draft;
pub mod draft2;
pub mod draft_eventual;
#[doc(hidden)]
pub mod drafts;
#[doc(hidden)]
pub mod shared;
pub mod unversioned;
pub mod v0_1;
#[doc(hidden)]
pub mod values;
pub mod wrpc;

pub use caching::Caching;
pub use kvfuse_core::Store;

/// Where a component's facades find its store.
pub trait Provider: 'static {
    /// Calls `f` with the store of this instance, the same one each time.
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T;
}

/// Exports generations from a component: `export!(TheProvider: draft, draft2)`. Those of another crate are named with it:
/// `export!(TheProvider: v0_1_methods of kvfuse_facade_earlier)`.
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
