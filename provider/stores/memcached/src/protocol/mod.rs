//! Memcached's text protocol, as far as it is used here: the meta commands, `stats` and the login. Bytes in, replies out, no I/O.
//!
//! Source: <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>

mod decode;
mod encode;

pub use decode::{Decoder, Flags, Malformed, Reply};
pub use encode::Request;
