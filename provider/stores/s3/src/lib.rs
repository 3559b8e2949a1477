//! A store in S3, or in what speaks its protocol: one signed HTTP request for each call. `kvfuse_http::aws` signs.
//!
//! | file | what it contains |
//! |---|---|
//! | `config` | the settings: endpoint, bucket, region, credentials, prefix, time limit |
//! | `protocol` | the answers as XML, and the request that deletes many objects, without I/O |
//! | `layout` | how a key is the name of an object |
//! | `error` | failures and error answers in terms of the contract |
//! | `client` | signed requests, retries and deadlines |
//! | `store` | [`S3Store`] and its bucket |
//! | `guarded` | writes whose outcome is looked up: sets, increments and swaps |
//! | `batches` | many keys |
//! | `listing` | pages of keys |
//!
//! `docs/s3.md` says what is guaranteed and how many round trips each operation takes.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod batches;
mod client;
mod config;
mod error;
mod guarded;
mod layout;
mod listing;
mod protocol;
mod store;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

pub use kvfuse_http::ambient::Ambient;
pub use store::{S3Bucket, S3Store};

// Tests about bounds look at what was allocated.
#[cfg(test)]
#[global_allocator]
static COUNTING: kvfuse_servers::allocated::Counting = kvfuse_servers::allocated::Counting;
