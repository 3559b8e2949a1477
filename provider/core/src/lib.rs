//! What a key-value store is: the contract that every store implements and every facade calls.
//!
//! ```text
//! consumer ── component ── facade ── [ Store, Bucket ] ── store ── transport ── WASI
//! ```
//!
//! | file | what it defines |
//! |---|---|
//! | [`store`] | [`Store`], [`Bucket`]: the operations, their limits, atomicity and errors |
//! | [`body`] | values that pass as host streams, for stores that can |
//! | [`error`] | [`Error`] and its kinds, and how they map onto the published interfaces |
//! | [`page`] | [`Page`]: what one listing call gives, and what a cursor promises |
//! | [`version`] | [`Version`], [`Snapshot`], [`Swap`]: compare-and-swap |
//! | [`counter`] | the one encoding of counters, and their arithmetic |
//! | [`limits`] | the sizes that every store accepts |
//! | [`settings`] | where configuration comes from |
//!
//! No WIT and no I/O here: facades translate between this and a generation of the interface, stores between this and
//! an engine. Neither knows the other.

pub mod body;
pub mod counter;
pub mod error;
pub mod limits;
pub mod page;
pub mod settings;
pub mod store;
pub mod version;

pub use body::{Body, BodyReader};
pub use error::{Error, Kind, Result};
pub use limits::Limits;
pub use page::Page;
pub use settings::Settings;
pub use store::{Bucket, Store};
pub use version::{Snapshot, Swap, Version};
