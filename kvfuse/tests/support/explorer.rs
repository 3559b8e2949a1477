//! `kvfuse explore`, and requests to it.

use super::Folder;
use super::server::Server;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// An explorer on a free port until dropped.
pub struct Explorer {
    server: Server,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Explorer {
    /// `kvfuse explore` with these arguments.
    pub fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        Self { server: Server::spawn(folder, command.arg("explore").args(arguments)) }
    }

    /// The address with the token.
    pub fn url(&self) -> String {
        format!("http://{}/", self.server.address)
    }

    /// Its host and port.
    pub fn host(&self) -> &str {
        self.server.address.split('/').next().unwrap()
    }

    pub fn token(&self) -> &str {
        self.server.address.split('/').next_back().unwrap()
    }

    /// A request of the page: a line of JSON, and a value behind it. The answer's status, JSON and value.
    pub fn call(&self, name: &str, head: &Value, value: &[u8]) -> (u16, Value, Vec<u8>) {
        let body = [head.to_string().as_bytes(), b"\n", value].concat();
        let path = format!("/{}/api/{name}", self.token());
        let answer = ask(self.host(), "POST", &path, &[("Host", self.host())], &body);
        let end = answer.body.iter().position(|byte| *byte == b'\n').unwrap_or_else(|| panic!("{answer:?}"));
        let (line, value) = (&answer.body[..end], &answer.body[end + 1..]);
        (answer.status, serde_json::from_slice(line).unwrap(), value.to_vec())
    }

    /// The value of a key; `None` if it does not exist.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let (status, head, value) = self.call("get", &json!({ "bucket": bucket, "key": key }), b"");
        assert_eq!(status, 200, "{head}");
        head["version"].is_string().then_some(value)
    }

    /// Sets a key, whatever it has.
    #[track_caller]
    pub fn put(&self, bucket: &str, key: &str, value: &[u8]) {
        let seen = self.call("get", &json!({ "bucket": bucket, "key": key, "limit": 0 }), b"").1["version"].take();
        let (status, said, _) = self.call("set", &json!({ "bucket": bucket, "key": key, "seen": seen }), value);
        assert_eq!(status, 200, "{said}");
    }
}

/// A request to a server, with these headers and no others but the length.
pub fn ask(server: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut connection = TcpStream::connect(server).unwrap();
    // HTTP/1.0 has no chunks.
    let mut head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(&[head.as_bytes(), b"\r\n", body].concat()).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("the answer has a head");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: answer[end + 4..].to_vec() }
}
