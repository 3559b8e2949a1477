//! A network in memory whose only host is a server of rustls with other algorithms (ring), and what it sends may be
//! changed on the way.
#![allow(dead_code, reason = "each test file uses a part")]

use kvfuse_servers::net::Connection;
use kvfuse_servers::settings;
use kvfuse_tls::{CA, Tls, Trust};
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::Fault;
use kvfuse_transport::sockets::{Input, Network, Output};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

pub const NEVER: Moment = Moment(u64::MAX);

/// What happens to one byte that the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    None,
    /// These bits of it are another way round.
    Flip(u8),
    /// The connection ends before it.
    Cut,
    /// Nothing more comes.
    Stop,
}

/// A server's certificate with its key, and the settings that trust it.
pub struct Host {
    pub trust: Trust,
    config: Arc<ServerConfig>,
}

impl Host {
    pub fn new(version: &'static SupportedProtocolVersion) -> Self {
        Self::with(version, rustls::crypto::ring::default_provider())
    }

    pub fn with(version: &'static SupportedProtocolVersion, provider: CryptoProvider) -> Self {
        let made = rcgen::generate_simple_self_signed(["a.example".to_string()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version]).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        Self { trust: Trust::from_settings(&settings(&[(CA, &made.cert.pem())])).unwrap(), config: Arc::new(config) }
    }

    /// With this harm to the byte with this number.
    pub fn wire(&self, at: usize, harm: Harm) -> Wire {
        let server = ServerConnection::new(self.config.clone()).unwrap();
        let state =
            State { server, at, harm, sent: 0, ended: false, in_record: 0, left: 0, hit: None, heard: Vec::new() };
        Wire(Rc::new(RefCell::new(state)))
    }

    pub fn connect(&self, wire: &Wire) -> Result<Connection<Tls<Wire>>, Fault> {
        Connection::open(&Tls::new(wire.clone(), Some(self.trust.clone())), "a.example", 1, NEVER)
    }

    /// Connects, sends these bytes, and returns as many from the server, which sends back what it gets.
    pub fn echo(&self, wire: &Wire, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut connection = self.connect(wire)?;
        connection.write(bytes, NEVER)?;
        read(&mut connection, bytes.len())
    }
}

/// Reads until there are as many bytes.
pub fn read(connection: &mut Connection<Tls<Wire>>, count: usize) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while all.len() < count {
        let bytes = connection.read(NEVER)?;
        if bytes.is_empty() {
            return Err(Fault::closed());
        }
        all.extend(bytes);
    }
    Ok(all)
}

/// The network, and its connection.
#[derive(Clone)]
pub struct Wire(pub Rc<RefCell<State>>);

pub struct State {
    pub server: ServerConnection,
    at: usize,
    harm: Harm,
    /// How many bytes the server has sent.
    pub sent: usize,
    ended: bool,
    /// How many bytes of the present record were sent, and how many are left of it once its length is known.
    in_record: usize,
    left: usize,
    /// Where in its record the byte was that was harmed.
    pub hit: Option<usize>,
    /// What the server has decrypted.
    pub heard: Vec<u8>,
}

impl State {
    /// The server's bytes, as they come out of the wire.
    fn harmed(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for index in 0..bytes.len() {
            // RFC 8446, section 5.1: a type, a version, and a length of two bytes.
            match self.in_record {
                3 => self.left = usize::from(bytes[index]) << 8,
                4 => self.left += usize::from(bytes[index]),
                _ => {}
            }
            if self.sent == self.at && self.harm != Harm::None {
                self.hit = Some(self.in_record);
                if let Harm::Flip(bits) = self.harm {
                    bytes[index] ^= bits;
                } else {
                    self.ended = true;
                    bytes.truncate(index);
                    return bytes;
                }
            }
            self.sent += 1;
            self.in_record =
                if self.in_record >= 4 && self.in_record == self.left + 4 { 0 } else { self.in_record + 1 };
        }
        bytes
    }
}

impl Network for Wire {
    type Input = Wire;
    type Output = Wire;
    const WAITS: bool = false;

    async fn connect(&self, _: &str, _: u16, _: Moment) -> Result<(Wire, Wire), Fault> {
        Ok((self.clone(), self.clone()))
    }
}

impl Output for Wire {
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, _: Moment) -> Result<(), Fault> {
        let mut bytes = &bytes[std::mem::replace(sent, bytes.len())..];
        let state = &mut *self.0.borrow_mut();
        while !bytes.is_empty() && state.server.read_tls(&mut bytes).is_ok_and(|count| count > 0) {
            // If it fails, what it then sends is an alert.
            let _ = state.server.process_new_packets();
            let mut heard = Vec::new();
            let _ = state.server.reader().read_to_end(&mut heard);
            state.server.writer().write_all(&heard).unwrap();
            state.heard.extend(heard);
        }
        Ok(())
    }
}

impl Input for Wire {
    /// Waits for nothing: if nothing was sent, nothing comes before the deadline.
    async fn read(&mut self, _: Moment) -> Result<Vec<u8>, Fault> {
        match self.at_hand().await? {
            None if self.0.borrow().harm == Harm::Cut => Ok(Vec::new()),
            None => Err(Fault::timed_out()),
            Some(bytes) => Ok(bytes),
        }
    }

    async fn at_hand(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let state = &mut *self.0.borrow_mut();
        let mut bytes = Vec::new();
        while !state.ended && state.server.wants_write() {
            state.server.write_tls(&mut bytes).unwrap();
        }
        Ok(Some(state.harmed(bytes)).filter(|bytes| !bytes.is_empty()))
    }
}
