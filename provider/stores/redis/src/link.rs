//! One connection to the server: the handshake, and requests with their replies.

use crate::config::{Config, Endpoint};
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
    /// Whether the node of a cluster is asked for keys that it is just being given.
    pub asking: bool,
}

impl<N: Network> Link<N> {
    /// Connects, and says nothing yet.
    pub async fn connect(network: &N, endpoint: &Endpoint, deadline: Moment) -> Result<Self, Failure> {
        let connected = network.connect(&endpoint.host, endpoint.port, deadline).await;
        let (input, output) = connected.map_err(Failure::not_done)?;
        Ok(Self::new(input, output, deadline))
    }

    pub fn new(input: N::Input, output: N::Output, last_deadline: Moment) -> Self {
        let decoder = Decoder::new(Bounds::default());
        Self { input, output, decoder, last_deadline, watches: false, holds: None, server: None, asking: false }
    }

    /// Connects, agrees on the protocol, logs in and selects the database. None of this changes any data. With
    /// `must_be_primary`, a server that is none is refused as one that is read-only.
    pub async fn open(
        network: &N,
        config: &Config,
        endpoint: &Endpoint,
        must_be_primary: bool,
        deadline: Moment,
    ) -> Result<Self, Failure> {
        let mut link = Self::connect(network, endpoint, deadline).await?;
        let role = link.shake_hands(config, deadline).await.map_err(|failure| match failure {
            // Redis takes what is no TLS on such a port for a broken connection.
            Failure::Lost { maybe_done, fault } if fault.cause == Cause::Closed && !network.encrypts() => {
                let hint =
                    "at the first command; if this is a port with TLS, KEYVALUE_REDIS_URL has to begin with rediss://";
                Failure::Lost { maybe_done, fault: Fault::new(Cause::Closed, format!("{fault} {hint}")) }
            }
            failure => failure,
        })?;
        if must_be_primary {
            link.expect_primary(role, deadline).await?;
        }
        if config.database != 0 {
            link.expect_ok(&[b"SELECT", config.database.to_string().as_bytes()], deadline).await?;
        }
        Ok(link)
    }

    /// `HELLO 3`, with the login; `AUTH` and RESP2 for servers older than Redis 6, which do not know it. Returns the role that
    /// the server says to have.
    async fn shake_hands(&mut self, config: &Config, deadline: Moment) -> Result<Option<Vec<u8>>, Failure> {
        let password = config.password.as_deref().map(str::as_bytes);
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = password {
            hello.extend([b"AUTH", config.user.as_deref().unwrap_or("default").as_bytes(), password]);
        }
        match self.ask_one(&hello, deadline).await? {
            Reply::Array(about) => return Ok(about_server(about, b"role")),
            Reply::Error(line) if !(error::code(&line) == "NOPROTO" || line.starts_with("ERR unknown command")) => {
                return Err(error::refusal(&line));
            }
            Reply::Error(_) => {}
            _ => return Err(Failure::Refused(error::unexpected("HELLO"))),
        }
        if let Some(password) = password {
            self.log_in(config.user.as_deref(), password, deadline).await?;
        }
        Ok(None)
    }

    /// Logs in as every version knows it.
    pub async fn log_in(&mut self, user: Option<&str>, password: &[u8], deadline: Moment) -> Result<(), Failure> {
        match user {
            None => self.expect_ok(&[b"AUTH", password], deadline).await,
            Some(user) => self.expect_ok(&[b"AUTH", user.as_bytes(), password], deadline).await,
        }
    }

    /// Checks the role that the server said to have, or else asks for it.
    async fn expect_primary(&mut self, role: Option<Vec<u8>>, deadline: Moment) -> Result<(), Failure> {
        let role = match role {
            Some(role) => Some(role),
            None => match self.ask_one(&[b"ROLE"], deadline).await? {
                Reply::Array(about) => about.into_iter().next().and_then(Reply::into_bytes),
                Reply::Error(line) => return Err(error::refusal(&line)),
                _ => None,
            },
        };
        match role.as_deref() {
            Some(b"master") => Ok(()),
            Some(_) => Err(Failure::Busy("READONLY".into())),
            None => Err(Failure::Refused(error::unexpected("ROLE"))),
        }
    }

    async fn expect_ok(&mut self, command: &[&[u8]], deadline: Moment) -> Result<(), Failure> {
        match self.ask_one(command, deadline).await? {
            reply if reply.is_ok() => Ok(()),
            Reply::Error(line) => Err(error::refusal(&line)),
            _ => Err(Failure::Refused(error::unexpected("a command of the handshake"))),
        }
    }

    pub async fn ask_one(&mut self, command: &[&[u8]], deadline: Moment) -> Result<Reply, Failure> {
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
        if self.asking {
            let asking = request.asking();
            self.begin(asking.request(), deadline).await?;
            return answered(asking.own(self.end(asking.request(), deadline).await?));
        }
        self.begin(request, deadline).await?;
        answered(self.end(request, deadline).await?)
    }

    /// Sends commands.
    pub async fn begin(&mut self, request: &Request, deadline: Moment) -> Result<(), Failure> {
        let mut sent = 0;
        let written = self.output.write(request.bytes(), &mut sent, deadline).await;
        written.map_err(|fault| Failure::Lost { maybe_done: request.size().may_be_done(sent as u64), fault })
    }

    /// Waits for the replies to the commands that were sent.
    pub async fn end(&mut self, request: &Request, deadline: Moment) -> Result<Vec<Reply>, Failure> {
        let replies = self.replies(request.commands(), deadline).await;
        replies.map_err(|fault| Failure::Lost { maybe_done: true, fault })
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

/// The replies to a request, unless the server says that it did nothing and may do it later, or that another one can.
pub fn answered(replies: Vec<Reply>) -> Result<Vec<Reply>, Failure> {
    if let Some(Reply::Error(line)) = replies.first() {
        let all =
            |means: fn(&str) -> bool| replies.iter().all(|reply| matches!(reply, Reply::Error(line) if means(line)));
        if all(error::is_busy) || all(error::is_elsewhere) {
            return Err(error::refusal(line));
        }
    }
    Ok(replies)
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

/// What a server says of itself under a name, in its reply to `HELLO`.
fn about_server(reply: Vec<Reply>, name: &[u8]) -> Option<Vec<u8>> {
    let mut parts = reply.into_iter();
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        if key.into_bytes().as_deref() == Some(name) {
            return value.into_bytes();
        }
    }
    None
}
