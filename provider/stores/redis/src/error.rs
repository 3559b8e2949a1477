//! Failures and error replies, in terms of the contract.

use crate::cluster::Redirect;
use crate::config::{Config, Endpoint, Servers};
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
    /// A node of a cluster replied that another one has the key, and did nothing.
    Elsewhere(Redirect),
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

    /// With the server that is meant, if there are several.
    pub fn at(self, endpoint: &Endpoint) -> Self {
        match self {
            Self::Lost { maybe_done, fault } => {
                Self::Lost { maybe_done, fault: Fault::new(fault.cause, format!("{fault}, at {endpoint}")) }
            }
            other => other,
        }
    }

    /// Whether the connection is as good as before. A server that has become read-only was the primary once: its name may
    /// have moved to another.
    pub fn keeps_the_connection(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Elsewhere(_) => true,
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
        Cause::Denied => {
            let more = match config.servers {
                Servers::One(_) => "",
                _ => "; kvfuse grants the servers in KEYVALUE_REDIS_SERVERS beside those in the URL",
            };
            Error::new(
                Kind::Unavailable,
                format!(
                    "Redis at {address} cannot be reached ({fault}): the host does not grant this component network access; \
                     with wasmtime, add -S inherit-network -S allow-ip-name-lookup{more}"
                ),
            )
        }
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

/// Whether an error reply means that the server did nothing because another one has the key.
pub fn is_elsewhere(line: &str) -> bool {
    matches!(code(line), "MOVED" | "ASK")
}

/// What an error reply means for the operation: nothing happened.
pub fn refusal(line: &str) -> Failure {
    // Of EXEC, if what a server is has changed since the commands were queued.
    let line = line.strip_prefix("EXECABORT Transaction discarded because of: ").unwrap_or(line);
    if is_busy(line) {
        return Failure::Busy(code(line).to_string());
    }
    match Redirect::parse(line) {
        Some(redirect) => Failure::Elsewhere(redirect),
        None if is_elsewhere(line) => {
            Failure::Refused(Error::new(Kind::Unavailable, "the server redirects to what is no address"))
        }
        None => Failure::Refused(from_reply(line)),
    }
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
        "MOVED" | "ASK" | "CROSSSLOT" => is_a_cluster(),
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

/// The error where one server was expected.
pub fn is_a_cluster() -> Error {
    Error::unsupported(
        "the server is a node of a Redis Cluster, and another node stores the key; for a cluster, KEYVALUE_REDIS_URL begins \
         with redis+cluster:// (or rediss+cluster://)",
    )
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
            ("EXECABORT Transaction discarded because of previous errors.", Kind::Other),
        ] {
            assert_eq!(from_reply(line).kind(), kind, "{line}");
        }
        let error = from_reply("ERR unknown command 'FOO', with args beginning with: 'hunter2'");
        assert!(!error.message().contains("hunter2"), "{error}");
    }

    #[test]
    fn what_did_not_happen_may_happen_later_or_elsewhere() {
        let aborted =
            "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.";
        for line in ["READONLY You can't write against a read only replica.", aborted] {
            assert!(matches!(refusal(line), Failure::Busy(code) if code == "READONLY"), "{line}");
        }
        assert!(matches!(refusal("ASK 1 a:2"), Failure::Elsewhere(redirect) if redirect.asks));
        assert!(matches!(refusal("MOVED nowhere"), Failure::Refused(_)));
    }
}
