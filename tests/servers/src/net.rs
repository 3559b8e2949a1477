//! The sockets port on `std::net`.

use crate::clock::left;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Connection, Network, WriteFault};
use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::rc::Rc;

/// A network that counts connections and round trips.
#[derive(Clone, Default)]
pub struct StdNetwork {
    pub connects: Rc<Cell<usize>>,
    /// Requests sent; each one waits for its reply.
    pub round_trips: Rc<Cell<usize>>,
}

pub struct StdConnection {
    stream: TcpStream,
    round_trips: Rc<Cell<usize>>,
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
                    return Ok(StdConnection { stream, round_trips: self.round_trips.clone() });
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
        let mut buffer = vec![0; 64 << 10];
        self.stream.set_read_timeout(Some(left(deadline).ok_or_else(Fault::timed_out)?)).unwrap();
        let count = self.stream.read(&mut buffer).map_err(|error| fault(&error))?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn is_stale(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}
