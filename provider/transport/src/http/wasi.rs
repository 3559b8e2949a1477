//! `wasi:http/outgoing-handler`.
#![deny(clippy::arithmetic_side_effects)]

use super::both::{headers, nanoseconds, rejected};
use super::{HttpClient, HttpFault, Pieces, Request, Response, Streaming, read_to_end};
use crate::clock::{Moment, wasi::Waiter};
use crate::fault::{Cause, Fault};
use std::any::Any;
use std::rc::Rc;
use std::time::Duration;
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme as WasiScheme, http_error_code,
};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, StreamError};

/// The most bytes of a response to read at once.
const PIECE: u64 = 64 << 10;

/// The HTTP client of the host, which also does TLS.
#[derive(Default)]
pub struct WasiHttp {
    waiter: Rc<Waiter>,
}

impl HttpClient for WasiHttp {
    fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault> {
        let (response, body) = self.send(request, deadline, Duration::ZERO)?;
        let sent = |fault| HttpFault { sent: true, fault };
        let mut body = self.arriving(response, body).map_err(sent)?;
        let (status, headers) = (body.response.status(), body.response.headers().entries().into());
        let body = read_to_end(&mut body, request.max_answer, deadline).map_err(sent)?;
        Ok(Response { status, headers, body })
    }

    fn stream(&self, request: &Request<'_>, deadline: Moment, pause: Duration) -> Result<Streaming, HttpFault> {
        let (response, body) = self.send(request, deadline, pause)?;
        let (status, headers) = (response.status(), response.headers().entries().into());
        let body = self.arriving(response, body).map_err(|fault| HttpFault { sent: true, fault })?;
        Ok(Streaming { status, headers, body: Box::new(body) })
    }
}

fn outgoing(request: &Request<'_>) -> Result<OutgoingRequest, Fault> {
    let headers = Fields::from_list(&headers(request)).map_err(|_| rejected("headers"))?;
    let outgoing = OutgoingRequest::new(headers);
    address(&outgoing, request)?;
    Ok(outgoing)
}

/// The same limits for the host, so that it gives up as well. A host without such limits rejects them, which is
/// harmless.
fn options(request: &Request<'_>, deadline: Moment, pause: Duration) -> RequestOptions {
    let now = Moment(monotonic_clock::now());
    let nanoseconds = |until| Some(nanoseconds(now, until));
    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(nanoseconds(request.connect_deadline));
    let _ = options.set_first_byte_timeout(nanoseconds(deadline));
    let _ = options.set_between_bytes_timeout(nanoseconds(std::ops::Add::add(deadline, pause)));
    options
}

impl WasiHttp {
    /// Sends a request and waits for the head of the response.
    fn send(
        &self,
        request: &Request<'_>,
        deadline: Moment,
        pause: Duration,
    ) -> Result<(IncomingResponse, IncomingBody), HttpFault> {
        let unsent = |fault| HttpFault { sent: false, fault };
        let sent = |fault| HttpFault { sent: true, fault };
        let outgoing = outgoing(request).map_err(unsent)?;
        let body =
            outgoing.body().map_err(|()| unsent(Fault::new(Cause::Other, "the request has no body to write")))?;
        let answer = handle(outgoing, Some(options(request, deadline, pause))).map_err(|code| fault(&code))?;
        // A response may arrive before everything is written, and says more than a failed write.
        let written = self.write(body, request.body, deadline);
        let response = self.answer(&answer, deadline)?;
        let response = match (response, written) {
            (Some(response), _) => response,
            (None, Err(fault)) => return Err(sent(fault)),
            (None, Ok(())) => return Err(sent(Fault::timed_out())),
        };
        let body = response.consume().map_err(|()| sent(unreadable()))?;
        Ok((response, body))
    }

    fn arriving(&self, response: IncomingResponse, body: IncomingBody) -> Result<Arriving, Fault> {
        let stream = body.stream().map_err(|()| unreadable())?;
        Ok(Arriving { ready: stream.subscribe(), stream, body, response, waiter: self.waiter.clone() })
    }

    fn write(&self, body: OutgoingBody, mut bytes: &[u8], deadline: Moment) -> Result<(), Fault> {
        let other = |()| Fault::new(Cause::Other, "the request's body cannot be written");
        let stream = body.write().map_err(other)?;
        while !bytes.is_empty() {
            let room = stream.check_write().map_err(stream_fault)?;
            if room == 0 {
                if !self.waiter.wait(&stream.subscribe(), deadline) {
                    return Err(Fault::timed_out());
                }
                continue;
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            stream.write(piece).map_err(stream_fault)?;
            bytes = rest;
        }
        drop(stream);
        OutgoingBody::finish(body, None).map_err(|code| fault(&code).fault)
    }

    /// `None` if there was no response in time.
    fn answer(&self, answer: &FutureIncomingResponse, deadline: Moment) -> Result<Option<IncomingResponse>, HttpFault> {
        let ready = answer.subscribe();
        loop {
            match answer.get() {
                Some(Ok(Ok(response))) => return Ok(Some(response)),
                Some(Ok(Err(code))) => return Err(fault(&code)),
                Some(Err(())) => {
                    let twice = Fault::new(Cause::Other, "the host returned the answer twice");
                    return Err(HttpFault { sent: true, fault: twice });
                }
                None if self.waiter.wait(&ready, deadline) => {}
                None => return Ok(None),
            }
        }
    }
}

fn unreadable() -> Fault {
    Fault::new(Cause::Other, "the answer's body cannot be read")
}

/// A body on its way. Fields are dropped in this order, as the interface requires: child resources before their
/// parents.
struct Arriving {
    ready: Pollable,
    stream: InputStream,
    body: IncomingBody,
    response: IncomingResponse,
    waiter: Rc<Waiter>,
}

impl Pieces for Arriving {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        match self.stream.read(PIECE) {
            Ok(piece) => Ok(Some(piece)),
            Err(StreamError::Closed) => Ok(None),
            Err(error) => Err(stream_fault(error)),
        }
    }

    fn wait(&mut self, deadline: Moment) -> bool {
        self.waiter.wait(&self.ready, deadline)
    }

    fn hand_on(self: Box<Self>) -> Box<dyn Any> {
        let Self { ready, stream, body, response, waiter: _ } = *self;
        drop(ready);
        // They have to live as long as the stream, and nothing tells when its consumer has dropped it. What stays is two entries
        // in the instance's table; the host closes the connection when the body has ended.
        std::mem::forget((body, response));
        Box::new(stream)
    }
}

fn stream_fault(error: StreamError) -> Fault {
    match error {
        StreamError::Closed => Fault::closed(),
        StreamError::LastOperationFailed(error) => match http_error_code(&error).map(|code| fault(&code).fault) {
            // The host has the same time limit, and may notice first that it has passed.
            Some(fault) if fault.cause == Cause::TimedOut => fault,
            _ => Fault::new(Cause::Closed, error.to_debug_string()),
        },
    }
}

super::both::faults!(ErrorCode);
super::both::addressing!(OutgoingRequest, Method, WasiScheme);
