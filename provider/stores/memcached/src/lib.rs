//! A store in Memcached, over its meta commands and one TCP connection to each server.
//!
//! | file | what it contains |
//! |---|---|
//! | `config` | the settings: servers, login, prefix, time limit |
//! | `protocol` | requests and replies as bytes, without I/O |
//! | `error` | failures and error replies in terms of the contract |
//! | `link` | one connection: handshake, requests and replies |
//! | `client` | the open connections, retries and deadlines |
//! | `layout` | how keys map to Memcached's names, and names to servers |
//! | `store` | [`MemcachedStore`] and its bucket |
//! | `guarded` | increments and compare-and-swap |
//! | `batches` | calls with many keys |
//! | `lifetimes` | keys that expire |
//!
//! `docs/memcached.md` says what is guaranteed, how many round trips each operation takes, and what a cache does not offer.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod batches;
mod client;
mod config;
mod error;
mod guarded;
mod layout;
mod lifetimes;
mod link;
mod protocol;
mod store;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

pub use store::{MemcachedBucket, MemcachedStore};
