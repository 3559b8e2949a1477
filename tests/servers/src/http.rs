//! The HTTP port on `std::net`: HTTP/1.1 with one connection for each request, as in wasmtime.

use crate::net::{StdConnection, StdNetwork};
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::http::{HttpClient, HttpFault, Pieces, Request, Response, Scheme, read_to_end};
use kvfuse_transport::sockets::{Connection, Network};

/// Counts requests in `network`.
#[derive(Clone, Default)]
pub struct StdHttp {
    pub network: StdNetwork,
}

impl HttpClient for StdHttp {
    fn exchange(&self, request: &Request<'_>, deadline: Moment) -> Result<Response, HttpFault> {
        let unsent = |fault| HttpFault { sent: false, fault };
        let sent = |fault| HttpFault { sent: true, fault };
        if request.scheme == Scheme::Https {
            return Err(unsent(Fault::new(Cause::Tls, "this test client has no TLS")));
        }
        let (host, port) = request.authority.rsplit_once(':').unwrap_or((request.authority, "80"));
        let mut connection = self
            .network
            .connect(host, port.parse().unwrap(), request.connect_deadline.min(deadline))
            .map_err(unsent)?;
        let mut head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
            request.path,
            request.authority,
            request.body.len()
        );
        for (name, value) in request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let message = [head.as_bytes(), b"\r\n", request.body].concat();
        connection
            .write(&message, deadline)
            .map_err(|failed| HttpFault { sent: failed.complete, fault: failed.fault })?;
        // The head counts as well, and so does what marks the chunks.
        let max = request.max_answer.saturating_add(64 << 10);
        let answer = read_to_end(&mut Arriving(connection), max, deadline).map_err(sent)?;
        parse(&answer).map_err(sent)
    }
}

/// An answer up to the end of its connection.
struct Arriving(StdConnection);

impl Pieces for Arriving {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        self.0.arrived()
    }

    fn wait(&mut self, deadline: Moment) -> bool {
        self.0.wait(deadline)
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
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| malformed())?.to_ascii_lowercase();
    let body = &answer[end + 4..];
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).ok_or_else(malformed)?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let body = if header("transfer-encoding") == Some("chunked") {
        dechunk(body).ok_or_else(cut)?
    } else {
        let length: usize = header("content-length").and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        body.get(..length).ok_or_else(cut)?.to_vec()
    };
    Ok(Response { status, body })
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
