//! A store in DynamoDB, over its JSON protocol: one signed HTTP request for each call. `kvfuse_http::aws` signs.
//!
//! | file | what it contains |
//! |---|---|
//! | `config` | the settings: endpoint, region, table, credentials, prefix, lifetime, time limit |
//! | `protocol` | the answers as JSON, without I/O |
//! | `layout` | how a key and its value are an item |
//! | `spin` | the bucket in the layout of Spin |
//! | `error` | failures and error answers in terms of the contract |
//! | `client` | signed requests, retries and deadlines |
//! | `store` | [`DynamoStore`] and its bucket |
//! | `bucket` | a bucket in either layout, where calls wait beside each other |
//! | `guarded` | writes whose outcome is looked up: sets, increments and swaps |
//! | `batches` | many keys in one request |
//! | `listing` | pages of keys |
//! | `watch` | changes, from the table's stream |
//! | `feed` | calls about the stream, and what its records are |
//! | `streams`, `lineage`, `position` | its answers, the shards to read, and the text of a position, without I/O |
//!
//! `docs/dynamodb.md` says what is guaranteed and how many round trips each operation takes.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod batches;
mod bucket;
mod client;
mod config;
mod error;
mod feed;
mod guarded;
mod layout;
mod lineage;
mod listing;
mod position;
mod protocol;
mod spin;
mod store;
mod streams;
#[cfg(target_arch = "wasm32")]
pub mod wasi;
mod watch;

pub use bucket::TableBucket;
pub use kvfuse_http::ambient::Ambient;
pub use store::DynamoStore;

// Tests about bounds look at what was allocated.
#[cfg(test)]
#[global_allocator]
static COUNTING: kvfuse_servers::allocated::Counting = kvfuse_servers::allocated::Counting;
