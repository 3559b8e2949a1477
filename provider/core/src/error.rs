//! Errors: what went wrong, for a program ([`Kind`]) and for a person (the message).

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing went wrong, as far as a caller can act on it.
///
/// The published interfaces know three cases (`no-such-store`, `access-denied`, `other(string)`), the newest draft
/// eight; the facades map every kind onto the nearest case and, where that carries text, keep the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The bucket does not exist and this store does not create buckets.
    NoSuchStore,
    /// Configuration or the engine forbids this caller the bucket. Most generations carry no text with this case, so it
    /// is for refusals that need none; what a user could mend is [`Unavailable`](Self::Unavailable).
    AccessDenied,
    /// The call can never succeed as it is: a key or value over its limit, a value that is no counter, a result out of
    /// range, a cursor that this store did not issue.
    InvalidArgument,
    /// The store could not be reached, or is not set up: nothing was changed, and trying later may help.
    Unavailable,
    /// No answer within the time allowed, and nothing was changed.
    Timeout,
    /// The engine has no room or no descriptors left. Nothing was changed.
    QuotaExceeded,
    /// The request was sent and its answer was lost: it may or may not have happened. Read before trying again.
    OutcomeUnknown,
    /// What the store holds for this key cannot be read back as it was written.
    Damaged,
    /// This store cannot do this at all.
    Unsupported,
    /// None of the above.
    Other,
}

/// A failed operation. The message says what was asked, what went wrong and what to do about it, on one line, and never
/// holds a credential or a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: Box<str>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into().into_boxed_str() }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error, told as part of a larger operation: `"{what}: {message}"`.
    pub fn within(self, what: impl fmt::Display) -> Self {
        Self::new(self.kind, format!("{what}: {}", self.message))
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

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

/// A name or key as it may appear in a message: quoted, control characters escaped, cut after 64 characters.
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
