//! Facades: the published generations of the key-value interface, one file each, over the one contract.
//!
//! A provider component names a [`Provider`], and exports the generations it likes with each one's `export!` macro;
//! all of them are views of the provider's one store. A facade translates types and nothing else: what an operation
//! does is the contract's business, and no facade knows which store it talks to.
//!
//! To add a generation: its WIT in a folder under `wit/`, a file here, a line in the components that export it.

pub mod draft;
pub mod draft2;
mod shared;

pub use kvfuse_core::Store;

/// Where a component's facades find its store.
pub trait Provider: 'static {
    /// Calls `f` with the store of this instance, the same one each time.
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T;
}
