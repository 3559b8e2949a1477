//! TCP connections.
//!
//! One port for both worlds. On WASI 0.2 all waiting happens inside the calls, and their futures are ready at once; on WASI 0.3
//! they wait, and other tasks of the instance run meanwhile.

#[cfg(target_arch = "wasm32")]
mod waiting;
#[cfg(target_arch = "wasm32")]
mod wasi;
#[cfg(target_arch = "wasm32")]
pub use {waiting::WaitingNetwork, wasi::WasiNetwork};

use crate::clock::Moment;
use crate::fault::Fault;
use std::future::Future;

/// A network to connect over. On WASI: `wasi:sockets`.
pub trait Network {
    /// What arrives on its connections.
    type Input: Input;
    /// What is sent on them.
    type Output: Output;
    /// Whether its futures wait, so that several calls can be on their way at the same time. If not, all of them are ready when
    /// they are first polled.
    const WAITS: bool;

    /// Connects to a name or an IP address (IPv6 without brackets); the addresses of a name are tried in turn. The connection
    /// closes when both of its halves are dropped.
    ///
    /// # Errors
    /// Why there is no connection to any of them; after the deadline at the latest.
    fn connect(
        &self,
        host: &str,
        port: u16,
        deadline: Moment,
    ) -> impl Future<Output = Result<(Self::Input, Self::Output), Fault>>;

    /// Whether its connections are encrypted, and the server's identity is verified.
    fn encrypts(&self) -> bool {
        false
    }
}

/// The bytes that come from a server. They end with the first fault.
pub trait Input {
    /// Waits for bytes and returns those that have arrived. An empty result means that the server closed its side. Nothing is
    /// lost if the future is dropped.
    ///
    /// # Errors
    /// Why none arrived; after the deadline at the latest.
    fn read(&mut self, deadline: Moment) -> impl Future<Output = Result<Vec<u8>, Fault>>;

    /// What has arrived already: `None` if nothing has. An empty result means that the server closed its side. Does not wait
    /// for the server.
    ///
    /// # Errors
    /// Why none can arrive any more.
    fn at_hand(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, Fault>>;
}

/// The bytes that go to a server.
pub trait Output {
    /// Hands bytes to the host, from the one at `sent` on, and counts in `sent` what it has accepted: always, also after a
    /// fault and if the future is dropped. The server cannot have received more than that.
    ///
    /// # Errors
    /// Why not all were accepted; after the deadline at the latest. Also, with all of them accepted, why they cannot be sent.
    fn write(&mut self, bytes: &[u8], sent: &mut usize, deadline: Moment) -> impl Future<Output = Result<(), Fault>>;
}
