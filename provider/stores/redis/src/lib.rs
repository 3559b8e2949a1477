//! A store in Redis or Valkey, over one TCP connection.
//!
//! | file | what it holds |
//! |---|---|
//! | [`config`] | the settings: URL, login, layout, prefix, time limit |
//! | [`protocol`] | RESP2 and RESP3, pure |
//! | [`error`] | failures and error replies in the contract's terms |
//! | `link` | one connection: greeting, exchanges |
//! | `engine` | the kept connections, tries and deadlines |
//! | `layout` | how keys become Redis keys |
//! | [`store`] | [`RedisStore`] and its bucket |
//! | `counters` | increments, with a floor or without |
//! | `cas` | snapshots and swaps |
//! | `scan` | listings |
//!
//! What is promised, what a round trip is spent on, and what Redis itself does not give: `docs/redis.md`.

mod cas;
pub mod config;
mod counters;
mod engine;
pub mod error;
mod layout;
mod link;
pub mod protocol;
mod scan;
pub mod store;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

pub use config::{Config, Layout};
pub use store::RedisStore;
