//! A proxy that injects a fault at a chosen byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The fault at the chosen byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed.
    Close,
    /// Nothing more is sent, and the connection stays open.
    Hang,
    /// Bytes that belong to no protocol are sent, and the connection is closed.
    Nonsense,
    /// The first bytes are sent once, and then the others again and again, for as long as the client takes them.
    Flood(&'static [u8], &'static [u8]),
}

impl Fault {
    /// Pushes of RESP3, which belong to no reply.
    pub const PUSHES: Self = Self::Flood(b"", b">2\r\n+pubsub\r\n+nothing\r\n");
    /// An HTTP answer with a body that never ends: chunks of the white space before a JSON text.
    pub const BODY: Self = Self::Flood(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        b"10\r\n                \r\n",
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// At a byte that the client sends; those after it never reach the server.
    Request,
    /// At a byte that the server sends.
    Reply,
}

struct Plan {
    direction: Direction,
    fault: Fault,
    /// Bytes to forward before it.
    after: usize,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    /// Bytes forwarded since they were last counted.
    requested: usize,
    replied: usize,
    /// Whether to forward one byte at a time.
    trickle: bool,
    /// What clients have sent, if it is recorded.
    kept: Option<Vec<u8>>,
}

/// A proxy that forwards everything, except for a planned fault.
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::downgrade(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(state) = shared.upgrade() else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap(), state.clone());
                thread::spawn(move || pump(client, server, Direction::Request, &state));
                thread::spawn(move || pump(back.0, back.1, Direction::Reply, &back.2));
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Plans one fault, after this number of further bytes.
    pub fn plan(&self, direction: Direction, fault: Fault, after: usize) {
        self.state.lock().unwrap().plan = Some(Plan { direction, fault, after });
    }

    /// Cancels the planned fault. Returns whether it had not happened yet.
    pub fn clear(&self) -> bool {
        self.state.lock().unwrap().plan.take().is_some()
    }

    /// Whether to forward each byte on its own.
    pub fn trickle(&self, on: bool) {
        self.state.lock().unwrap().trickle = on;
    }

    /// What clients have sent since the first call of this function.
    pub fn sent(&self) -> Vec<u8> {
        self.state.lock().unwrap().kept.get_or_insert_default().clone()
    }

    /// The bytes of requests and of replies since the last call of this function.
    pub fn count(&self) -> (usize, usize) {
        let mut state = self.state.lock().unwrap();
        (std::mem::take(&mut state.requested), std::mem::take(&mut state.replied))
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, direction: Direction, state: &Mutex<State>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let (through, fault, trickle) = {
            let mut state = state.lock().unwrap();
            let (through, fault) = match &mut state.plan {
                Some(plan) if plan.direction == direction && count > 0 => {
                    let through = count.min(plan.after);
                    plan.after -= through;
                    let fault = (through < count).then_some(plan.fault);
                    if fault.is_some() {
                        state.plan = None;
                    }
                    (through, fault)
                }
                _ => (count, None),
            };
            match direction {
                Direction::Request => state.requested += through,
                Direction::Reply => state.replied += through,
            }
            if let Some(kept) = state.kept.as_mut().filter(|_| direction == Direction::Request) {
                kept.extend(&buffer[..through]);
            }
            (through, fault, state.trickle)
        };
        let piece = if trickle { 1 } else { usize::MAX };
        let written = buffer[..through].chunks(piece).try_for_each(|bytes| to.write_all(bytes));
        match fault {
            None if count > 0 && written.is_ok() => continue,
            None => {}
            // Keeps the connection open until the client gives up, whatever it sends until then.
            Some(Fault::Hang) => {
                let client = if direction == Direction::Reply { &mut to } else { &mut from };
                while client.read(&mut buffer).is_ok_and(|count| count > 0) {}
            }
            Some(Fault::Nonsense) => {
                let _ = to.write_all(b"\0\xff<html>nonsense</html>\r\n\r\n\0");
            }
            Some(Fault::Flood(first, again)) => {
                let many = again.repeat((64 << 10) / again.len());
                let mut flooded = to.write_all(first);
                while flooded.is_ok() {
                    flooded = to.write_all(&many);
                }
            }
            Some(Fault::Close) => {}
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
        return;
    }
}
