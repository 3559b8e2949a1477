//! The only place that calls WASI.
//!
//! Each transport is a port (a small trait, in types that build anywhere) and its implementation on WASI 0.2, which
//! builds for wasm only. Stores know the port alone, so their tests run natively against real servers.
//!
//! | file | what it is |
//! |---|---|
//! | [`clock`] | time limits, and pauses between tries |
//! | [`fault`] | what can go wrong on the way to a server |
//! | [`http`] | one HTTP exchange; on `wasi:http/outgoing-handler` |
//! | [`sockets`] | TCP connections; on `wasi:sockets` |

pub mod clock;
pub mod fault;
pub mod http;
pub mod sockets;
