//! A store in Azure Tables, over its REST protocol with JSON: one HTTP request for each call, signed with the account's key or
//! with a shared access signature.
//!
//! | file | what it contains |
//! |---|---|
//! | `config` | the settings: endpoint, account, table, credentials, prefix, lifetime, time limit |
//! | `sign` | signatures of requests (Shared Key for the Table service), without I/O |
//! | `protocol` | the answers as JSON, without I/O |
//! | `multipart` | entity group transactions as text, without I/O |
//! | `layout` | how a key and its value are an entity |
//! | `error` | failures and error answers in terms of the contract |
//! | `client` | signed requests, retries and deadlines; makes the table if it is missing |
//! | `store` | [`AzureStore`] and its bucket |
//! | `guarded` | writes whose outcome is looked up: sets, increments and swaps |
//! | `batches` | many keys in one request |
//! | `listing` | pages of keys |
//!
//! `docs/azure.md` says what is guaranteed and how many round trips each operation takes.
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod batches;
mod client;
mod config;
mod error;
mod guarded;
mod layout;
mod listing;
mod multipart;
mod protocol;
mod sign;
mod store;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

pub use kvfuse_http::ambient::Ambient;
pub use store::{AzureBucket, AzureStore};

// Tests about bounds look at what was allocated.
#[cfg(test)]
#[global_allocator]
static COUNTING: kvfuse_servers::allocated::Counting = kvfuse_servers::allocated::Counting;
