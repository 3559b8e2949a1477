//! HTTP requests.
#![deny(clippy::arithmetic_side_effects)]

#[cfg(target_arch = "wasm32")]
mod both;
#[cfg(target_arch = "wasm32")]
mod waiting;
#[cfg(target_arch = "wasm32")]
mod wasi;
#[cfg(target_arch = "wasm32")]
pub use {waiting::WaitingHttp, wasi::WasiHttp};

use crate::clock::Moment;
use crate::fault::{Cause, Fault};
use std::any::Any;
use std::future::Future;
use std::time::Duration;

/// An HTTP client. On WASI: `wasi:http/outgoing-handler`.
pub trait HttpClient {
    /// Sends a request and waits for the complete response, whatever its status.
    ///
    /// # Errors
    /// [`HttpFault`], after the deadline at the latest.
    fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault>;

    /// Sends a request and waits for the head of the response. Its body is read as it arrives, for as long as that takes; the
    /// host may give up if nothing more has arrived for what was left until the deadline and `pause` together.
    ///
    /// # Errors
    /// [`HttpFault`], after the deadline at the latest.
    fn stream(&self, request: &Request<'_>, deadline: Moment, pause: Duration) -> Result<Streaming, HttpFault>;
}

/// An HTTP client whose waits let others go on, if its world has others. Every [`HttpClient`] is one, and waits inside the call.
/// On WASI 0.3: `wasi:http/client`.
pub trait AsyncHttpClient {
    /// Sends a request and waits for the complete response, whatever its status. If it is dropped, the connection closes, and the
    /// request may or may not have been sent.
    ///
    /// # Errors
    /// [`HttpFault`], after the deadline at the latest.
    fn exchange(&self, request: &Request<'_>, deadline: Moment) -> impl Future<Output = Result<Response, HttpFault>>;
}

impl<H: HttpClient> AsyncHttpClient for H {
    async fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault> {
        HttpClient::exchange(self, request, deadline)
    }
}

/// A response whose body is still arriving.
pub struct Streaming {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// The body. [`Request::max_answer`] does not bound it.
    pub body: Box<dyn Pieces>,
}

/// How to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// To read.
    Get,
    /// To carry out a call.
    Post,
    /// To put something in a place.
    Put,
    /// To remove something from its place.
    Delete,
}

impl Method {
    /// As it is sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A request.
pub struct Request<'a> {
    /// What it asks for.
    pub method: Method,
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
    /// Its headers.
    pub headers: Headers,
    /// The complete body.
    pub body: Vec<u8>,
}

/// The headers of a response. Their values are only text where they are UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// The value of a header, of which the name is given in lower case; of several ones the first.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

impl From<Vec<(String, Vec<u8>)>> for Headers {
    fn from(list: Vec<(String, Vec<u8>)>) -> Self {
        Self(list)
    }
}

/// A request without a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFault {
    /// Whether the server may have received the request.
    pub sent: bool,
    /// Why there is no response.
    pub fault: Fault,
}

/// The body of a response, which arrives in pieces.
pub trait Pieces {
    /// The next piece, of a size that the client chooses: empty if it has not arrived yet, `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Fault>;

    /// Waits for the next piece, or the end. Returns whether it arrived before the deadline.
    fn wait(&mut self, deadline: Moment) -> bool;

    /// What is left of the body as the host's stream, which a consumer can read: on WASI, a `wasi:io/streams` input stream.
    fn hand_on(self: Box<Self>) -> Box<dyn Any>;
}

/// Reads a body to its end.
///
/// # Errors
/// [`Cause::TooLarge`] if it has more than `max` bytes or does not fit into memory, [`Cause::TimedOut`] if it has not
/// ended at the deadline, however much of it keeps coming.
pub fn read_to_end(pieces: &mut (impl Pieces + ?Sized), max: usize, deadline: Moment) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next()? {
        if bytes.len().saturating_add(piece.len()) > max {
            return Err(larger());
        }
        if bytes.is_empty() {
            bytes = piece;
        } else {
            reserve(&mut bytes, piece.len())?;
            bytes.extend_from_slice(&piece);
        }
        if !pieces.wait(deadline) {
            return Err(Fault::timed_out());
        }
    }
    Ok(bytes)
}

/// Makes room for so many bytes more.
fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<(), Fault> {
    // A larger buffer than is needed for now, or else one that is just large enough.
    let reserved = bytes.try_reserve(more).or_else(|_| bytes.try_reserve_exact(more));
    reserved.map_err(|_| Fault::new(Cause::TooLarge, "the answer does not fit into memory"))
}

fn larger() -> Fault {
    Fault::new(Cause::TooLarge, "the answer is larger than the limit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A body whose pieces are always there. Waiting takes a nanosecond.
    struct Body {
        pieces: VecDeque<&'static [u8]>,
        endless: bool,
        now: u64,
    }

    impl Pieces for Body {
        fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
            let next = self.pieces.pop_front();
            if self.endless {
                self.pieces.extend(next);
            }
            Ok(next.map(<[u8]>::to_vec))
        }

        fn wait(&mut self, deadline: Moment) -> bool {
            self.now = self.now.saturating_add(1);
            Moment(self.now) < deadline
        }

        fn hand_on(self: Box<Self>) -> Box<dyn Any> {
            self
        }
    }

    fn read(pieces: &[&'static [u8]], endless: bool, max: usize) -> Result<Vec<u8>, Cause> {
        let mut body = Body { pieces: pieces.iter().copied().collect(), endless, now: 0 };
        read_to_end(&mut body, max, Moment(100)).map_err(|fault| fault.cause)
    }

    #[test]
    fn a_body_is_all_its_pieces() {
        assert_eq!(read(&[b"ab", b"", b"c"], false, 3), Ok(b"abc".to_vec()));
        assert_eq!(read(&[], false, 0), Ok(vec![]));
    }

    #[test]
    fn a_body_beyond_the_limit_is_refused() {
        assert_eq!(read(&[b"ab", b"cd"], false, 3), Err(Cause::TooLarge));
        assert_eq!(read(&[b"abcd"], false, 3), Err(Cause::TooLarge));
    }

    #[test]
    fn a_body_that_never_ends_ends_at_the_deadline() {
        assert_eq!(read(&[b"a"], true, usize::MAX), Err(Cause::TimedOut));
        assert_eq!(read(&[b""], true, usize::MAX), Err(Cause::TimedOut));
    }
}
