//! A store in etcd, over its JSON gateway: one HTTP exchange a call.
//!
//! | file | what it holds |
//! |---|---|
//! | [`config`] | the settings: endpoints, login, prefix, life time, time limit |
//! | [`protocol`] | the gateway's requests and answers as JSON, pure |
//! | [`error`] | failures and error answers in the contract's terms |
//! | `client` | exchanges: endpoints, token, tries and deadlines |
//! | [`store`] | [`EtcdStore`] and its bucket |
//! | `guarded` | writes on the condition that nobody wrote since: increments and swaps |
//! | `batches` | many keys in one transaction |
//! | `listing` | pages of keys at one revision |
//!
//! What is promised and what a round trip is spent on: `docs/etcd.md`.

mod batches;
mod client;
pub mod config;
pub mod error;
mod guarded;
mod listing;
pub mod protocol;
pub mod store;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

pub use config::Config;
pub use store::EtcdStore;
