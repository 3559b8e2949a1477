//! RESP, the protocol of Redis and Valkey, in versions 2 and 3. Bytes in, replies out, no I/O.
//!
//! Source: <https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md>

mod decode;
mod encode;
mod reply;

pub use decode::{Bounds, Decoder, Malformed, Progress};
pub use encode::{Asking, Request, Size};
pub use reply::Reply;
