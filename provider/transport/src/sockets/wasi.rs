//! `wasi:sockets`.
#![deny(clippy::arithmetic_side_effects)]

use super::{Input, Network, Output};
use crate::clock::{Moment, wasi::Waiter};
use crate::fault::{Cause, Fault};
use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network as Handle,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// The most bytes to read at once. The host allocates as many, so this is small at first, and large once more have
/// arrived or are to be expected.
const FIRST_PIECE: usize = 4 << 10;
const PIECE: usize = 64 << 10;
/// The size of a request, in bytes, from which its reply is read in large pieces: it asks for many bytes or has sent
/// many, and the larger buffer costs little in comparison.
const LARGE_REQUEST: usize = 1 << 10;

/// The network of the instance.
#[derive(Default)]
pub struct WasiNetwork {
    waiter: Rc<Waiter>,
}

/// What a TCP connection of the host receives.
///
/// Fields are dropped in this order, as the interface requires: child resources before their parents.
pub struct WasiInput {
    readable: Pollable,
    input: InputStream,
    _socket: Rc<TcpSocket>,
    waiter: Rc<Waiter>,
    /// The most bytes to read next.
    piece: Rc<Cell<usize>>,
}

/// What it sends. Its fields are in the same order.
pub struct WasiOutput {
    output: OutputStream,
    _socket: Rc<TcpSocket>,
    waiter: Rc<Waiter>,
    piece: Rc<Cell<usize>>,
}

impl Network for WasiNetwork {
    type Input = WasiInput;
    type Output = WasiOutput;
    const WAITS: bool = false;

    async fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<(WasiInput, WasiOutput), Fault> {
        let network = instance_network();
        let mut fault = Fault::new(Cause::NameUnknown, format!("the name {host} cannot be resolved"));
        for address in self.addresses(&network, host, deadline)? {
            match self.connect_to(&network, address, port, deadline) {
                Ok(connection) => return Ok(connection),
                Err(failed) => fault = failed,
            }
        }
        Err(fault)
    }
}

impl WasiNetwork {
    fn addresses(&self, network: &Handle, host: &str, deadline: Moment) -> Result<Vec<IpAddress>, Fault> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![match address {
                IpAddr::V4(address) => IpAddress::Ipv4(address.octets().into()),
                IpAddr::V6(address) => IpAddress::Ipv6(address.segments().into()),
            }]);
        }
        let stream = resolve_addresses(network, host).map_err(fault)?;
        let mut addresses = Vec::new();
        loop {
            match stream.resolve_next_address() {
                Ok(Some(address)) => addresses.push(address),
                Ok(None) => return Ok(addresses),
                Err(ErrorCode::WouldBlock) => {
                    if !self.waiter.wait(&stream.subscribe(), deadline) {
                        return Err(Fault::timed_out());
                    }
                }
                // Try those that were found.
                Err(_) if !addresses.is_empty() => return Ok(addresses),
                Err(code) => return Err(fault(code)),
            }
        }
    }

    fn connect_to(
        &self,
        network: &Handle,
        address: IpAddress,
        port: u16,
        deadline: Moment,
    ) -> Result<(WasiInput, WasiOutput), Fault> {
        let (family, address) = match address {
            IpAddress::Ipv4(address) => {
                (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }))
            }
            IpAddress::Ipv6(address) => (
                IpAddressFamily::Ipv6,
                IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 }),
            ),
        };
        let socket = create_tcp_socket(family).map_err(fault)?;
        socket.start_connect(network, address).map_err(fault)?;
        let (input, output) = loop {
            match socket.finish_connect() {
                Ok(streams) => break streams,
                Err(ErrorCode::WouldBlock) => {
                    if !self.waiter.wait(&socket.subscribe(), deadline) {
                        return Err(Fault::timed_out());
                    }
                }
                Err(code) => return Err(fault(code)),
            }
        };
        let (socket, piece) = (Rc::new(socket), Rc::new(Cell::new(FIRST_PIECE)));
        let readable = input.subscribe();
        let (waiter, to) = (
            self.waiter.clone(),
            WasiOutput { output, _socket: socket.clone(), waiter: self.waiter.clone(), piece: piece.clone() },
        );
        Ok((WasiInput { readable, input, _socket: socket, waiter, piece }, to))
    }
}

impl Output for WasiOutput {
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, deadline: Moment) -> Result<(), Fault> {
        self.piece.set(if bytes.len() < LARGE_REQUEST { FIRST_PIECE } else { PIECE });
        // Not the host's function that writes and flushes in one call: it waits for as long as it takes, and a server
        // that answers without reading would keep it forever.
        while let Some(left) = bytes.get(*sent..).filter(|left| !left.is_empty()) {
            let room = self.output.check_write().map_err(stream_fault)?;
            if room == 0 {
                if !self.waiter.wait(&self.output.subscribe(), deadline) {
                    return Err(Fault::timed_out());
                }
                continue;
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let piece = left.get(..room).unwrap_or(left);
            self.output.write(piece).map_err(stream_fault)?;
            *sent = sent.saturating_add(piece.len());
        }
        // There is no need to wait: the answer arrives after the flush.
        self.output.flush().map_err(stream_fault)
    }
}

impl Input for WasiInput {
    async fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        loop {
            if !self.waiter.wait(&self.readable, deadline) {
                return Err(Fault::timed_out());
            }
            let piece = self.piece.get();
            match self.input.read(piece as u64) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    self.piece.set(if bytes.len() < piece { FIRST_PIECE } else { PIECE });
                    return Ok(bytes);
                }
                Err(StreamError::Closed) => return Ok(Vec::new()),
                Err(error) => return Err(stream_fault(error)),
            }
        }
    }

    async fn at_hand(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        match self.input.read(FIRST_PIECE as u64) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Err(StreamError::Closed) => Ok(Some(Vec::new())),
            Err(error) => Err(stream_fault(error)),
        }
    }
}

fn stream_fault(error: StreamError) -> Fault {
    match error {
        StreamError::Closed => Fault::closed(),
        StreamError::LastOperationFailed(error) => Fault::new(Cause::Closed, error.to_debug_string()),
    }
}

fn fault(code: ErrorCode) -> Fault {
    let (cause, text) = match code {
        ErrorCode::AccessDenied => (Cause::Denied, "access denied"),
        ErrorCode::NameUnresolvable | ErrorCode::InvalidArgument => (Cause::NameUnknown, "the name cannot be resolved"),
        ErrorCode::TemporaryResolverFailure => (Cause::Unreachable, "name resolution is temporarily unavailable"),
        ErrorCode::PermanentResolverFailure => (Cause::NameUnknown, "the name cannot be resolved"),
        ErrorCode::ConnectionRefused => (Cause::Refused, "connection refused"),
        ErrorCode::RemoteUnreachable => (Cause::Unreachable, "no route to the server"),
        ErrorCode::Timeout => (Cause::TimedOut, "no answer within the time limit"),
        ErrorCode::ConnectionReset | ErrorCode::ConnectionAborted => (Cause::Closed, "connection reset"),
        ErrorCode::NewSocketLimit | ErrorCode::OutOfMemory => (Cause::Other, "the host has run out of sockets"),
        code => return Fault::new(Cause::Other, format!("socket error: {}", code.name())),
    };
    Fault::new(cause, text)
}
