//! One HTTP exchange.

#[cfg(target_arch = "wasm32")]
mod wasi;
#[cfg(target_arch = "wasm32")]
pub use wasi::WasiHttp;

use crate::clock::Moment;
use crate::fault::Fault;

/// Who carries out exchanges. On WASI: `wasi:http/outgoing-handler`.
pub trait HttpClient {
    /// Sends a request and waits for the whole answer, whatever its status.
    fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// A `POST`, the one method that the stores here need.
pub struct Request<'a> {
    pub scheme: Scheme,
    /// `host` or `host:port`, without user information.
    pub authority: &'a str,
    /// Begins with `/`.
    pub path: &'a str,
    /// Names in lower case; neither `host` nor `content-length`, which the client adds.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// When connecting has to have succeeded.
    pub connect_deadline: Moment,
    /// The largest answer to take, in bytes; a larger one is [`Cause::TooLarge`](crate::fault::Cause::TooLarge).
    pub max_answer: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

/// An exchange without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFault {
    /// Whether the server may have got the request.
    pub sent: bool,
    pub fault: Fault,
}
