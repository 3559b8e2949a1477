//! How stores reach the outside. Nothing else on a store's side calls WASI; a facade only reads from and hands on the
//! streams that its generation of the interface passes to consumers.
//!
//! Each transport is a port (a small trait whose types build on any target) and its implementation on WASI 0.2, which
//! only builds for wasm. Sockets, HTTP and clocks have one on WASI 0.3 as well, where calls wait beside each other. Stores
//! only know the port, so their tests run natively: against a simulated directory, or against real servers.
//!
//! | module | what it contains |
//! |---|---|
//! | [`address`] | addresses of servers, as settings give them |
//! | [`clock`] | time limits, and pauses between retries; on `wasi:clocks` |
//! | `environment` | the settings; on `wasi:cli/environment` |
//! | [`fault`] | why a request to a server can fail |
//! | [`files`] | directories and files; on `wasi:filesystem`, and natively, read-only |
//! | [`http`] | HTTP requests; on `wasi:http/outgoing-handler`, and on `wasi:http/client` of WASI 0.3 |
//! | `last_words` | the reason of a trap; on `wasi:cli/stderr` |
//! | `random` | unpredictable bytes; on `wasi:random` |
//! | [`sockets`] | TCP connections; on `wasi:sockets` |
//! | `timers` | the time of day, and pollables for timers; on `wasi:clocks` |
//! | [`turns`] | turns, for calls that would get in each other's way |
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod address;
pub mod clock;
#[cfg(target_arch = "wasm32")]
pub mod environment;
pub mod fault;
pub mod files;
pub mod http;
#[cfg(target_arch = "wasm32")]
pub mod last_words;
#[cfg(target_arch = "wasm32")]
pub mod random;
pub mod sockets;
#[cfg(target_arch = "wasm32")]
pub mod timers;
pub mod turns;
#[cfg(target_arch = "wasm32")]
mod waiting;

/// Its example is a test, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
