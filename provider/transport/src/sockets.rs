//! TCP connections.

#[cfg(target_arch = "wasm32")]
mod wasi;
#[cfg(target_arch = "wasm32")]
pub use wasi::WasiNetwork;

use crate::clock::Moment;
use crate::fault::Fault;

/// A network to connect over. On WASI: `wasi:sockets`.
pub trait Network {
    /// The connections that it makes.
    type Connection: Connection;

    /// Connects to a name or an IP address (IPv6 without brackets); the addresses of a name are tried in turn.
    ///
    /// # Errors
    /// Why there is no connection to any of them; after the deadline at the latest.
    fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<Self::Connection, Fault>;

    /// Whether its connections are encrypted, and the server's identity is verified.
    fn encrypts(&self) -> bool {
        false
    }
}

/// A byte stream to a server. It is unusable after a fault.
pub trait Connection {
    /// Hands all bytes to the host.
    ///
    /// # Errors
    /// [`WriteFault`], after the deadline at the latest.
    fn write(&mut self, bytes: &[u8], deadline: Moment) -> Result<(), WriteFault>;

    /// Waits for bytes and returns those that have arrived. An empty result means that the server closed its side.
    ///
    /// # Errors
    /// Why none arrived; after the deadline at the latest.
    fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault>;

    /// The bytes that have arrived, without waiting for any: empty if there are none.
    ///
    /// # Errors
    /// Why there will be no more; [`Cause::Closed`](crate::fault::Cause::Closed) if the server closed its side.
    fn arrived(&mut self) -> Result<Vec<u8>, Fault>;

    /// Whether the server has closed the connection or sent something unasked between two requests, so that the
    /// connection cannot be used for another one. Does not wait.
    fn is_stale(&mut self) -> bool;
}

/// A write that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFault {
    /// Whether the host had accepted the last byte. If not, the server cannot have received all of them.
    pub complete: bool,
    /// Why it failed.
    pub fault: Fault,
}
