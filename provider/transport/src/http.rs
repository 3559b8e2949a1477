//! HTTP requests.

#[cfg(target_arch = "wasm32")]
mod wasi;
#[cfg(target_arch = "wasm32")]
pub use wasi::WasiHttp;

use crate::clock::Moment;
use crate::fault::Fault;

/// An HTTP client. On WASI: `wasi:http/outgoing-handler`.
pub trait HttpClient {
    /// Sends a request and waits for the complete response, whatever its status.
    fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault>;
}

/// How to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

/// A `POST` request. The stores need no other method.
pub struct Request<'a> {
    /// How to connect.
    pub scheme: Scheme,
    /// `host` or `host:port`, without user information.
    pub authority: &'a str,
    /// Starts with `/`.
    pub path: &'a str,
    /// Names in lower case. The client adds `host` and `content-length`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// When the connection has to be established.
    pub connect_deadline: Moment,
    /// The largest response body to accept, in bytes; for a larger one the request fails with
    /// [`Cause::TooLarge`](crate::fault::Cause::TooLarge).
    pub max_answer: usize,
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The complete body.
    pub body: Vec<u8>,
}

/// A request without a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFault {
    /// Whether the server may have received the request.
    pub sent: bool,
    /// Why there is no response.
    pub fault: Fault,
}
