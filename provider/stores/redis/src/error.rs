//! What went wrong, in the contract's terms.

use crate::config::Config;
use kvfuse_core::{Error, Kind, counter};
use kvfuse_transport::fault::{Cause, Fault};

/// A try that gave no replies.
#[derive(Debug)]
pub enum Failure {
    /// The way to the server failed.
    Lost {
        /// Whether the server may have carried out what was sent.
        maybe_done: bool,
        fault: Fault,
    },
    /// The server answered, and refused us or what was asked: trying again does not help.
    Refused(Error),
    /// The server answered that it cannot do anything at the moment, and did nothing.
    Busy(String),
}

impl Failure {
    pub fn not_done(fault: Fault) -> Self {
        Self::Lost { maybe_done: false, fault }
    }
}

/// What becomes of an operation whose last try ended so.
pub fn lost(config: &Config, maybe_done: bool, fault: &Fault) -> Error {
    let address = config.address();
    if maybe_done {
        return Error::new(
            Kind::OutcomeUnknown,
            format!(
                "sent to Redis at {address}, but the answer was lost ({fault}): it may or may not have happened; read \
                 before trying again"
            ),
        );
    }
    match fault.cause {
        Cause::Denied => Error::new(
            Kind::Unavailable,
            format!(
                "Redis at {address} cannot be reached ({fault}): the host gives this component no network; with wasmtime \
                 the flags are -S inherit-network -S allow-ip-name-lookup"
            ),
        ),
        Cause::TimedOut => Error::new(
            Kind::Timeout,
            format!(
                "Redis at {address} did not answer within {} ms; the variable KEYVALUE_TIMEOUT_MS sets the limit",
                config.time_limit.as_millis()
            ),
        ),
        Cause::Malformed | Cause::TooLarge => Error::new(
            Kind::Unavailable,
            format!("what listens at {address} does not answer as Redis does ({fault}); check KEYVALUE_REDIS_URL"),
        ),
        _ => Error::new(Kind::Unavailable, format!("Redis at {address} cannot be reached: {fault}")),
    }
}

pub fn busy(config: &Config, code: &str) -> Error {
    Error::new(Kind::Unavailable, format!("Redis at {} cannot serve at the moment ({code})", config.address()))
}

/// Whether an error reply says that the server did nothing, and may do it later.
pub fn is_busy(line: &str) -> bool {
    matches!(code(line), "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "BUSY" | "READONLY" | "NOREPLICAS")
        || line.contains("max number of clients reached")
}

/// Whether an error reply says that scripts cannot be used here: denied, renamed away, or not there.
pub fn denies_command(line: &str) -> bool {
    code(line) == "NOPERM" || line.starts_with("ERR unknown command")
}

/// The first word of an error reply; Redis' convention for what sort of error it is.
pub fn code(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// An error reply in the contract's terms. Of the server's text only what cannot hold a key, a value or a credential is
/// repeated.
pub fn from_reply(line: &str) -> Error {
    match code(line) {
        "NOAUTH" => Error::new(
            Kind::AccessDenied,
            "Redis wants a password; set KEYVALUE_REDIS_PASSWORD (and KEYVALUE_REDIS_USERNAME for an ACL user)",
        ),
        "WRONGPASS" => Error::new(Kind::AccessDenied, "Redis does not accept the user and password"),
        "NOPERM" => Error::new(
            Kind::AccessDenied,
            format!(
                "the ACL of the Redis user does not permit this {}",
                if line.contains("key") { "key" } else { "command" }
            ),
        ),
        "WRONGTYPE" => Error::new(
            Kind::Damaged,
            "the key holds a Redis value of another type than the layout uses; see KEYVALUE_REDIS_LAYOUT",
        ),
        "OOM" => Error::new(Kind::QuotaExceeded, "Redis is at its memory limit (maxmemory)"),
        "MISCONF" => {
            Error::new(Kind::Unavailable, "Redis takes no writes because it cannot save to its disk (MISCONF)")
        }
        "MOVED" | "ASK" | "CROSSSLOT" => Error::unsupported(
            "the server is a node of a Redis Cluster, and the key is kept by another node; this provider speaks to one \
             server, so give it a stand-alone Redis, or a proxy in front of the cluster",
        ),
        "EXECABORT" => Error::new(Kind::Other, "Redis refused a command of the transaction, and did nothing"),
        code if is_busy(line) => Error::new(Kind::Unavailable, format!("Redis cannot serve at the moment ({code})")),
        _ if line.contains("not an integer") => not_a_counter(),
        _ if line.contains("would overflow") => {
            Error::invalid("the sum does not fit 64 bits; the counter was left as it is")
        }
        _ if line.contains("invalid password") => Error::new(Kind::AccessDenied, "Redis does not accept the password"),
        _ if line.contains("DB index is out of range") => {
            Error::invalid("Redis has no database of this number; see the end of KEYVALUE_REDIS_URL")
        }
        _ => Error::new(Kind::Other, format!("Redis refused: {}", shortened(line))),
    }
}

/// The contract's own words for it.
fn not_a_counter() -> Error {
    match counter::add(Some(b""), 0, i64::MIN) {
        Err(error) => error,
        Ok(_) => Error::invalid("the value is not a counter"),
    }
}

/// Replies of another shape than the command has.
pub fn unexpected(command: &str) -> Error {
    Error::new(Kind::Other, format!("Redis answered {command} with something else than {command} answers"))
}

/// An error line without what follows a quotation mark: Redis quotes the arguments it was given.
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
