//! The sockets port on `std::net`. It waits with the code that waits on WASI, so what goes wrong there goes wrong here.

use crate::clock::{SystemClock, left};
use kvfuse_transport::clock::{Clock, Moment, Pollable, Polled, Waiter};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Connection, Network, WriteFault};
use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

/// A network that counts connections and round trips.
#[derive(Clone, Default)]
pub struct StdNetwork {
    pub connects: Rc<Cell<usize>>,
    /// Requests sent; each one waits for its reply.
    pub round_trips: Rc<Cell<usize>>,
    waiter: Rc<Waiter<Moment>>,
}

pub struct StdConnection {
    stream: TcpStream,
    round_trips: Rc<Cell<usize>>,
    waiter: Rc<Waiter<Moment>>,
}

/// What arrives on a socket, or its end, as a pollable.
struct Input<'a>(&'a TcpStream);

impl Pollable for Input<'_> {
    type Timer = Moment;

    fn timer(&self, at: Moment) -> Moment {
        at
    }

    fn poll(&self, timer: &Moment) -> Polled {
        loop {
            // A socket takes no timeout of zero, and one of a microsecond is as good.
            let left = left(*timer).unwrap_or(Duration::from_micros(1));
            self.0.set_read_timeout(Some(left)).unwrap();
            let ready = match self.0.peek(&mut [0]) {
                Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
                Ok(_) => true,
            };
            let fired = SystemClock.now() >= *timer;
            if ready || fired {
                return Polled { ready, fired };
            }
        }
    }
}

impl Network for StdNetwork {
    type Connection = StdConnection;

    fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<StdConnection, Fault> {
        let mut fault = Fault::new(Cause::NameUnknown, format!("the name {host} cannot be resolved"));
        for address in (host, port).to_socket_addrs().into_iter().flatten() {
            match TcpStream::connect_timeout(&address, left(deadline).ok_or_else(Fault::timed_out)?) {
                Ok(stream) => {
                    stream.set_nodelay(true).unwrap();
                    self.connects.set(self.connects.get() + 1);
                    let (round_trips, waiter) = (self.round_trips.clone(), self.waiter.clone());
                    return Ok(StdConnection { stream, round_trips, waiter });
                }
                Err(error) => fault = self::fault(&error),
            }
        }
        Err(fault)
    }
}

pub fn fault(error: &std::io::Error) -> Fault {
    let cause = match error.kind() {
        ErrorKind::ConnectionRefused => Cause::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Cause::TimedOut,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Cause::Closed,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Cause::Unreachable,
        _ => Cause::Other,
    };
    Fault::new(cause, error.kind().to_string())
}

impl StdConnection {
    /// Waits for input, or the end of it. Returns whether it arrived before the deadline.
    pub fn wait(&self, deadline: Moment) -> bool {
        self.waiter.wait(&Input(&self.stream), deadline)
    }

    /// What has arrived: empty if nothing has, `None` at the end.
    pub fn arrived(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let mut buffer = vec![0; 64 << 10];
        self.stream.set_nonblocking(true).unwrap();
        let read = self.stream.read(&mut buffer);
        self.stream.set_nonblocking(false).unwrap();
        match read {
            Ok(0) => Ok(None),
            Ok(count) => {
                buffer.truncate(count);
                Ok(Some(buffer))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Some(Vec::new())),
            Err(error) => Err(fault(&error)),
        }
    }
}

impl Connection for StdConnection {
    fn write(&mut self, mut bytes: &[u8], deadline: Moment) -> Result<(), WriteFault> {
        self.round_trips.set(self.round_trips.get() + 1);
        let partly = |fault| WriteFault { complete: false, fault };
        while !bytes.is_empty() {
            let left = left(deadline).ok_or_else(|| partly(Fault::timed_out()))?;
            self.stream.set_write_timeout(Some(left)).unwrap();
            match self.stream.write(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(partly(fault(&error))),
            }
        }
        Ok(())
    }

    fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        if !self.wait(deadline) {
            return Err(Fault::timed_out());
        }
        let mut buffer = vec![0; 64 << 10];
        let count = self.stream.read(&mut buffer).map_err(|error| fault(&error))?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn arrived(&mut self) -> Result<Vec<u8>, Fault> {
        StdConnection::arrived(self)?.ok_or_else(Fault::closed)
    }

    fn is_stale(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}
