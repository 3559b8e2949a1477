//! Failures and error replies, in terms of the contract.

use crate::config::{Config, Server};
use kvfuse_core::{Error, Kind};
use kvfuse_transport::fault::{Cause, Fault};

/// Why an attempt got no usable replies.
#[derive(Debug)]
pub enum Failure {
    /// The connection failed.
    Lost {
        /// Whether the server may have carried out the commands.
        maybe_done: bool,
        fault: Fault,
    },
    /// A retry does not help. The connection is as good as before.
    Refused(Error),
    /// The server rejected the login or did not understand a command, so what it sends next may belong to nothing.
    Rejected(Error),
    /// The server takes no more connections at the moment, and did nothing.
    Busy,
}

impl Failure {
    pub fn not_done(fault: Fault) -> Self {
        Self::Lost { maybe_done: false, fault }
    }

    /// That of commands that only read: they may be sent again whatever went wrong.
    pub fn of_read(self) -> Self {
        match self {
            Self::Lost { fault, .. } => Self::not_done(fault),
            other => other,
        }
    }
}

/// The error of an operation whose last attempt lost its connection.
pub fn lost(config: &Config, server: &Server, maybe_done: bool, fault: &Fault) -> Error {
    let address = server.address();
    if maybe_done {
        return Error::new(
            Kind::OutcomeUnknown,
            format!(
                "sent to Memcached at {address}, but the reply was lost ({fault}): it may or may not have happened; read \
                 before trying again"
            ),
        );
    }
    match fault.cause {
        Cause::Denied => Error::new(
            Kind::Unavailable,
            format!(
                "Memcached at {address} cannot be reached ({fault}): the host does not grant this component network access; \
                 with wasmtime, add -S inherit-network -S allow-ip-name-lookup"
            ),
        ),
        Cause::TimedOut => Error::new(
            Kind::Timeout,
            format!(
                "Memcached at {address} did not answer within {} ms; the variable KEYVALUE_TIMEOUT_MS sets the limit",
                config.time_limit.as_millis()
            ),
        ),
        Cause::TooLarge => Error::new(
            Kind::Unavailable,
            format!("Memcached at {address} sent more than can be taken ({fault}); ask for fewer values at once"),
        ),
        Cause::Malformed => Error::new(
            Kind::Unavailable,
            format!(
                "the server at {address} does not speak Memcached's text protocol ({fault}); check KEYVALUE_MEMCACHED_SERVERS"
            ),
        ),
        _ => Error::new(Kind::Unavailable, format!("Memcached at {address} cannot be reached: {fault}")),
    }
}

pub fn busy(server: &Server) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("Memcached at {} has too many open connections; its option -c sets the limit", server.address()),
    )
}

/// Whether an error reply means that the server takes no more connections.
pub fn is_busy(line: &str) -> bool {
    line.contains("Too many open connections")
}

/// An error reply in terms of the contract. Nothing of the server's text is repeated but what is known: the rest could contain
/// anything.
pub fn from_reply(line: &str) -> Error {
    match line {
        "ERROR" => Error::unsupported(
            "the server does not support the meta commands of Memcached's protocol; use Memcached 1.6 or newer, without a \
             proxy that does not know them",
        ),
        // After a wrong login it is one or the other.
        "CLIENT_ERROR unauthenticated" | "CLIENT_ERROR authentication failure" => Error::new(
            Kind::AccessDenied,
            "Memcached requires a login, and has none that it accepts: see KEYVALUE_MEMCACHED_USERNAME and \
             KEYVALUE_MEMCACHED_PASSWORD",
        ),
        "SERVER_ERROR object too large for cache" => Error::invalid(
            "the value is larger than Memcached takes, and was not set; any value that the key had is gone",
        ),
        _ if line.starts_with("SERVER_ERROR out of memory") => Error::new(
            Kind::QuotaExceeded,
            "Memcached has no memory for this (its option -m sets how much it has, and -M keeps it from evicting others); \
             nothing was set, and any value that the key had may be gone",
        ),
        _ if is_busy(line) => Error::new(Kind::Unavailable, "Memcached has too many open connections"),
        _ if line.starts_with("SERVER_ERROR") => Error::new(Kind::Other, "Memcached replied with an error of its own"),
        _ => Error::new(Kind::Other, "Memcached did not understand a command"),
    }
}

/// The error for a reply that is not one to the command.
pub fn unexpected(command: &str) -> Error {
    Error::new(Kind::Other, format!("unexpected reply to {command}"))
}

pub fn no_versions() -> Error {
    Error::unsupported(
        "Memcached was started without versions of its items (option -C), so increments and compare-and-swap are not supported; \
         start it without that option",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_replies_map_onto_kinds_and_are_never_repeated() {
        for (line, kind) in [
            ("ERROR", Kind::Unsupported),
            ("ERROR Too many open connections", Kind::Unavailable),
            ("CLIENT_ERROR unauthenticated", Kind::AccessDenied),
            ("CLIENT_ERROR authentication failure", Kind::AccessDenied),
            ("CLIENT_ERROR bad command line format hunter2", Kind::Other),
            ("SERVER_ERROR object too large for cache", Kind::InvalidArgument),
            ("SERVER_ERROR out of memory storing object", Kind::QuotaExceeded),
            ("SERVER_ERROR hunter2", Kind::Other),
        ] {
            let error = from_reply(line);
            assert_eq!(error.kind(), kind, "{line}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }
}
