//! Requests of `wasi:http`.

use crate::guard::{Guard, HOSTS, Refused, Sent, TOKEN};
use crate::message::{self, About, Problem};
use crate::page::{FILES, HEADERS};
use crate::store::{self, Failed};
use serde::Deserialize;
use std::io::Write;
use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::StreamError;

/// The largest body of a request, in bytes: the largest value that a store can be set to accept, with the longest key.
const LARGEST: usize = (1 << 30) + (8 << 20);
/// The most bytes of a body to read at once.
const PIECE: u64 = 64 << 10;

struct Explorer;
wasip2::http::proxy::export!(Explorer);

impl wasip2::exports::http::incoming_handler::Guest for Explorer {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let answer = answer(&request);
        // If the browser has left, nobody is there to receive the answer.
        let _ = send(out, &answer);
    }
}

struct Answer {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn data(status: u16, body: Vec<u8>) -> Self {
        // Not a media type that a browser would show.
        Self { status, kind: "application/octet-stream", body }
    }

    fn problem(status: u16, error: impl Into<String>) -> Self {
        Self::data(status, message::write(&Problem { error: error.into() }, b""))
    }
}

impl From<Failed> for Answer {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Store(error) => Self::problem(502, error),
            Failed::Conflict(now) => Self::data(409, message::write(&now, b"")),
        }
    }
}

fn answer(request: &IncomingRequest) -> Answer {
    let path = request.path_with_query().unwrap_or_default();
    match admitted(request, &path) {
        Ok(name) => route(request, name),
        Err(refused) => {
            Answer { status: 403, kind: "text/plain; charset=utf-8", body: format!("{refused}\n").into_bytes() }
        }
    }
}

/// The part of the path after the token.
fn admitted<'a>(request: &IncomingRequest, path: &'a str) -> Result<&'a str, Refused> {
    let variables = wasip2::cli::environment::get_environment();
    // The last one of a name counts, as for the stores.
    let variable = |name: &str| {
        variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let guard = Guard::new(variable(TOKEN), variable(HOSTS))?;
    let headers = request.headers();
    // A value that is not text is not an origin, and refused as one.
    let header = |name: &str| headers.get(name).first().map(|value| String::from_utf8_lossy(value).into_owned());
    let (host, origin, site) = (request.authority(), header("origin"), header("sec-fetch-site"));
    guard.admit(path, &Sent { host: host.as_deref(), origin: origin.as_deref(), site: site.as_deref() })
}

fn route(request: &IncomingRequest, name: &str) -> Answer {
    if let Some(file) = FILES.iter().find(|file| file.name == name) {
        return match request.method() {
            Method::Get => Answer { status: 200, kind: file.kind, body: file.text.into() },
            _ => Answer::problem(405, "this is a file of the page: GET it"),
        };
    }
    let operation: fn(&[u8]) -> Result<Vec<u8>, Answer> = match name {
        "api/about" => |_| Ok(message::write(&About::default(), b"")),
        "api/keys" => |body| Ok(message::write(&store::keys(&head(body)?.0)?, b"")),
        "api/get" => {
            |body| store::get(&head(body)?.0).map(|(state, value)| message::write(&state, &value)).map_err(Answer::from)
        }
        "api/set" => |body| {
            let (asked, value) = head(body)?;
            Ok(message::write(&store::set(&asked, value)?, b""))
        },
        "api/delete" => |body| Ok(message::write(&store::delete(&head(body)?.0)?, b"")),
        "api/increment" => |body| Ok(message::write(&store::increment(&head(body)?.0)?, b"")),
        _ => return Answer::problem(404, "the explorer has no such page"),
    };
    if !matches!(request.method(), Method::Post) {
        return Answer::problem(405, "this is an operation: POST it");
    }
    let done = body(request).and_then(|body| operation(&body));
    done.map_or_else(|refused| refused, |body| Answer::data(200, body))
}

fn head<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<(T, &'a [u8]), Answer> {
    message::read(body)
        .map_err(|what| Answer::problem(400, format!("the first line of the request is malformed: {what}")))
}

/// The whole body. One that was cut off is an error: half a value must not be stored.
fn body(request: &IncomingRequest) -> Result<Vec<u8>, Answer> {
    let cut = || Answer::problem(400, "the request did not arrive whole");
    let length = request.headers().get("content-length");
    let length = length.first().and_then(|value| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
    let incoming = request.consume().map_err(|()| cut())?;
    let stream = incoming.stream().map_err(|()| cut())?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(PIECE) {
            Ok(piece) => {
                let full = body.len() + piece.len() > LARGEST || body.try_reserve(piece.len()).is_err();
                if full {
                    return Err(Answer::problem(413, "the request is too large: a value has at most 1 GiB"));
                }
                body.extend_from_slice(&piece);
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(cut()),
        }
    }
    if length.is_some_and(|length| length != body.len()) { Err(cut()) } else { Ok(body) }
}

fn send(out: ResponseOutparam, answer: &Answer) -> Option<()> {
    let headers = Fields::new();
    let given = HEADERS.iter().copied().chain([("content-type", answer.kind)]);
    for (name, value) in given {
        headers.append(name, value.as_bytes()).ok()?;
    }
    let response = OutgoingResponse::new(headers);
    response.set_status_code(answer.status).ok()?;
    let body = response.body().ok()?;
    ResponseOutparam::set(out, Ok(response));
    let mut stream = body.write().ok()?;
    stream.write_all(&answer.body).ok()?;
    stream.flush().ok()?;
    drop(stream);
    OutgoingBody::finish(body, None).ok()
}
