//! Why a request to a server can fail.

use kvfuse_core::Error;
use std::fmt;

/// The cause of a failed request, as far as a store can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host does not allow this instance to use the network, or this address.
    Denied,
    /// The name cannot be resolved.
    NameUnknown,
    /// Nothing listens at the address.
    Refused,
    /// There is no route to the address.
    Unreachable,
    /// The server, or something in between, closed the connection.
    Closed,
    /// The time limit has passed.
    TimedOut,
    /// The answer is larger than the caller accepts.
    TooLarge,
    /// The TLS handshake failed.
    Tls,
    /// The answer violates the protocol.
    Malformed,
    /// None of the above.
    Other,
}

impl Cause {
    /// Whether an operation over sockets that failed for this is not tried again, although it did not happen: it would fail for the
    /// same, or there is no time left.
    pub fn is_hopeless(self) -> bool {
        matches!(self, Self::Denied | Self::NameUnknown | Self::Tls | Self::Malformed | Self::TooLarge | Self::TimedOut)
    }
}

/// A failed request: its cause for a program, and one line for a person, without credentials or content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What a store can act on.
    pub cause: Cause,
    /// What a person can act on.
    pub detail: String,
}

impl Fault {
    /// A fault with this cause and this detail.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// There was no answer within the time limit.
    pub fn timed_out() -> Self {
        Self::new(Cause::TimedOut, "no answer within the time limit")
    }

    /// The server closed the connection.
    pub fn closed() -> Self {
        Self::new(Cause::Closed, "the server closed the connection")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Why a call of a server got no usable answer.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It did not happen, or it does not matter whether it did. The error says why it failed.
    Failed(Error),
    /// It may have happened.
    Unknown(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Failed(error) | Failure::Unknown(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Failed(error)
    }
}
