//! `wasi:sockets`.
#![deny(clippy::arithmetic_side_effects)]

use super::{Connection, Network, WriteFault};
use crate::clock::{Moment, wasi::Waiter};
use crate::fault::{Cause, Fault};
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

/// A TCP connection of the host.
///
/// Fields are dropped in this order, as the interface requires: child resources before their parents.
pub struct WasiConnection {
    readable: Pollable,
    input: InputStream,
    output: OutputStream,
    _socket: TcpSocket,
    waiter: Rc<Waiter>,
    /// The most bytes to read next.
    piece: usize,
}

impl Network for WasiNetwork {
    type Connection = WasiConnection;

    fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<WasiConnection, Fault> {
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
    ) -> Result<WasiConnection, Fault> {
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
        Ok(WasiConnection {
            readable: input.subscribe(),
            input,
            output,
            _socket: socket,
            waiter: self.waiter.clone(),
            piece: FIRST_PIECE,
        })
    }
}

impl Connection for WasiConnection {
    fn write(&mut self, mut bytes: &[u8], deadline: Moment) -> Result<(), WriteFault> {
        let partly = |fault| WriteFault { complete: false, fault };
        self.piece = if bytes.len() < LARGE_REQUEST { FIRST_PIECE } else { PIECE };
        // Not the host's function that writes and flushes in one call: it waits for as long as it takes, and a server
        // that answers without reading would keep it forever.
        while !bytes.is_empty() {
            let room = self.output.check_write().map_err(|error| partly(stream_fault(error)))?;
            if room == 0 {
                if !self.waiter.wait(&self.output.subscribe(), deadline) {
                    return Err(partly(Fault::timed_out()));
                }
                continue;
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.output.write(piece).map_err(|error| partly(stream_fault(error)))?;
            bytes = rest;
        }
        // There is no need to wait: the answer arrives after the flush.
        self.output.flush().map_err(|error| WriteFault { complete: true, fault: stream_fault(error) })
    }

    fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        loop {
            if !self.waiter.wait(&self.readable, deadline) {
                return Err(Fault::timed_out());
            }
            match self.input.read(self.piece as u64) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    self.piece = if bytes.len() < self.piece { FIRST_PIECE } else { PIECE };
                    return Ok(bytes);
                }
                Err(StreamError::Closed) => return Ok(Vec::new()),
                Err(error) => return Err(stream_fault(error)),
            }
        }
    }

    fn arrived(&mut self) -> Result<Vec<u8>, Fault> {
        self.input.read(self.piece as u64).map_err(stream_fault)
    }

    fn is_stale(&mut self) -> bool {
        !matches!(self.input.read(1), Ok(bytes) if bytes.is_empty())
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
