//! TCP connections.

#[cfg(target_arch = "wasm32")]
mod wasi;
#[cfg(target_arch = "wasm32")]
pub use wasi::WasiNetwork;

use crate::clock::Moment;
use crate::fault::Fault;

/// Where connections come from. On WASI: `wasi:sockets`.
pub trait Network {
    type Connection: Connection;

    /// Connects to a name or an IP address (IPv6 without brackets); the addresses of a name are tried in turn.
    fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<Self::Connection, Fault>;
}

/// A byte stream to a server. After a fault a connection is of no use any more.
pub trait Connection {
    /// Hands all bytes to the host.
    fn write(&mut self, bytes: &[u8], deadline: Moment) -> Result<(), WriteFault>;

    /// Waits for the next bytes, as many as have come. None at all means that the server closed its side.
    fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault>;

    /// Whether the server, between two exchanges, has closed the connection or said something unasked: then the
    /// connection is not fit for another exchange. Does not wait.
    fn is_stale(&mut self) -> bool;
}

/// A write that failed part of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFault {
    /// Whether the host had taken the last byte: if not, the server cannot have the whole of it.
    pub complete: bool,
    pub fault: Fault,
}
