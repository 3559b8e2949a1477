//! Servers that speak the protocol of S3, with a bucket called `keyvalue`. Both check signatures.

use crate::clock::SystemClock;
use crate::http::StdHttp;
use crate::moto;
use crate::process::{Process, data_folder, emulator, free_port, wait_until};
use kvfuse_http::aws::credentials::Credentials;
use kvfuse_http::aws::sign::{self, Scope, Signed};
use kvfuse_http::calendar;
use kvfuse_http::escape::escaped;
use kvfuse_transport::clock::Clock;
use kvfuse_transport::http::{HttpClient, HttpFault, Method, Request, Response, Scheme};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// What SeaweedFS knows of its users.
const USERS: &str = r#"{"identities":[{"name":"ann","credentials":[{"accessKey":"AKIDEXAMPLE","secretKey":"hunter2"}],
    "actions":["Admin","Read","Write","List","Tagging"]}]}"#;

/// One process with all of its parts.
const SEAWEEDFS: &str = "-logtostderr=true server -dir=. -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3 -s3.config=users.json \
    -s3.port.iceberg=0 -s3.port.lance=0 -filer.localSocket=filer.sock -s3.localSocket=s3.sock \
    -master.volumeSizeLimitMB=64 -volume.max=0 -master.telemetry=false -master.peers=none -s3.autoCreateBucket=false";

pub struct S3 {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
    /// Its name, and the secret.
    pub access_key: (String, String),
    /// Those of SeaweedFS.
    arguments: Vec<String>,
    /// What it leaves behind outside of its folder.
    sockets: Vec<String>,
}

impl S3 {
    /// Starts moto, which has its data in memory. What it checks and what it writes are two steps.
    pub fn moto() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        // Those below, after which all are checked.
        let process = Some(moto::start(port, "4", folder.path()));
        let mut this =
            Self { folder, port, process, access_key: Default::default(), arguments: Vec::new(), sockets: Vec::new() };
        this.wait_until_listening();
        moto::send(port, "s3", Method::Put, "/keyvalue", &[], "");
        this.access_key = moto::access_key(port, "s3");
        this
    }

    /// Starts SeaweedFS, which keeps its data when it is killed.
    pub fn seaweedfs() -> Self {
        let folder = data_folder();
        std::fs::write(folder.path().join("users.json"), USERS).unwrap();
        let access_key = ("AKIDEXAMPLE".to_string(), "hunter2".to_string());
        let (port, mut arguments) = (free_port(), Vec::new());
        arguments.extend(SEAWEEDFS.split_whitespace().map(str::to_string));
        arguments.push(format!("-s3.port={port}"));
        let mut sockets = Vec::new();
        for part in ["master", "volume", "filer", "s3"] {
            if part != "s3" {
                arguments.push(format!("-{part}.port={}", free_port()));
            }
            let port = free_port();
            arguments.push(format!("-{part}.port.grpc={port}"));
            sockets.push(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock"));
        }
        let mut this = Self { folder, port, process: None, access_key, arguments, sockets };
        this.resume();
        wait_until("the bucket is made", || {
            this.request(Method::Put, "", "", b"").is_ok_and(|made| made.status == 200)
        });
        this
    }

    /// Starts SeaweedFS again after [`S3::kill`].
    pub fn resume(&mut self) {
        self.process = Some(Process::start(&emulator("seaweedfs/bin/weed"), &self.arguments, self.folder.path()));
        self.wait_until_listening();
        // It listens before it can answer.
        wait_until("SeaweedFS answers", || {
            self.request(Method::Get, "", "", b"").is_ok_and(|answer| matches!(answer.status, 200 | 404))
        });
    }

    /// Sends a request about an object, or about all of them, as another client would.
    pub fn request(&self, method: Method, name: &str, query: &str, body: &[u8]) -> Result<Response, HttpFault> {
        let deadline = SystemClock.now() + Duration::from_secs(30);
        let (path, headers) = self.signed(method, name, query, &sign::hash(body));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let request = Request {
            method,
            scheme: Scheme::Http,
            authority: &format!("127.0.0.1:{}", self.port),
            path: &path,
            headers: &headers,
            body,
            connect_deadline: deadline,
            max_answer: 64 << 20,
        };
        StdHttp::default().exchange(&request, deadline)
    }

    /// Stores an object of this size, of which there are never more than the pieces in memory.
    pub fn upload(&self, name: &str, size: u64, content: impl Iterator<Item = Vec<u8>>) {
        let (path, headers) = self.signed(Method::Put, name, "", "UNSIGNED-PAYLOAD");
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut head = format!("PUT {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-length: {size}\r\n", self.port);
        head.push_str("connection: close\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        connection.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        content.for_each(|piece| connection.write_all(&piece).unwrap());
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// The path of a request with its query, and its headers.
    fn signed(&self, method: Method, name: &str, query: &str, hash: &str) -> (String, Vec<(&'static str, String)>) {
        let timestamp = calendar::timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let path = if name.is_empty() { "/keyvalue".to_string() } else { format!("/keyvalue/{}", escaped(name, true)) };
        let host = format!("127.0.0.1:{}", self.port);
        let headers = [("host", host.as_str()), ("x-amz-content-sha256", hash), ("x-amz-date", &timestamp)];
        let signed = Signed { method, path: &path, query, headers: &headers, body: hash };
        let scope = Scope { region: "us-east-1", service: "s3", timestamp: &timestamp };
        let (id, secret) = self.access_key.clone();
        let signature = sign::authorization(&signed, &scope, &Credentials { id, secret, token: None }).unwrap();
        let path = if query.is_empty() { path } else { format!("{path}?{query}") };
        let hash = ("x-amz-content-sha256", hash.to_string());
        (path, vec![("authorization", signature), hash, ("x-amz-date", timestamp)])
    }

    fn wait_until_listening(&mut self) {
        wait_until("the server of S3 listens", || {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(!self.process.as_mut().is_some_and(Process::has_ended), "the server ended; its log: {log}");
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of `KEYVALUE_S3_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/keyvalue", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Suspends it, with its connections open, until [`S3::thaw`].
    pub fn freeze(&self) {
        self.process.as_ref().expect("it runs").freeze();
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("it runs").thaw();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.kill();
        for socket in &self.sockets {
            let _ = std::fs::remove_file(socket);
        }
    }
}
