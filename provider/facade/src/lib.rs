//! Facades: the published generations of the key-value interface, one file each, over the one contract.
//!
//! A provider component names a [`Provider`], and exports the generations it likes with each one's `export!` macro;
//! all of them are views of the provider's one store. A facade translates types and nothing else: what an operation
//! does is the contract's business, and no facade knows which store it talks to.
//!
//! Two version strings were published in two shapes each. One component cannot export both under one name: the second
//! shapes are in the crate `kvfuse-facade-shapes`, and in artefacts of their own.
//!
//! What generations share: `shared` (any of them), `drafts` (since 2024-04), and for those before `classic`, `values`
//! and `caching`.

#[doc(hidden)]
pub mod caching;
mod classic;
#[doc(hidden)]
pub mod drafts;
#[doc(hidden)]
pub mod shared;
#[doc(hidden)]
pub mod values;

// Written by `make generate` from provider/table.
pub mod draft;
pub mod draft2;
pub mod draft_eventual;
pub mod unversioned;
pub mod v0_1;
pub mod wrpc;
// End of what is written.

pub use caching::Caching;
pub use kvfuse_core::Store;

/// Where a component's facades find its store.
pub trait Provider: 'static {
    /// Calls `f` with the store of this instance, the same one each time.
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T;
}

/// Exports generations from a component: `export!(TheProvider: draft, draft2)`. Those of another crate are named with it:
/// `export!(TheProvider: draft2_optional_pairs of kvfuse_facade_shapes)`.
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
