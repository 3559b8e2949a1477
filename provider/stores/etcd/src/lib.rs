//! A store in etcd, over its JSON gateway: one HTTP request for each call. Where the HTTP client waits, so do calls, beside each
//! other.
//!
//! | file | what it contains |
//! |---|---|
//! | `config` | the settings: endpoints, login, prefix, lifetime, time limit |
//! | `protocol` | the gateway's requests and answers as JSON, without I/O |
//! | `error` | failures and error answers in terms of the contract |
//! | `client` | members, token, retries and deadlines |
//! | `store` | [`EtcdStore`] and its bucket |
//! | `guarded` | writes that fail if the key has changed: increments and swaps |
//! | `batches` | many keys in one transaction |
//! | `together` | reads that wait, in one request |
//! | `listing` | pages of keys at one revision |
//! | `lifetimes` | keys that expire |
//! | `watch` | the changes from a revision on |
//!
//! `docs/etcd.md` says what is guaranteed and how many round trips each operation takes.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod batches;
mod client;
mod config;
mod error;
mod guarded;
mod lifetimes;
mod listing;
mod protocol;
mod store;
mod together;
#[cfg(target_arch = "wasm32")]
pub mod wasi;
mod watch;

pub use store::{EtcdBucket, EtcdStore};

// Tests about bounds look at what was allocated.
#[cfg(test)]
#[global_allocator]
static COUNTING: kvfuse_servers::allocated::Counting = kvfuse_servers::allocated::Counting;
