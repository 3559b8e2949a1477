//! Connections with TLS inside.

use crate::explain;
use crate::trust::Trust;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Input, Network, Output};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    AppDataRecord, ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use std::cell::RefCell;
use std::rc::Rc;

/// The most bytes that are encrypted at once. It bounds the memory for what is about to be sent.
const PIECE: usize = 256 << 10;
/// The most bytes of answers to messages of the protocol that wait for the next data to go along with.
const MESSAGES: usize = 64 << 10;
/// What a record is longer than its content, at most, and the length of a record's content.
const OVERHEAD: usize = 64;
const RECORD: usize = 16 << 10;
/// Room for a message of the handshake. If it is longer, rustls says how long it is.
const MESSAGE: usize = 1 << 10;

/// A network whose connections are encrypted if there is a [`Trust`]; otherwise they are those of the network below.
#[derive(Clone)]
pub struct Tls<N> {
    below: N,
    trust: Option<Trust>,
}

/// What arrives on a connection of [`Tls`].
pub struct TlsInput<I> {
    below: I,
    /// `None` in clear text.
    session: Option<Rc<RefCell<Session>>>,
}

/// What is sent on a connection of [`Tls`].
pub struct TlsOutput<O> {
    below: O,
    /// `None` in clear text.
    session: Option<Rc<RefCell<Session>>>,
    /// What is on its way to the host, and how much of it the host has accepted.
    going: Vec<u8>,
    gone: usize,
    /// Whether the last byte of a piece is in what is on its way, and not counted as sent.
    is_open: bool,
}

/// The state of the protocol.
struct Session {
    host: String,
    tls: UnbufferedClientConnection,
    /// What the server sent and is not decrypted: the beginning of a record.
    incoming: Vec<u8>,
    /// What the server sent and nobody has read.
    received: Vec<u8>,
    /// What is to be sent to it.
    out: Vec<u8>,
    /// Whether the server sends nothing more.
    ended: bool,
}

/// What the protocol waits for.
#[derive(PartialEq, Eq)]
enum Next {
    /// A message of the server.
    Message,
    /// Data, in either direction.
    Data,
}

impl<N> Tls<N> {
    /// TLS over `below`; nothing over it without trust.
    pub fn new(below: N, trust: Option<Trust>) -> Self {
        Self { below, trust }
    }
}

impl<N: Network> Network for Tls<N> {
    type Input = TlsInput<N::Input>;
    type Output = TlsOutput<N::Output>;
    const WAITS: bool = N::WAITS;

    async fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<(Self::Input, Self::Output), Fault> {
        let session = match &self.trust {
            Some(trust) => Some(Session::new(trust, host)?),
            None => None,
        };
        let (mut input, mut output) = self.below.connect(host, port, deadline).await?;
        let session = match session {
            Some(session) => Some(Rc::new(RefCell::new(session.shake_hands(&mut input, &mut output, deadline).await?))),
            None => None,
        };
        let output = TlsOutput { below: output, session: session.clone(), going: Vec::new(), gone: 0, is_open: false };
        Ok((TlsInput { below: input, session }, output))
    }

    fn encrypts(&self) -> bool {
        self.trust.is_some()
    }
}

/// What a server without TLS does when it is spoken to in TLS is to say nothing, or to close the connection.
fn during_handshake(fault: Fault) -> Fault {
    match fault.cause {
        Cause::Closed => Fault::new(
            Cause::Closed,
            format!("{fault} during the TLS handshake; check that this is its TLS port, and see its log"),
        ),
        Cause::TimedOut => Fault::new(
            Cause::TimedOut,
            "no answer to the TLS handshake within the time limit; check that this is the server's TLS port",
        ),
        _ => fault,
    }
}

impl Session {
    fn new(trust: &Trust, host: &str) -> Result<Self, Fault> {
        let name = ServerName::try_from(host.to_string()).map_err(|_| {
            Fault::new(Cause::NameUnknown, format!("{host} is not a name that a certificate can be for"))
        })?;
        let tls = UnbufferedClientConnection::new(trust.0.clone(), name);
        let tls = tls.map_err(|error| explain::fault(host, true, &error))?;
        Ok(Self { host: host.into(), tls, incoming: Vec::new(), received: Vec::new(), out: Vec::new(), ended: false })
    }

    /// Returns when the server is verified and data can be sent. With TLS 1.3, the client's last message goes along with
    /// the first data.
    async fn shake_hands(
        mut self,
        input: &mut impl Input,
        output: &mut impl Output,
        deadline: Moment,
    ) -> Result<Self, Fault> {
        loop {
            let next = self.advance(&[]);
            if matches!(next, Ok(Next::Data)) {
                return Ok(self);
            }
            // If it failed, this is the reason, for the server's log.
            let sent = output.write(&std::mem::take(&mut self.out), &mut 0, deadline).await;
            next?;
            sent.map_err(during_handshake)?;
            let bytes = input.read(deadline).await.map_err(during_handshake)?;
            if bytes.is_empty() || self.ended {
                return Err(during_handshake(Fault::closed()));
            }
            self.take(&bytes)?;
        }
    }

    /// Decrypts what has arrived; nothing is the end. It may come without a farewell: whether an answer is whole does not
    /// depend on that, since answers say where they end.
    fn decrypt(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.is_empty() {
            self.ended = true;
            return Ok(());
        }
        self.take(bytes)?;
        self.advance(&[])?;
        // What answers the server's own messages, such as the request for a new handshake in TLS 1.2, goes
        // along with the next data.
        match self.out.len() > MESSAGES {
            true => Err(Fault::new(Cause::TooLarge, "the server sends messages of TLS without an end, and no data")),
            false => Ok(()),
        }
    }

    /// What can be read: `None` if nothing can, and nothing at the end.
    fn readable(&mut self) -> Option<Vec<u8>> {
        (self.ended || !self.received.is_empty()).then(|| std::mem::take(&mut self.received))
    }

    /// Takes bytes of the server; [`Session::advance`] decrypts them.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.incoming.try_reserve(bytes.len()).map_err(|_| no_memory())?;
        self.incoming.extend_from_slice(bytes);
        Ok(())
    }

    /// Goes on with the protocol for as long as it waits for nothing, and then encrypts the data, if there are any.
    fn advance(&mut self, data: &[u8]) -> Result<Next, Fault> {
        loop {
            let in_handshake = self.tls.is_handshaking();
            let UnbufferedStatus { mut discard, state, .. } = self.tls.process_tls_records(&mut self.incoming);
            let mut next = None;
            match state.map_err(|error| explain::fault(&self.host, in_handshake, &error)) {
                Ok(ConnectionState::ReadTraffic(mut records)) => {
                    while let Some(record) = records.next_record() {
                        let AppDataRecord { discard: done, payload, .. } =
                            record.map_err(|error| explain::fault(&self.host, in_handshake, &error))?;
                        discard += done;
                        self.received.try_reserve(payload.len()).map_err(|_| no_memory())?;
                        self.received.extend_from_slice(payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(message)) => encode(&mut self.out, message)?,
                Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    encrypt(&mut self.out, traffic, data)?;
                    next = Some(Next::Data);
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.ended = true;
                    next = Some(Next::Message);
                }
                // There are no early data without sessions that are taken up again.
                Ok(_) => next = Some(Next::Message),
                Err(fault) => {
                    // With the same bytes: rustls remembers where in them the beginning of a message is.
                    self.incoming.drain(..discard.min(self.incoming.len()));
                    let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.incoming);
                    if let Ok(ConnectionState::EncodeTlsData(reason)) = state {
                        encode(&mut self.out, reason)?;
                    }
                    return Err(fault);
                }
            }
            self.incoming.drain(..discard.min(self.incoming.len()));
            if let Some(next) = next {
                return Ok(next);
            }
        }
    }
}

fn no_memory() -> Fault {
    Fault::new(Cause::TooLarge, "the answer does not fit into memory")
}

fn encode(out: &mut Vec<u8>, mut message: EncodeTlsData<'_, ClientConnectionData>) -> Result<(), Fault> {
    append(out, MESSAGE, |place| {
        message.encode(place).map_err(|error| match error {
            EncodeError::InsufficientSize(needs) => Some(needs.required_size),
            EncodeError::AlreadyEncoded => None,
        })
    })
}

fn encrypt(out: &mut Vec<u8>, mut traffic: WriteTraffic<'_, ClientConnectionData>, data: &[u8]) -> Result<(), Fault> {
    if data.is_empty() {
        return Ok(());
    }
    let records = data.len().div_ceil(RECORD);
    append(out, data.len() + records * OVERHEAD, |place| {
        traffic.encrypt(data, place).map_err(|error| match error {
            EncryptError::InsufficientSize(needs) => Some(needs.required_size),
            EncryptError::EncryptExhausted => None,
        })
    })
}

/// Appends what `put` writes. It returns how long that is, or how much room it needs.
fn append(
    out: &mut Vec<u8>,
    mut room: usize,
    mut put: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Fault> {
    let from = out.len();
    for _ in 0..2 {
        out.try_reserve(room).map_err(|_| Fault::new(Cause::Other, "there is no memory for what is to be sent"))?;
        out.resize(from + room, 0);
        match put(out.get_mut(from..).unwrap_or_default()) {
            Ok(count) => {
                out.truncate(from + count);
                return Ok(());
            }
            Err(Some(needs)) => room = needs,
            Err(None) => break,
        }
    }
    out.truncate(from);
    Err(Fault::new(Cause::Tls, "TLS can encrypt nothing more on this connection"))
}

impl<I: Input> Input for TlsInput<I> {
    async fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        let Some(session) = &self.session else { return self.below.read(deadline).await };
        loop {
            if let Some(bytes) = session.borrow_mut().readable() {
                return Ok(bytes);
            }
            let bytes = self.below.read(deadline).await?;
            session.borrow_mut().decrypt(&bytes)?;
        }
    }

    async fn at_hand(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let Some(session) = &self.session else { return self.below.at_hand().await };
        if let Some(bytes) = session.borrow_mut().readable() {
            return Ok(Some(bytes));
        }
        let Some(bytes) = self.below.at_hand().await? else { return Ok(None) };
        let mut session = session.borrow_mut();
        session.decrypt(&bytes)?;
        // Between two requests, a server sends messages of the protocol that are no data: the tickets for later sessions.
        Ok(session.readable())
    }
}

/// A piece on its way. Its last byte is counted once all of it was accepted, however the write ends.
struct Piece<'a> {
    length: usize,
    gone: &'a mut usize,
    is_open: &'a mut bool,
    sent: &'a mut usize,
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        if *self.gone >= self.length && std::mem::take(self.is_open) {
            *self.sent += 1;
        }
    }
}

impl<O: Output> Output for TlsOutput<O> {
    /// A record that arrives in part is not decrypted: what has not been sent to its end has not been received. A piece that
    /// is encrypted cannot be taken back, so it counts as sent at once, but for its last byte. That one counts when the host
    /// has accepted all of the piece: until then, somebody has to go on.
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, deadline: Moment) -> Result<(), Fault> {
        let Some(session) = &self.session else { return self.below.write(bytes, sent, deadline).await };
        loop {
            if self.is_open {
                let Self { below, going, gone, is_open, .. } = self;
                let piece = Piece { length: going.len(), gone, is_open, sent };
                below.write(going, piece.gone, deadline).await?;
            }
            let rest = bytes.get(*sent..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let piece = rest.get(..PIECE).unwrap_or(rest);
            let mut session = session.borrow_mut();
            if session.advance(piece)? != Next::Data {
                return Err(Fault::closed());
            }
            self.going.clear();
            std::mem::swap(&mut self.going, &mut session.out);
            self.gone = 0;
            *sent += piece.len() - 1;
            self.is_open = true;
        }
        // Memory for large values is not kept.
        self.going.shrink_to(self.going.len().max(RECORD));
        Ok(())
    }
}
