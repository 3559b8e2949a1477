//! The contract that every key-value store of kvfuse implements and every facade calls.
//!
//! ```text
//! consumer ── component ── facade ── [ Store, Bucket ] ── store ── transport ── WASI
//! ```
//!
//! | module | what it defines |
//! |---|---|
//! | [`store`] | [`Store`], [`Bucket`]: the operations, their limits, atomicity and errors |
//! | [`body`] | values passed as host streams, for stores that support them |
//! | [`error`] | [`Error`] and its [`Kind`]s |
//! | [`page`] | [`Page`]: one page of keys, and what a cursor promises |
//! | [`version`] | [`Version`], [`Snapshot`], [`Swap`]: compare-and-swap |
//! | [`waiting`] | [`AsyncStore`], [`AsyncBucket`]: the same operations where calls wait beside each other |
//! | [`watch`] | [`Watch`]: the changes of a bucket, for stores that can report them |
//! | [`counter`] | the encoding of counters, and their arithmetic |
//! | [`limits`] | the sizes that every store accepts |
//! | [`settings`] | configuration |
//!
//! There is no WIT and no I/O here. Facades translate between this contract and one generation of the interface, stores
//! between this contract and an engine, and neither knows the other.
//!
//! # A complete store
//!
//! ```
#![doc = include_str!("../examples/map.rs")]
//! ```
#![deny(missing_docs, rustdoc::broken_intra_doc_links, rustdoc::private_intra_doc_links)]
#![forbid(unsafe_code)]

pub mod body;
pub mod counter;
pub mod error;
pub mod limits;
pub mod page;
pub mod settings;
pub mod store;
pub mod version;
pub mod waiting;
pub mod watch;

pub use body::{Body, BodyReader};
pub use error::{Error, Kind, Result};
pub use limits::Limits;
pub use page::Page;
pub use settings::Settings;
pub use store::{Bucket, Store};
pub use version::{Snapshot, Swap, Version};
pub use waiting::{AsyncBucket, AsyncStore};
pub use watch::{Change, Changes, Watch};

/// Its example is a test, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
