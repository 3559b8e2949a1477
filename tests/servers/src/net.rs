//! The sockets port on `std::net`. It waits with the code that waits on WASI, so what goes wrong there goes wrong here.

use crate::clock::{SystemClock, left};
use kvfuse_core::waiting::ready;
use kvfuse_transport::clock::{Clock, Moment, Pollable, Polled, Waiter};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Input, Network, Output};
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

impl StdNetwork {
    /// The round trips of this work.
    pub fn round_trips_of(&self, work: impl FnOnce()) -> usize {
        let before = self.round_trips.get();
        work();
        self.round_trips.get() - before
    }
}

/// What arrives on a connection.
pub struct StdInput {
    stream: TcpStream,
    waiter: Rc<Waiter<Moment>>,
}

/// What is sent on it.
pub struct StdOutput {
    stream: TcpStream,
    round_trips: Rc<Cell<usize>>,
}

/// What arrives on a socket, or its end, as a pollable.
struct Arrival<'a>(&'a TcpStream);

impl Pollable for Arrival<'_> {
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
    type Input = StdInput;
    type Output = StdOutput;
    const WAITS: bool = false;

    async fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<(StdInput, StdOutput), Fault> {
        let mut fault = Fault::new(Cause::NameUnknown, format!("the name {host} cannot be resolved"));
        for address in (host, port).to_socket_addrs().into_iter().flatten() {
            match TcpStream::connect_timeout(&address, left(deadline).ok_or_else(Fault::timed_out)?) {
                Ok(stream) => {
                    stream.set_nodelay(true).unwrap();
                    self.connects.set(self.connects.get() + 1);
                    let input = StdInput { stream: stream.try_clone().unwrap(), waiter: self.waiter.clone() };
                    return Ok((input, StdOutput { stream, round_trips: self.round_trips.clone() }));
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

impl StdInput {
    /// Waits for input, or the end of it. Returns whether it arrived before the deadline.
    pub fn wait(&self, deadline: Moment) -> bool {
        self.waiter.wait(&Arrival(&self.stream), deadline)
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

impl Output for StdOutput {
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, deadline: Moment) -> Result<(), Fault> {
        self.round_trips.set(self.round_trips.get() + 1);
        while *sent < bytes.len() {
            let left = left(deadline).ok_or_else(Fault::timed_out)?;
            self.stream.set_write_timeout(Some(left)).unwrap();
            match self.stream.write(&bytes[*sent..]) {
                Ok(taken) => *sent += taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(fault(&error)),
            }
        }
        Ok(())
    }
}

impl Input for StdInput {
    async fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        if !self.wait(deadline) {
            return Err(Fault::timed_out());
        }
        let mut buffer = vec![0; 64 << 10];
        let count = self.stream.read(&mut buffer).map_err(|error| fault(&error))?;
        buffer.truncate(count);
        Ok(buffer)
    }

    async fn at_hand(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        Ok(match self.arrived()? {
            Some(bytes) => Some(bytes).filter(|bytes| !bytes.is_empty()),
            None => Some(Vec::new()),
        })
    }
}

/// Both halves of a connection over a network that does not wait.
pub struct Connection<N: Network> {
    input: N::Input,
    output: N::Output,
}

impl<N: Network> Connection<N> {
    pub fn open(network: &N, host: &str, port: u16, deadline: Moment) -> Result<Self, Fault> {
        let (input, output) = ready(network.connect(host, port, deadline)).expect("it does not wait")?;
        Ok(Self { input, output })
    }

    pub fn write(&mut self, bytes: &[u8], deadline: Moment) -> Result<(), Fault> {
        ready(self.output.write(bytes, &mut 0, deadline)).expect("it does not wait")
    }

    pub fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        ready(self.input.read(deadline)).expect("it does not wait")
    }

    /// Whether something is there to read, or the end, or it is broken. What is there is dropped.
    pub fn is_stale(&mut self) -> bool {
        !matches!(ready(self.input.at_hand()).expect("it does not wait"), Ok(None))
    }
}
