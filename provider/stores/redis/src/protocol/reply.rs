//! Replies.

/// One reply, in the same form for both versions of the protocol: RESP2's null string and null array are
/// [`Null`](Self::Null), and RESP3's sets and maps are arrays, a map with its keys and values alternating. RESP3's
/// pushes and attributes are not replies and are discarded.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Null,
    /// A status line such as `OK`.
    Status(String),
    /// An error line such as `ERR unknown command`. The server wrote it, and it can contain what the client sent.
    Error(String),
    Integer(i64),
    Boolean(bool),
    /// Doubles and numbers beyond 64 bits, as the server wrote them.
    Number(String),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
}

impl Reply {
    /// The bytes of a string, in whichever form it was sent.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            Self::Status(text) => Some(text.into_bytes()),
            _ => None,
        }
    }

    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Status(text) if text == "OK")
    }
}
