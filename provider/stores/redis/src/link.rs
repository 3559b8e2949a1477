//! One connection to the server: the handshake, and requests with their replies.

use crate::config::Config;
use crate::error::{self, Failure};
use crate::protocol::{Bounds, Decoder, Malformed, Progress, Reply, Request};
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Input, Network, Output};

pub struct Link<N: Network> {
    pub(crate) input: N::Input,
    pub(crate) output: N::Output,
    pub(crate) decoder: Decoder,
    /// The deadline of the operation that used it last.
    pub last_deadline: Moment,
    /// Whether the server may hold watches for this connection.
    pub watches: bool,
    /// The version of the snapshot whose key has been watched since it was taken.
    pub holds: Option<u64>,
    /// The server process, once asked for; `Some(None)` if the server does not say.
    pub server: Option<Option<u64>>,
}

impl<N: Network> Link<N> {
    /// Connects, agrees on the protocol, logs in and selects the database. None of this changes any data.
    pub async fn open(network: &N, config: &Config, deadline: Moment) -> Result<Self, Failure> {
        let connected = network.connect(&config.host, config.port, deadline).await;
        let (input, output) = connected.map_err(Failure::not_done)?;
        let decoder = Decoder::new(Bounds::default());
        let mut link =
            Self { input, output, decoder, last_deadline: deadline, watches: false, holds: None, server: None };
        link.shake_hands(config, deadline).await.map_err(|failure| match failure {
            // Redis takes what is no TLS on such a port for a broken connection.
            Failure::Lost { maybe_done, fault } if fault.cause == Cause::Closed && !network.encrypts() => {
                let hint =
                    "at the first command; if this is a port with TLS, KEYVALUE_REDIS_URL has to begin with rediss://";
                Failure::Lost { maybe_done, fault: Fault::new(Cause::Closed, format!("{fault} {hint}")) }
            }
            failure => failure,
        })?;
        if config.database != 0 {
            link.expect_ok(&[b"SELECT", config.database.to_string().as_bytes()], deadline).await?;
        }
        Ok(link)
    }

    /// `HELLO 3`, with the login; `AUTH` and RESP2 for servers older than Redis 6, which do not know it.
    async fn shake_hands(&mut self, config: &Config, deadline: Moment) -> Result<(), Failure> {
        let password = config.password.as_deref().map(str::as_bytes);
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = password {
            hello.extend([b"AUTH", config.user.as_deref().unwrap_or("default").as_bytes(), password]);
        }
        match self.ask_one(&hello, deadline).await? {
            Reply::Array(_) => return Ok(()),
            Reply::Error(line) if !(error::code(&line) == "NOPROTO" || line.starts_with("ERR unknown command")) => {
                return Err(refusal(&line));
            }
            Reply::Error(_) => {}
            _ => return Err(Failure::Refused(error::unexpected("HELLO"))),
        }
        match (password, config.user.as_deref()) {
            (None, _) => Ok(()),
            (Some(password), None) => self.expect_ok(&[b"AUTH", password], deadline).await,
            (Some(password), Some(user)) => self.expect_ok(&[b"AUTH", user.as_bytes(), password], deadline).await,
        }
    }

    async fn expect_ok(&mut self, command: &[&[u8]], deadline: Moment) -> Result<(), Failure> {
        match self.ask_one(command, deadline).await? {
            reply if reply.is_ok() => Ok(()),
            Reply::Error(line) => Err(refusal(&line)),
            _ => Err(Failure::Refused(error::unexpected("a command of the handshake"))),
        }
    }

    async fn ask_one(&mut self, command: &[&[u8]], deadline: Moment) -> Result<Reply, Failure> {
        let mut replies = self.ask(&Request::of(command), deadline).await?;
        replies.pop().ok_or_else(|| Failure::Refused(error::unexpected("a command")))
    }

    /// Whether the connection cannot be used for another request.
    pub async fn is_stale(&mut self) -> bool {
        !self.decoder.is_between_replies() || !matches!(self.input.at_hand().await, Ok(None))
    }

    /// Sends read-only commands, which may be sent again whatever goes wrong.
    pub async fn ask(&mut self, request: &Request, deadline: Moment) -> Result<Vec<Reply>, Failure> {
        self.tell(request, deadline).await.map_err(Failure::of_read)
    }

    /// Sends commands that write, in one round trip. Returns one reply for each.
    pub async fn tell(&mut self, request: &Request, deadline: Moment) -> Result<Vec<Reply>, Failure> {
        let mut sent = 0;
        if let Err(fault) = self.output.write(request.bytes(), &mut sent, deadline).await {
            return Err(Failure::Lost { maybe_done: request.size().may_be_done(sent as u64), fault });
        }
        let replies = self.replies(request.commands(), deadline).await;
        answered(replies.map_err(|fault| Failure::Lost { maybe_done: true, fault })?)
    }

    async fn replies(&mut self, count: usize, deadline: Moment) -> Result<Vec<Reply>, Fault> {
        let mut replies = Vec::with_capacity(count);
        loop {
            let bytes = self.input.read(deadline).await?;
            if bytes.is_empty() {
                return Err(Fault::closed());
            }
            decode(&mut self.decoder, &bytes, |reply| {
                if replies.len() == count {
                    return Err(more_replies());
                }
                replies.push(reply);
                Ok(())
            })?;
            if replies.len() == count {
                return Ok(replies);
            }
        }
    }
}

/// The replies to a request, unless the server says that it did nothing and may do it later.
pub fn answered(replies: Vec<Reply>) -> Result<Vec<Reply>, Failure> {
    let busy = |reply: &Reply| matches!(reply, Reply::Error(line) if error::is_busy(line));
    match replies.first() {
        Some(Reply::Error(line)) if replies.iter().all(busy) => Err(Failure::Busy(error::code(line).to_string())),
        _ => Ok(replies),
    }
}

pub fn more_replies() -> Fault {
    Fault::new(Cause::Malformed, "there are more replies than commands")
}

/// Hands over the replies that bytes complete.
pub fn decode(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    mut each: impl FnMut(Reply) -> Result<(), Fault>,
) -> Result<(), Fault> {
    while !bytes.is_empty() {
        match decoder.push(&mut bytes) {
            Ok(Progress::Incomplete) => {}
            Ok(Progress::Complete(reply)) => each(reply)?,
            Err(too_large @ (Malformed::TooLarge | Malformed::NoMemory)) => {
                return Err(Fault::new(Cause::TooLarge, too_large.to_string()));
            }
            Err(malformed) => return Err(Fault::new(Cause::Malformed, malformed.to_string())),
        }
    }
    Ok(())
}

fn refusal(line: &str) -> Failure {
    if error::is_busy(line) {
        return Failure::Busy(error::code(line).to_string());
    }
    Failure::Refused(error::from_reply(line))
}
