//! `wasi:sockets` of WASI 0.3.
#![deny(clippy::arithmetic_side_effects)]

use super::{Input, Network, Output};
use crate::clock::{AsyncClock, Moment, WaitingClock, before};
use crate::fault::{Cause, Fault};
use crate::waiting::ip_name_lookup::{self, resolve_addresses};
use crate::waiting::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
};
use crate::waiting::wit_stream;
use futures_util::future::{Either, select};
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use wit_bindgen::{StreamRead, StreamReader, StreamResult, StreamWrite, StreamWriter, yield_async};

/// The most bytes to read at once: few at first, and many once as many have arrived.
const FIRST_PIECE: usize = 8 << 10;
const PIECE: usize = 64 << 10;

/// The network of the instance, where calls wait beside each other.
#[derive(Default)]
pub struct WaitingNetwork;

/// What a TCP connection of the host receives.
pub struct WaitingInput {
    stream: StreamReader<u8>,
    /// What had arrived when a read was dropped.
    kept: Vec<u8>,
    /// The host has said that nothing more comes. Who reads all the same is ended by a trap.
    ended: bool,
    piece: usize,
    _socket: Rc<TcpSocket>,
}

/// What it sends.
pub struct WaitingOutput {
    stream: StreamWriter<u8>,
    /// The host has said that it takes nothing more. Who writes all the same is ended by a trap.
    ended: bool,
    _socket: Rc<TcpSocket>,
}

impl Network for WaitingNetwork {
    type Input = WaitingInput;
    type Output = WaitingOutput;
    const WAITS: bool = true;

    async fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<(WaitingInput, WaitingOutput), Fault> {
        let mut fault = Fault::new(Cause::NameUnknown, format!("the name {host} cannot be resolved"));
        for address in addresses(host, deadline).await? {
            match connect_to(address, port, deadline).await {
                Ok(connection) => return Ok(connection),
                Err(failed) => fault = failed,
            }
        }
        Err(fault)
    }
}

async fn addresses(host: &str, deadline: Moment) -> Result<Vec<IpAddress>, Fault> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![match address {
            IpAddr::V4(address) => IpAddress::Ipv4(address.octets().into()),
            IpAddr::V6(address) => IpAddress::Ipv6(address.segments().into()),
        }]);
    }
    let resolved = before(&WaitingClock, deadline, resolve_addresses(host.to_string())).await;
    resolved.ok_or_else(Fault::timed_out)?.map_err(|code| {
        let (cause, text) = match code {
            ip_name_lookup::ErrorCode::AccessDenied => (Cause::Denied, "access denied"),
            ip_name_lookup::ErrorCode::TemporaryResolverFailure => {
                (Cause::Unreachable, "name resolution is temporarily unavailable")
            }
            _ => (Cause::NameUnknown, "the name cannot be resolved"),
        };
        Fault::new(cause, text)
    })
}

async fn connect_to(address: IpAddress, port: u16, deadline: Moment) -> Result<(WaitingInput, WaitingOutput), Fault> {
    let (family, address) = match address {
        IpAddress::Ipv4(address) => (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })),
        IpAddress::Ipv6(address) => (
            IpAddressFamily::Ipv6,
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 }),
        ),
    };
    let socket = Rc::new(TcpSocket::create(family).map_err(fault)?);
    let connected = before(&WaitingClock, deadline, socket.connect(address)).await;
    connected.ok_or_else(Fault::timed_out)?.map_err(fault)?;
    // Why a stream ended is not asked for: the connection is as lost as with any other reason.
    let (output, data) = wit_stream::new();
    drop(socket.send(data));
    let (input, _ended) = socket.receive();
    Ok((
        WaitingInput { stream: input, kept: Vec::new(), ended: false, piece: FIRST_PIECE, _socket: socket.clone() },
        WaitingOutput { stream: output, ended: false, _socket: socket },
    ))
}

impl WaitingInput {
    fn start(&mut self) -> Reading<'_> {
        let read = (!self.ended).then(|| Box::pin(self.stream.read(Vec::with_capacity(self.piece))));
        Reading { read, kept: &mut self.kept, ended: &mut self.ended }
    }

    /// What a read gave: an empty result means that the stream has ended.
    fn finish(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        if self.ended || !bytes.is_empty() {
            self.piece = if bytes.len() < self.piece { FIRST_PIECE } else { PIECE };
            return Some(bytes);
        }
        None
    }
}

impl Input for WaitingInput {
    async fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        loop {
            if WaitingClock.now() >= deadline {
                return Err(Fault::timed_out());
            }
            if !self.kept.is_empty() {
                return Ok(std::mem::take(&mut self.kept));
            }
            let read = before(&WaitingClock, deadline, self.start()).await;
            if let Some(bytes) = self.finish(read.ok_or_else(Fault::timed_out)?) {
                return Ok(bytes);
            }
        }
    }

    async fn at_hand(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if self.kept.is_empty() {
            // The host looks at the socket when it is asked to, and says at the next turn what there was.
            let mut turn = pin!(yield_async());
            let read = match select(self.start(), turn.as_mut()).await {
                Either::Left((read, _)) => Some(read),
                Either::Right(_) => None,
            };
            if let Some(bytes) = read {
                return Ok(self.finish(bytes));
            }
        }
        Ok(Some(std::mem::take(&mut self.kept)).filter(|kept| !kept.is_empty()))
    }
}

impl Output for WaitingOutput {
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, deadline: Moment) -> Result<(), Fault> {
        while let Some(left) = bytes.get(*sent..).filter(|left| !left.is_empty()) {
            if WaitingClock.now() >= deadline {
                return Err(Fault::timed_out());
            }
            if self.ended {
                return Err(Fault::closed());
            }
            let piece = left.get(..PIECE).unwrap_or(left).to_vec();
            let length = piece.len();
            let write = Some(Box::pin(self.stream.write(piece)));
            let writing = Writing { length, write, sent, ended: &mut self.ended };
            before(&WaitingClock, deadline, writing).await.ok_or_else(Fault::timed_out)?;
        }
        Ok(())
    }
}

/// A read that keeps what has arrived when it is dropped.
struct Reading<'a> {
    /// `None` once it is over.
    read: Option<Pin<Box<StreamRead<'a, u8>>>>,
    kept: &'a mut Vec<u8>,
    ended: &'a mut bool,
}

impl Future for Reading<'_> {
    type Output = Vec<u8>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<u8>> {
        let Some(read) = &mut self.read else { return Poll::Ready(Vec::new()) };
        let Poll::Ready((result, bytes)) = read.as_mut().poll(context) else { return Poll::Pending };
        *self.ended |= result == StreamResult::Dropped;
        self.read = None;
        Poll::Ready(bytes)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(read) = &mut self.read {
            let (result, mut bytes) = read.as_mut().cancel();
            *self.ended |= result == StreamResult::Dropped;
            self.kept.append(&mut bytes);
        }
        // It has been cancelled, and its own drop does nothing more.
        self.read = None;
    }
}

/// A write that counts what the host has accepted, also when it is dropped.
struct Writing<'a> {
    /// `None` once it is over.
    write: Option<Pin<Box<StreamWrite<'a, u8>>>>,
    length: usize,
    sent: &'a mut usize,
    ended: &'a mut bool,
}

impl Writing<'_> {
    fn finish(&mut self, result: StreamResult, left: usize) {
        *self.sent = self.sent.saturating_add(self.length.saturating_sub(left));
        *self.ended |= result == StreamResult::Dropped;
        self.write = None;
    }
}

impl Future for Writing<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(write) = &mut self.write else { return Poll::Ready(()) };
        let Poll::Ready((result, left)) = write.as_mut().poll(context) else { return Poll::Pending };
        self.finish(result, left.remaining());
        Poll::Ready(())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(write) = &mut self.write {
            let (result, left) = write.as_mut().cancel();
            self.finish(result, left.remaining());
        }
    }
}

fn fault(code: ErrorCode) -> Fault {
    let (cause, text) = match code {
        ErrorCode::AccessDenied => (Cause::Denied, "access denied"),
        ErrorCode::ConnectionRefused => (Cause::Refused, "connection refused"),
        ErrorCode::RemoteUnreachable => (Cause::Unreachable, "no route to the server"),
        ErrorCode::Timeout => (Cause::TimedOut, "no answer within the time limit"),
        ErrorCode::ConnectionReset | ErrorCode::ConnectionAborted | ErrorCode::ConnectionBroken => {
            (Cause::Closed, "connection reset")
        }
        ErrorCode::OutOfMemory => (Cause::Other, "the host has run out of sockets"),
        ErrorCode::InvalidArgument => (Cause::NameUnknown, "the name cannot be resolved"),
        code => return Fault::new(Cause::Other, format!("socket error: {code:?}")),
    };
    Fault::new(cause, text)
}
