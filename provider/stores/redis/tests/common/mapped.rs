//! A node of a cluster that is behind a proxy, and says so in its map of the slots.

use super::fake::slots_reply;
use kvfuse_servers::faults::Site;
use kvfuse_servers::proxy::Proxy;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

/// What is done with requests for keys, as far as a node may refuse them: those that a connection keeps to itself for watches are
/// not redirected.
#[derive(Clone, Copy)]
enum Answers {
    /// They go to the real node.
    Once,
    /// One is redirected, back to the proxy, and the next one goes to the real node.
    After(&'static str),
}

/// The site of the real node at a port, which has all slots: a proxy before this one, which is before the real one.
pub fn mapped(upstream: u16) -> Site {
    site(upstream, Answers::Once)
}

pub fn moved(upstream: u16) -> Site {
    site(upstream, Answers::After("MOVED"))
}

pub fn asked(upstream: u16) -> Site {
    site(upstream, Answers::After("ASK"))
}

fn site(upstream: u16, answers: Answers) -> Site {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port());
    let node = Arc::new(Node { upstream, answers, port: proxy.port(), redirects: AtomicBool::new(false) });
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let node = node.clone();
            thread::spawn(move || node.serve(client));
        }
    });
    Site { faulty: proxy.port(), proxy, direct: upstream }
}

struct Node {
    upstream: u16,
    answers: Answers,
    /// That of the proxy.
    port: u16,
    /// Whether the request before this one was redirected.
    redirects: AtomicBool,
}

impl Node {
    fn serve(&self, client: TcpStream) -> Option<()> {
        let server = TcpStream::connect(("127.0.0.1", self.upstream)).ok()?;
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = (&client).read(&mut buffer).unwrap_or(0);
            let bytes = &buffer[..count];
            // A store waits for the answers to a request before it sends the next one, so no answer of the real node is missing.
            let written = match self.answer(bytes) {
                Some(answer) => (&client).write_all(answer.as_bytes()),
                None => (&server).write_all(bytes),
            };
            if count == 0 || written.is_err() {
                let _ = server.shutdown(Shutdown::Both);
                return None;
            }
        }
    }

    /// The answer to a whole request that the real node does not get.
    fn answer(&self, request: &[u8]) -> Option<String> {
        let commands = commands(request)?;
        if commands == [["CLUSTER", "SLOTS"]] {
            return Some(slots_reply(&[(0, 16_383, self.port)]));
        }
        let Answers::After(kind) = self.answers else { return None };
        let keys: Vec<&str> = commands.iter().map(|words| key(words)).collect::<Option<_>>()?;
        if self.redirects.fetch_xor(true, SeqCst) {
            return None;
        }
        Some(keys.iter().map(|key| format!("-{kind} {} 127.0.0.1:{}\r\n", slot(key), self.port)).collect())
    }
}

/// The key of a command that may be redirected by itself.
fn key<'a>(words: &[&'a str]) -> Option<&'a str> {
    match words {
        ["GET" | "SET" | "DEL" | "EXISTS" | "INCRBY", key, ..] | ["EVAL", _, _, key, ..] => Some(key),
        _ => None,
    }
}

/// The commands of a request, if it is whole.
fn commands(mut request: &[u8]) -> Option<Vec<Vec<&str>>> {
    let mut commands = Vec::new();
    while !request.is_empty() {
        let count = number(&mut request, b'*')?;
        let words = (0..count).map(|_| {
            let length = number(&mut request, b'$')?;
            let (word, rest) = request.split_at_checked(length)?;
            request = rest.strip_prefix(b"\r\n")?;
            std::str::from_utf8(word).ok()
        });
        commands.push(words.collect::<Option<_>>()?);
    }
    Some(commands).filter(|commands| !commands.is_empty())
}

fn number(request: &mut &[u8], kind: u8) -> Option<usize> {
    let end = request.windows(2).position(|pair| pair == b"\r\n")?;
    let line = request[..end].strip_prefix(&[kind])?;
    *request = &request[end + 2..];
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// The slot of a key, as the specification of Redis Cluster defines it.
fn slot(key: &str) -> u16 {
    let crc = key.bytes().fold(0u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % 16_384
}
