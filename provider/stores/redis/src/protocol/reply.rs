//! What a server answers.

/// One reply. Both versions of the protocol come out alike: RESP2's null string and null array are [`Null`](Self::Null),
/// and RESP3's sets and maps are arrays, maps with key and value in turn. What RESP3 sends besides replies (pushes,
/// attributes) never becomes one.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Null,
    /// A status line such as `OK`.
    Status(String),
    /// An error line such as `ERR unknown command`. Text of the server: it can hold what was sent.
    Error(String),
    Integer(i64),
    Boolean(bool),
    /// Doubles and numbers beyond 64 bits, as the server wrote them.
    Number(String),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
}

impl Reply {
    /// The bytes of a string, whichever way it was sent.
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
