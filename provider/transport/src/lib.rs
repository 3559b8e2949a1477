//! The only place that calls WASI.
//!
//! Each transport is a port (a small trait, in types that build anywhere) and its implementation on WASI 0.2, which
//! builds for wasm only. Stores know the port alone, so their tests run natively: against a simulated directory, or
//! against real servers.
//!
//! | file | what it is |
//! |---|---|
//! | [`address`] | addresses of servers, as settings give them |
//! | [`clock`] | time limits, and pauses between tries |
//! | `environment` | configuration; on `wasi:cli/environment` |
//! | [`fault`] | what can go wrong on the way to a server |
//! | [`files`] | directories and files; on `wasi:filesystem`, and natively to look only |
//! | [`http`] | one HTTP exchange; on `wasi:http/outgoing-handler` |
//! | [`sockets`] | TCP connections; on `wasi:sockets` |
//! | `timers` | the time of day, and pollables that wait; on `wasi:clocks` |

pub mod address;
pub mod clock;
#[cfg(target_arch = "wasm32")]
pub mod environment;
pub mod fault;
pub mod files;
pub mod http;
pub mod sockets;
#[cfg(target_arch = "wasm32")]
pub mod timers;
