//! Failures and error replies, in terms of the contract.

use crate::config::Config;
use kvfuse_core::{Error, Kind, counter};
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
    /// The server rejected the login or the commands: a retry does not help.
    Refused(Error),
    /// The server replied that it cannot serve at the moment, and did nothing.
    Busy(String),
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

    /// Whether the connection is as good as before. A server that has become read-only was the primary once: its name may
    /// have moved to another.
    pub fn keeps_the_connection(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Busy(code) => code != "READONLY",
            Self::Lost { .. } => false,
        }
    }
}

/// The error of an operation whose last attempt lost its connection.
pub fn lost(config: &Config, maybe_done: bool, fault: &Fault) -> Error {
    let address = config.address();
    if maybe_done {
        return Error::new(
            Kind::OutcomeUnknown,
            format!(
                "sent to Redis at {address}, but the reply was lost ({fault}): it may or may not have happened; read \
                 before trying again"
            ),
        );
    }
    match fault.cause {
        Cause::Denied => Error::new(
            Kind::Unavailable,
            format!(
                "Redis at {address} cannot be reached ({fault}): the host does not grant this component network access; \
                 with wasmtime, add -S inherit-network -S allow-ip-name-lookup"
            ),
        ),
        Cause::TimedOut => {
            let usual = *fault == Fault::timed_out();
            let more = if usual { String::new() } else { format!(" ({fault})") };
            Error::new(
                Kind::Timeout,
                format!(
                    "Redis at {address} did not answer within {} ms{more}; the variable KEYVALUE_TIMEOUT_MS sets the limit",
                    config.time_limit.as_millis()
                ),
            )
        }
        Cause::TooLarge => Error::new(
            Kind::Unavailable,
            format!(
                "Redis at {address} sent more than can be taken ({fault}); ask for fewer or smaller values at once"
            ),
        ),
        Cause::Malformed => Error::new(
            Kind::Unavailable,
            format!(
                "the server at {address} does not speak the Redis protocol ({fault}); check KEYVALUE_REDIS_URL, which begins \
                 with rediss:// for a port with TLS"
            ),
        ),
        _ => Error::new(Kind::Unavailable, format!("Redis at {address} cannot be reached: {fault}")),
    }
}

pub fn busy(config: &Config, code: &str) -> Error {
    Error::new(Kind::Unavailable, format!("Redis at {} is temporarily unable to serve ({code})", config.address()))
}

/// Whether an error reply means that the server did nothing and may succeed later.
pub fn is_busy(line: &str) -> bool {
    matches!(code(line), "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "BUSY" | "READONLY" | "NOREPLICAS")
        || line.contains("max number of clients reached")
}

/// Whether an error reply means that the command cannot be used here: forbidden, renamed, or unknown.
pub fn denies_command(line: &str) -> bool {
    code(line) == "NOPERM" || line.starts_with("ERR unknown command")
}

/// The first word of an error reply, which by Redis' convention is the error's code.
pub fn code(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// An error reply in terms of the contract. Only parts of the server's text that cannot contain a key, a value or a
/// credential are repeated.
pub fn from_reply(line: &str) -> Error {
    match code(line) {
        "NOAUTH" => Error::new(
            Kind::AccessDenied,
            "Redis requires a password; set KEYVALUE_REDIS_PASSWORD (and KEYVALUE_REDIS_USERNAME for an ACL user)",
        ),
        "WRONGPASS" => Error::new(Kind::AccessDenied, "Redis rejected the user name or password"),
        "NOPERM" => Error::new(
            Kind::AccessDenied,
            format!(
                "the ACL of the Redis user does not allow this {}",
                if line.contains("key") { "key" } else { "command" }
            ),
        ),
        "WRONGTYPE" => Error::new(
            Kind::Damaged,
            "the key holds a Redis value of a different type than the layout uses; see KEYVALUE_REDIS_LAYOUT",
        ),
        "OOM" => Error::new(Kind::QuotaExceeded, "Redis has reached its memory limit (maxmemory)"),
        "MISCONF" => Error::new(Kind::Unavailable, "Redis rejects writes because it cannot save to its disk (MISCONF)"),
        "MOVED" | "ASK" | "CROSSSLOT" => Error::unsupported(
            "the server is a node of a Redis Cluster, and another node stores the key; this provider talks to one server \
             only, so use a stand-alone Redis, or a proxy in front of the cluster",
        ),
        "EXECABORT" => Error::new(Kind::Other, "Redis rejected a command of the transaction and did nothing"),
        code if is_busy(line) => {
            Error::new(Kind::Unavailable, format!("Redis is temporarily unable to serve ({code})"))
        }
        _ if line.contains("not an integer") => not_a_counter(),
        _ if line.contains("would overflow") => {
            Error::invalid("the sum does not fit into 64 bits; the counter was left unchanged")
        }
        _ if line.contains("invalid password") => Error::new(Kind::AccessDenied, "Redis rejected the password"),
        _ if line.contains("DB index is out of range") => {
            Error::invalid("Redis has no database with the number at the end of KEYVALUE_REDIS_URL")
        }
        _ => Error::new(Kind::Other, format!("Redis replied with an error: {}", shortened(line))),
    }
}

/// In the words of the contract.
fn not_a_counter() -> Error {
    match counter::add(Some(b""), 0, i64::MIN) {
        Err(error) => error,
        Ok(_) => Error::invalid("the value is not a counter"),
    }
}

/// The error for a reply that is not one to the command.
pub fn unexpected(command: &str) -> Error {
    Error::new(Kind::Other, format!("unexpected reply to {command}"))
}

/// An error reply up to the first quotation mark: Redis quotes the arguments that it received.
fn shortened(line: &str) -> String {
    let end = line.find(['\'', '"', '`']).unwrap_or(line.len());
    line.get(..end).unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect::<String>().trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_replies_map_onto_kinds_without_repeating_arguments() {
        for (line, kind) in [
            ("NOAUTH Authentication required.", Kind::AccessDenied),
            ("WRONGPASS invalid username-password pair or user is disabled.", Kind::AccessDenied),
            ("ERR invalid password", Kind::AccessDenied),
            ("NOPERM User ann has no permissions to run the 'get' command", Kind::AccessDenied),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Kind::Damaged),
            ("OOM command not allowed when used memory > 'maxmemory'.", Kind::QuotaExceeded),
            ("MISCONF Redis is configured to save RDB snapshots", Kind::Unavailable),
            ("MOVED 3999 127.0.0.1:6381", Kind::Unsupported),
            ("ERR value is not an integer or out of range", Kind::InvalidArgument),
            ("ERR hash value is not an integer", Kind::InvalidArgument),
            ("ERR increment or decrement would overflow", Kind::InvalidArgument),
            ("LOADING Redis is loading the dataset in memory", Kind::Unavailable),
            ("ERR something new", Kind::Other),
        ] {
            assert_eq!(from_reply(line).kind(), kind, "{line}");
        }
        let error = from_reply("ERR unknown command 'FOO', with args beginning with: 'hunter2'");
        assert!(!error.message().contains("hunter2"), "{error}");
    }
}
