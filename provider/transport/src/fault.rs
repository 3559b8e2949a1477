//! What can go wrong on the way to a server.

use std::fmt;

/// Why bytes did not get through, as far as a store can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host does not let this instance use the network, or not this address.
    Denied,
    /// The name has no address.
    NameUnknown,
    /// Nothing listens there.
    Refused,
    /// There is no way to that address.
    Unreachable,
    /// The server, or something on the way, ended the connection.
    Closed,
    /// The time allowed was over.
    TimedOut,
    /// The answer is larger than the caller was ready to take.
    TooLarge,
    /// TLS could not be agreed on.
    Tls,
    /// What came back does not follow the protocol.
    Malformed,
    Other,
}

/// A failed exchange: its cause for a program, and one line for a person that names neither credentials nor content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub cause: Cause,
    pub detail: String,
}

impl Fault {
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    pub fn timed_out() -> Self {
        Self::new(Cause::TimedOut, "no answer within the time allowed")
    }

    pub fn closed() -> Self {
        Self::new(Cause::Closed, "the server closed the connection")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}
