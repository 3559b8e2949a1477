//! The HTTP port on `std::net`, and on tokio where calls wait: HTTP/1.1 with one connection for each request, as in wasmtime.

use crate::net::{StdInput, StdNetwork};
use crate::waiting::TokioNetwork;
use kvfuse_core::waiting::ready;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::http::{
    AsyncHttpClient, Headers, HttpClient, HttpFault, Pieces, Request, Response, Scheme, Streaming, read_to_end,
};
use kvfuse_transport::sockets::{Input, Network, Output};
use std::any::Any;
use std::time::Duration;

/// How much larger than its body an answer may be: the head counts as well, and so does what marks the chunks.
const HEAD: usize = 64 << 10;

/// Counts requests in `network`.
#[derive(Clone, Default)]
pub struct StdHttp {
    pub network: StdNetwork,
}

impl HttpClient for StdHttp {
    fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault> {
        let sent = |fault| HttpFault { sent: true, fault };
        let connection = self.send(request, deadline)?;
        let max = request.max_answer.saturating_add(HEAD);
        let answer = read_to_end(&mut Arriving(connection), max, deadline).map_err(sent)?;
        parse(&answer).map_err(sent)
    }

    fn stream(&self, request: &Request<'_>, deadline: Moment, _: Duration) -> Result<Streaming, HttpFault> {
        let sent = |fault| HttpFault { sent: true, fault };
        let mut connection = Arriving(self.send(request, deadline)?);
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
                let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap();
                let headers = headers(&head);
                let left = headers.get("content-length").map(|text| text.parse().unwrap());
                let body = Chunks { from: connection, bytes: bytes.split_off(end + 4), left, ended: false };
                return Ok(Streaming { status, headers, body: Box::new(body) });
            }
            if !connection.wait(deadline) {
                return Err(sent(Fault::timed_out()));
            }
            bytes.extend(connection.next().map_err(sent)?.ok_or_else(|| sent(Fault::closed()))?);
        }
    }
}

impl StdHttp {
    fn send(&self, request: &Request<'_>, deadline: Moment) -> Result<StdInput, HttpFault> {
        ready(send(&self.network, request, deadline)).expect("it does not wait").map(|(input, _)| input)
    }
}

/// The same where calls wait beside each other.
#[derive(Clone, Default)]
pub struct TokioHttp {
    pub network: TokioNetwork,
}

impl AsyncHttpClient for TokioHttp {
    async fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault> {
        let sent = |fault| HttpFault { sent: true, fault };
        // The output is kept: without it, the connection is closed for one half, as if its client had gone.
        let (mut input, _output) = send(&self.network, request, deadline).await?;
        let mut answer = Vec::new();
        loop {
            let piece = input.read(deadline).await.map_err(sent)?;
            if piece.is_empty() {
                return parse(&answer).map_err(sent);
            }
            answer.extend(piece);
            if answer.len() > request.max_answer.saturating_add(HEAD) {
                return Err(sent(Fault::new(Cause::TooLarge, "the answer is larger than the limit")));
            }
        }
    }
}

/// Connects, and sends a request.
async fn send<N: Network>(
    network: &N,
    request: &Request<'_>,
    deadline: Moment,
) -> Result<(N::Input, N::Output), HttpFault> {
    let unsent = |fault| HttpFault { sent: false, fault };
    if request.scheme == Scheme::Https {
        return Err(unsent(Fault::new(Cause::Tls, "this test client has no TLS")));
    }
    let (host, port) = request.authority.rsplit_once(':').unwrap_or((request.authority, "80"));
    let connecting = network.connect(host, port.parse().unwrap(), request.connect_deadline.min(deadline));
    let (input, mut output) = connecting.await.map_err(unsent)?;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
        request.method.name(),
        request.path,
        request.authority,
        request.body.len()
    );
    for (name, value) in request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let message = [head.as_bytes(), b"\r\n", request.body].concat();
    let mut sent = 0;
    let written = output.write(&message, &mut sent, deadline).await;
    written.map_err(|fault| HttpFault { sent: sent == message.len(), fault })?;
    Ok((input, output))
}

/// A body as it arrives.
pub struct Chunks {
    from: Arriving,
    /// What has arrived and was not given yet.
    bytes: Vec<u8>,
    /// How many bytes there are to give, unless they come in chunks.
    left: Option<usize>,
    ended: bool,
}

impl Chunks {
    /// The first chunk, once all of it has arrived.
    fn take(&mut self) -> Option<Vec<u8>> {
        if let Some(left) = &mut self.left {
            let bytes = std::mem::take(&mut self.bytes);
            self.ended = *left == 0;
            *left -= bytes.len();
            return Some(bytes).filter(|bytes| self.ended || !bytes.is_empty());
        }
        let line = self.bytes.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&self.bytes[..line]).unwrap(), 16).unwrap();
        let chunk = self.bytes.get(line + 2..line + 2 + length)?.to_vec();
        self.bytes.get(line + 4 + length - 1)?;
        self.bytes.drain(..line + 4 + length);
        self.ended = length == 0;
        Some(chunk)
    }
}

impl Pieces for Chunks {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if let Some(chunk) = self.take() {
            return Ok(Some(chunk).filter(|_| !self.ended));
        }
        match self.from.next()? {
            Some(more) => {
                self.bytes.extend(more);
                Ok(Some(self.take().unwrap_or_default()).filter(|_| !self.ended))
            }
            None => Err(Fault::closed()),
        }
    }

    fn wait(&mut self, deadline: Moment) -> bool {
        !self.bytes.is_empty() || self.left == Some(0) || self.from.wait(deadline)
    }

    fn hand_on(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// An answer up to the end of its connection.
struct Arriving(StdInput);

impl Pieces for Arriving {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        self.0.arrived()
    }

    fn wait(&mut self, deadline: Moment) -> bool {
        self.0.wait(deadline)
    }

    fn hand_on(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

fn parse(answer: &[u8]) -> Result<Response, Fault> {
    if answer.is_empty() {
        return Err(Fault::closed());
    }
    let malformed = || Fault::new(Cause::Malformed, "the answer is not HTTP");
    let cut = || Fault::new(Cause::Closed, "the answer ended in the middle");
    if !answer.starts_with(&b"HTTP/1.1 "[..answer.len().min(9)]) {
        return Err(malformed());
    }
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| malformed())?;
    let headers = headers(head);
    let head = head.to_ascii_lowercase();
    let body = &answer[end + 4..];
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).ok_or_else(malformed)?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let body = if status == 204 {
        Vec::new()
    } else if header("transfer-encoding") == Some("chunked") {
        dechunk(body).ok_or_else(cut)?
    } else {
        let length: usize = header("content-length").and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        body.get(..length).ok_or_else(cut)?.to_vec()
    };
    Ok(Response { status, headers, body })
}

fn headers(head: &str) -> Headers {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = lines.map(|(name, value)| (name.to_string(), value.trim().as_bytes().to_vec())).collect();
    headers.into()
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        if length == 0 {
            // Trailers may follow; an empty line ends them.
            return rest.ends_with(b"\r\n\r\n").then_some(body);
        }
        let chunk = rest.get(line + 2..line + 2 + length)?;
        rest = rest.get(line + 2 + length..)?.strip_prefix(b"\r\n")?;
        body.extend_from_slice(chunk);
    }
}
