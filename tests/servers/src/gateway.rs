//! A stand-in for etcd's gateway, and for other services over HTTP, that answers when a test says so. A request is a connection, as in wasmtime.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

pub struct Gateway {
    listener: TcpListener,
}

/// A request that has arrived, and waits for its answer. If it is dropped, its connection is closed.
pub struct Asked {
    /// All of it: head and body.
    pub text: String,
    connection: TcpStream,
}

impl Gateway {
    pub fn start() -> Self {
        Self { listener: TcpListener::bind(("127.0.0.1", 0)).unwrap() }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// Waits for the next request, until all of it has arrived.
    pub fn take(&self) -> Asked {
        let (mut connection, _) = self.listener.accept().unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), [0; 64 << 10]);
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if body.len() == length.parse::<usize>().unwrap() {
                    return Asked { text: text.into_owned(), connection };
                }
            }
            let count = connection.read(&mut buffer).unwrap();
            assert!(count > 0, "the client has gone in the middle of its request: {text}");
            bytes.extend_from_slice(&buffer[..count]);
        }
    }

    /// Takes requests until this many keys were read, and answers each read as if a key were its own value.
    pub fn echo(&self, mut keys: usize) {
        while keys > 0 {
            let asked = self.take();
            keys -= asked.keys().len();
            asked.echo();
        }
    }

    /// The next requests, so many, none of which has an answer yet.
    pub fn take_together(&self, count: usize) -> Vec<Asked> {
        (0..count).map(|_| self.take()).collect()
    }
}

impl Asked {
    pub fn is_for(&self, path: &str) -> bool {
        self.text.split(' ').nth(1) == Some(path)
    }

    pub fn answer(mut self, status: u16, body: &str) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        // A client that has gone misses nothing.
        let _ = self.connection.write_all(format!("{head}{body}").as_bytes());
    }

    /// The keys that it is about, in base64.
    pub fn keys(&self) -> Vec<String> {
        let after = self.text.split("\"key\":\"").skip(1);
        after.map(|after| after.split('"').next().unwrap().to_string()).collect()
    }

    /// Answers a read as if each key were its own value: of one key, or of several in a transaction.
    pub fn echo(self) {
        self.give(|key| key.to_string());
    }

    /// The same with other values, in base64.
    pub fn give(self, value: impl Fn(&str) -> String) {
        let found = |key: &String| {
            let value = value(key);
            format!(
                r#"{{"header":{{"revision":"1"}},"kvs":[{{"key":"{key}","value":"{value}","mod_revision":"1"}}],"count":"1"}}"#
            )
        };
        let mut found: Vec<_> = self.keys().iter().map(found).collect();
        if !self.is_for("/v3/kv/txn") {
            assert_eq!(found.len(), 1, "a request about a key: {}", self.text);
            return self.answer(200, &found.remove(0));
        }
        let found: Vec<_> = found.iter().map(|found| format!(r#"{{"response_range":{found}}}"#)).collect();
        self.answer(200, &format!(r#"{{"header":{{"revision":"1"}},"responses":[{}]}}"#, found.join(",")));
    }
}
