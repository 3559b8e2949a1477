//! Errors: what went wrong, for a program ([`Kind`]) and for a person (the message).

use std::fmt;

/// A result whose error is this crate's [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an error, as far as a caller can act on it.
///
/// Most published interfaces distinguish three cases (`no-such-store`, `access-denied`, `other(string)`), the newest
/// draft eight. Facades map each kind to the nearest case and, where the case carries text, keep the message.
///
/// More kinds may be added; treat an unknown one like [`Other`](Self::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The bucket does not exist, and this store does not create buckets.
    NoSuchStore,
    /// The configuration or the engine does not allow the caller to use the bucket. Most generations of the interface
    /// drop the message of this case, so it is for refusals that need no explanation. If the user could fix the cause,
    /// use [`Unavailable`](Self::Unavailable).
    AccessDenied,
    /// The call can never succeed as it stands: a key or value over its limit, a value that is not a counter, a result
    /// out of range, a cursor that this store did not issue.
    InvalidArgument,
    /// The store is unreachable or not configured. Nothing was changed, and a later attempt may succeed.
    Unavailable,
    /// The time limit passed without an answer, and nothing was changed.
    Timeout,
    /// The engine has run out of space or of file descriptors. Nothing was changed.
    QuotaExceeded,
    /// The request was sent, and its answer was lost: the operation may or may not have happened. Read before trying
    /// again.
    OutcomeUnknown,
    /// The stored data for this key is corrupt, or is not what this store wrote.
    Damaged,
    /// This store does not support the operation at all.
    Unsupported,
    /// None of the above.
    Other,
}

/// A failed operation: its [`Kind`] and a message.
///
/// The message is one line that says what was asked, what went wrong and how to fix it. It never contains a credential
/// or a value.
///
/// ```
/// use kvfuse_core::{Error, Kind};
///
/// let error = Error::new(Kind::Timeout, "no answer within 5000 ms; KEYVALUE_TIMEOUT_MS sets the limit");
/// let error = error.within("listing the keys");
/// assert_eq!(error.kind(), Kind::Timeout);
/// assert_eq!(
///     error.to_string(),
///     "listing the keys: no answer within 5000 ms; KEYVALUE_TIMEOUT_MS sets the limit"
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: Box<str>,
}

impl Error {
    /// An error of this kind with this message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into().into_boxed_str() }
    }

    /// The kind: what a program can act on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message: what a person can act on, on one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error, reported as part of a larger operation: `"{what}: {message}"`.
    pub fn within(self, what: impl fmt::Display) -> Self {
        Self::new(self.kind, format!("{what}: {}", self.message))
    }

    /// An error of the kind [`InvalidArgument`](Kind::InvalidArgument).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// An error of the kind [`Unsupported`](Kind::Unsupported).
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.kind, self.message)
    }
}

impl std::error::Error for Error {}

/// Formats a name or key for a message: quoted, with control characters escaped, and truncated to 64 characters.
///
/// ```
/// use kvfuse_core::error::quoted;
///
/// assert_eq!(quoted("user 7"), r#""user 7""#);
/// assert_eq!(quoted("line\nbreak"), r#""line\nbreak""#);
/// ```
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (count, c) in text.chars().enumerate() {
        if count == 64 {
            out.push('…');
            break;
        }
        out.extend(c.escape_debug());
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_or_hostile_key_is_quoted_short_and_on_one_line() {
        assert_eq!(quoted("a\n\0b"), r#""a\n\0b""#);
        let long = quoted(&"x".repeat(1 << 20));
        assert_eq!(long.chars().count(), 64 + 3);
    }
}
