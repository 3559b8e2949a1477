//! A store in Redis or Valkey: one server, the primary that sentinels name, or a cluster.
//!
//! | file | what it contains |
//! |---|---|
//! | `config` | the settings: URL, login, layout, prefix, time limit |
//! | `protocol` | RESP2 and RESP3, without I/O |
//! | `error` | failures and error replies in terms of the contract |
//! | `link` | one connection: handshake, requests and replies |
//! | `node` | the open connections to one server |
//! | `client` | operations on a server: retries and deadlines |
//! | `sentinel` | which server is the primary |
//! | `slots` | the hash slots of a cluster |
//! | `cluster` | what nodes say of the cluster, and the map of its slots |
//! | `routes` | requests to a cluster: redirections, and batches to several nodes |
//! | `pipe` | one connection with many calls in flight, where the network waits |
//! | `layout` | how keys map to Redis keys |
//! | `store` | [`RedisStore`] and its bucket |
//! | `counters` | increments, with or without a floor |
//! | `swaps` | snapshots and compare-and-swap |
//! | `listing` | pages of keys |
//! | `runs` | which keys a listing has returned |
//! | `lifetimes` | keys that expire |
//! | `watch` | the changes of a bucket |
//!
//! `docs/redis.md` says what is guaranteed, how many round trips each operation takes, and what Redis does not offer.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod client;
mod cluster;
mod config;
mod counters;
mod error;
mod layout;
mod lifetimes;
mod link;
mod listing;
mod node;
mod pipe;
mod protocol;
mod routes;
mod runs;
mod sentinel;
mod slots;
mod store;
mod swaps;
#[cfg(target_arch = "wasm32")]
pub mod wasi;
mod watch;

pub use config::asks_for_tls;
pub use store::{RedisBucket, RedisStore};

// Tests about bounds look at what was allocated.
#[cfg(test)]
#[global_allocator]
static COUNTING: kvfuse_servers::allocated::Counting = kvfuse_servers::allocated::Counting;
