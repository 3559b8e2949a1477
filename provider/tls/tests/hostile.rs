//! Servers that send what no server should, without an end. The memory for it is bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use kvfuse_servers::allocated::{Allocated, Counting};
use kvfuse_servers::net::Connection;
use kvfuse_servers::settings;
use kvfuse_tls::{Tls, Trust};
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Input, Network, Output};
use std::cell::Cell;
use std::rc::Rc;

#[global_allocator]
static COUNTING: Counting = Counting;

/// What a server sends before the time is over, and what a connection may take of it.
const SENT: usize = 16 << 20;
const MOST: usize = 400 << 10;

/// A server that sends these bytes, and then those again and again until the time is over.
#[derive(Clone)]
struct Sender {
    first: Vec<u8>,
    again: Vec<u8>,
    sent: Rc<Cell<usize>>,
    /// How many bytes arrive at once.
    piece: usize,
}

impl Network for Sender {
    type Input = Sender;
    type Output = Sender;
    const WAITS: bool = false;

    async fn connect(&self, _: &str, _: u16, _: Moment) -> Result<(Sender, Sender), Fault> {
        Ok((self.clone(), self.clone()))
    }
}

impl Output for Sender {
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, _: Moment) -> Result<(), Fault> {
        *sent = bytes.len();
        Ok(())
    }
}

impl Input for Sender {
    async fn read(&mut self, _: Moment) -> Result<Vec<u8>, Fault> {
        let from = self.sent.get();
        if from >= SENT {
            return Err(Fault::timed_out());
        }
        self.sent.set(from + self.piece);
        let byte = |at: usize| match self.first.get(at) {
            Some(byte) => Some(*byte),
            None if self.again.is_empty() => None,
            None => Some(self.again[(at - self.first.len()) % self.again.len()]),
        };
        Ok((from..from + self.piece).map_while(byte).collect())
    }

    async fn at_hand(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        self.read(Moment(0)).await.map(Some)
    }
}

fn connect(first: &[u8], again: &[u8], piece: usize) -> Fault {
    let trust = Trust::from_settings(&settings(&[])).unwrap();
    let sender = Sender { first: first.to_vec(), again: again.to_vec(), sent: Rc::default(), piece };
    Allocated::forget_peak();
    let before = Allocated::now();
    let fault = Connection::open(&Tls::new(sender, Some(trust)), "a.example", 1, Moment(u64::MAX))
        .err()
        .expect("it is no server");
    let taken = Allocated::peak() - before;
    assert!(taken < MOST, "{taken} bytes for {fault}");
    fault
}

/// A record (RFC 8446, section 5.1): its type, its version, its length and its content.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat()
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

#[test]
fn what_a_server_sends_without_an_end_ends_with_an_error_and_takes_little_memory() {
    // A certificate of 16 MiB, the longest message that can be announced, in the longest records.
    let long = [&[11, 0xff, 0xff, 0xff][..], &[0; (16 << 10) - 4]].concat();
    let hostile = [
        ("a message without an end", record(HANDSHAKE, &long), record(HANDSHAKE, &[0; 16 << 10])),
        ("a message without an end, byte by byte", record(HANDSHAKE, &long[..1]), record(HANDSHAKE, &[0xff])),
        ("records without content", Vec::new(), record(HANDSHAKE, &[])),
        ("data without content", Vec::new(), record(DATA, &[])),
        ("data", Vec::new(), record(DATA, &[0; 1000])),
        // RFC 5246, section 7.2: a warning (1) that there will be no renegotiation (100).
        ("warnings", Vec::new(), record(ALERT, &[1, 100])),
        ("changes of the cipher", Vec::new(), record(CHANGE_CIPHER_SPEC, &[1])),
        ("requests for a new handshake", Vec::new(), record(HANDSHAKE, &[0, 0, 0, 0])),
        ("a record that is too long", vec![HANDSHAKE, 3, 3, 0xff, 0xff], vec![0]),
        ("zeros", Vec::new(), vec![0]),
        ("text", Vec::new(), b"HTTP/1.1 200 OK\r\n".to_vec()),
    ];
    for (what, first, again) in hostile {
        for piece in [1 << 16, 1000] {
            let fault = connect(&first, &again, piece);
            assert!(matches!(fault.cause, Cause::Tls | Cause::TimedOut | Cause::Closed), "{what}: {fault:?}");
        }
    }
}

#[test]
fn a_server_that_is_too_old_is_told_from_others() {
    // RFC 2246 and RFC 4346: it answers with its own version, 3.1 or 3.2, and a cipher of that time.
    for minor in [1, 2] {
        let hello = [&[2, 0, 0, 38, 3, minor][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
        let fault = connect(&record(HANDSHAKE, &hello), &[], 1000);
        assert!(fault.detail.contains("offers neither TLS 1.3 nor TLS 1.2"), "{minor}: {fault}");
    }
    // Or with a fatal alert (2), protocol_version (70).
    let fault = connect(&record(ALERT, &[2, 70]), &[], 1000);
    assert!(fault.detail.contains("offers neither TLS 1.3 nor TLS 1.2"), "{fault}");
}

#[test]
fn what_is_no_tls_is_told_from_tls() {
    for text in ["-ERR unknown command\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n"] {
        let fault = connect(text.as_bytes(), &[], 1000);
        assert!(fault.detail.contains("does not speak TLS on this port"), "{text}: {fault}");
    }
}
