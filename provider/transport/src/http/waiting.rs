//! `wasi:http/client` of WASI 0.3.
#![deny(clippy::arithmetic_side_effects)]

use super::both::{headers, nanoseconds, rejected};
use super::{AsyncHttpClient, HttpFault, Request, Response, larger, reserve};
use crate::clock::{AsyncClock, Moment, WaitingClock, before};
use crate::fault::{Cause, Fault};
use crate::waiting::http::client::send;
use crate::waiting::http::types::{self, ErrorCode, Fields, Method, RequestOptions, Scheme as WasiScheme};
use crate::waiting::{wit_future, wit_stream};
use futures_util::future::{Either, select};
use std::pin::pin;
use wit_bindgen::{FutureReader, StreamResult, StreamWriter};

/// How many bytes of a response to make room for: few at first, and many once as many have arrived.
const FIRST_PIECE: usize = 4 << 10;
const PIECE: usize = 64 << 10;

/// The HTTP client of the host, which also does TLS, where calls wait beside each other.
#[derive(Clone, Copy, Default)]
pub struct WaitingHttp;

impl AsyncHttpClient for WaitingHttp {
    async fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault> {
        let unsent = |fault| HttpFault { sent: false, fault };
        let now = WaitingClock.now();
        if now >= deadline {
            return Err(unsent(Fault::timed_out()));
        }
        let Outgoing { request: outgoing, body, exchange: _kept } = outgoing(request, now, deadline).map_err(unsent)?;
        // A response may arrive before everything is written, and says more than a failed write.
        let exchange = async {
            let writing = pin!(write(body, request.body));
            match select(pin!(answer(outgoing, request.max_answer, deadline)), writing).await {
                Either::Left((answer, _)) => answer,
                Either::Right(((), answer)) => answer.await,
            }
        };
        let answer = before(&WaitingClock, deadline, exchange).await;
        answer.unwrap_or_else(|| Err(HttpFault { sent: true, fault: Fault::timed_out() }))
    }
}

/// A request, and what belongs to its exchange.
struct Outgoing {
    request: types::Request,
    body: StreamWriter<u8>,
    /// Why the request could not be sent, which is told in place of the response as well. wasmtime closes the connection when this
    /// is dropped, and what is left of the response is lost without an error.
    exchange: FutureReader<Result<(), ErrorCode>>,
}

fn outgoing(request: &Request<'_>, now: Moment, deadline: Moment) -> Result<Outgoing, Fault> {
    let headers = Fields::from_list(&headers(request)).map_err(|_| rejected("headers"))?;
    let (body, contents) = wit_stream::new();
    // A writer that is dropped gives this: there are no trailers.
    let (_, trailers) = wit_future::new(|| Ok(None));
    let options = options(request, now, deadline);
    let (outgoing, exchange) = types::Request::new(headers, Some(contents), trailers, Some(options));
    address(&outgoing, request)?;
    Ok(Outgoing { request: outgoing, body, exchange })
}

/// The same limits for the host, so that it gives up as well. A host without such limits rejects them, which is harmless.
fn options(request: &Request<'_>, now: Moment, deadline: Moment) -> RequestOptions {
    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(Some(nanoseconds(now, request.connect_deadline)));
    let _ = options.set_first_byte_timeout(Some(nanoseconds(now, deadline)));
    let _ = options.set_between_bytes_timeout(Some(nanoseconds(now, deadline)));
    options
}

async fn write(mut body: StreamWriter<u8>, bytes: &[u8]) {
    let mut rest = bytes.to_vec();
    while !rest.is_empty() {
        let (result, unsent) = body.write(rest).await;
        if result == StreamResult::Dropped {
            return;
        }
        rest = unsent.into_vec();
    }
}

/// Sends a request and reads the response.
async fn answer(outgoing: types::Request, max: usize, deadline: Moment) -> Result<Response, HttpFault> {
    let sent = |fault| HttpFault { sent: true, fault };
    let response = send(outgoing).await.map_err(|code| fault(&code))?;
    let (status, headers) = (response.get_status_code(), response.get_headers().copy_all().into());
    // Dropped when the body was read, or is given up.
    let (_reading, read) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = types::Response::consume_body(response, read);
    let (mut body, mut piece) = (Vec::new(), FIRST_PIECE);
    loop {
        // A server that never stops sending would keep its caller from looking at the time.
        if WaitingClock.now() >= deadline {
            return Err(sent(Fault::timed_out()));
        }
        reserve(&mut body, piece).map_err(sent)?;
        let before = body.len();
        let (result, more) = stream.read(body).await;
        body = more;
        if body.len() > max {
            return Err(sent(larger()));
        }
        if result == StreamResult::Dropped {
            break;
        }
        piece = if body.len().saturating_sub(before) < piece { FIRST_PIECE } else { PIECE };
    }
    // Only this tells a body that has ended from one that was cut off.
    trailers.await.map_err(|code| fault(&code))?;
    Ok(Response { status, headers, body })
}

super::both::faults!(ErrorCode);
super::both::addressing!(types::Request, Method, WasiScheme);
