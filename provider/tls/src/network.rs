//! Connections with TLS inside.

use crate::explain;
use crate::trust::Trust;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Connection, Network, WriteFault};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    AppDataRecord, ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

/// The most bytes that are encrypted at once. It bounds the memory for what is about to be sent.
const PIECE: usize = 256 << 10;
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

/// A connection of [`Tls`].
pub struct TlsConnection<C> {
    below: C,
    /// `None` in clear text.
    session: Option<Session>,
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
    type Connection = TlsConnection<N::Connection>;

    fn connect(&self, host: &str, port: u16, deadline: Moment) -> Result<Self::Connection, Fault> {
        let session = match &self.trust {
            Some(trust) => Some(Session::new(trust, host)?),
            None => None,
        };
        let mut connection = TlsConnection { below: self.below.connect(host, port, deadline)?, session };
        connection.shake_hands(deadline)?;
        Ok(connection)
    }

    fn encrypts(&self) -> bool {
        self.trust.is_some()
    }
}

impl<C: Connection> TlsConnection<C> {
    /// Returns when the server is verified and data can be sent. With TLS 1.3, the client's last message goes along with
    /// the first data.
    fn shake_hands(&mut self, deadline: Moment) -> Result<(), Fault> {
        let Some(session) = &mut self.session else { return Ok(()) };
        loop {
            let next = session.advance(&[]);
            if matches!(next, Ok(Next::Data)) {
                return Ok(());
            }
            // If it failed, this is the reason, for the server's log.
            let sent = self.below.write(&std::mem::take(&mut session.out), deadline);
            next?;
            sent.map_err(|failed| during_handshake(failed.fault))?;
            let bytes = self.below.read(deadline).map_err(during_handshake)?;
            if bytes.is_empty() || session.ended {
                return Err(during_handshake(Fault::closed()));
            }
            session.take(&bytes)?;
        }
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

impl<C: Connection> Connection for TlsConnection<C> {
    fn write(&mut self, bytes: &[u8], deadline: Moment) -> Result<(), WriteFault> {
        let Some(session) = &mut self.session else { return self.below.write(bytes, deadline) };
        // A record that arrives in part is not decrypted: what has not been sent to its end has not been received.
        let partly = |fault| WriteFault { complete: false, fault };
        let count = bytes.len().div_ceil(PIECE);
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            if session.advance(piece).map_err(partly)? != Next::Data {
                return Err(partly(Fault::closed()));
            }
            let sent = self.below.write(&session.out, deadline);
            session.out.clear();
            sent.map_err(|WriteFault { complete, fault }| WriteFault {
                complete: complete && number + 1 == count,
                fault,
            })?;
        }
        // Memory for large values is not kept.
        session.out.shrink_to(RECORD);
        Ok(())
    }

    fn read(&mut self, deadline: Moment) -> Result<Vec<u8>, Fault> {
        let Some(session) = &mut self.session else { return self.below.read(deadline) };
        while session.received.is_empty() && !session.ended {
            let bytes = self.below.read(deadline)?;
            if bytes.is_empty() {
                // Without a farewell. Whether an answer is whole does not depend on it: answers say where they end.
                session.ended = true;
                break;
            }
            session.take(&bytes)?;
            session.advance(&[])?;
            // What answers the server's own messages, such as the request for a new handshake in TLS 1.2.
            if !session.out.is_empty() {
                let sent = self.below.write(&session.out, deadline);
                session.out.clear();
                sent.map_err(|failed| failed.fault)?;
            }
        }
        Ok(std::mem::take(&mut session.received))
    }

    fn arrived(&mut self) -> Result<Vec<u8>, Fault> {
        let Some(session) = &mut self.session else { return self.below.arrived() };
        if session.received.is_empty() && !session.ended {
            let bytes = self.below.arrived()?;
            session.take(&bytes)?;
            session.advance(&[])?;
        }
        match session.received.is_empty() && session.ended {
            true => Err(Fault::closed()),
            false => Ok(std::mem::take(&mut session.received)),
        }
    }

    /// Between two requests, a server sends messages of the protocol that are no data: the tickets for later sessions.
    fn is_stale(&mut self) -> bool {
        match &self.session {
            None => self.below.is_stale(),
            Some(_) => !self.arrived().is_ok_and(|bytes| bytes.is_empty()),
        }
    }
}
