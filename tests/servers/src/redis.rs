//! A Redis or Valkey server.

use crate::certificates::Certificate;
use crate::process::{Process, free_port, program, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use tempfile::TempDir;

pub struct Redis {
    /// The program and its Debian package.
    program: (&'static str, &'static str),
    folder: TempDir,
    port: u16,
    /// The port with TLS, if there is one.
    tls_port: Option<u16>,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    /// Starts a server with further arguments such as `--requirepass`. It has an append-only file, so acknowledged
    /// writes survive a restart.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_program(("redis-server", "redis-server"), arguments)
    }

    /// Starts Valkey, which takes the same arguments.
    pub fn start_valkey(arguments: &[&str]) -> Self {
        Self::start_program(("valkey-server", "valkey-server"), arguments)
    }

    /// Starts Redis with a second port that takes TLS only.
    pub fn start_tls(certificate: &Certificate, arguments: &[&str]) -> Self {
        let port = free_port();
        let (number, file, key) =
            (port.to_string(), certificate.certificate.to_str().unwrap(), certificate.key.to_str().unwrap());
        let tls = ["--tls-port", &number, "--tls-cert-file", file, "--tls-key-file", key, "--tls-auth-clients", "no"];
        Self::start_on(("redis-server", "redis-server"), Some(port), &[&tls, arguments].concat())
    }

    fn start_program(program: (&'static str, &'static str), arguments: &[&str]) -> Self {
        Self::start_on(program, None, arguments)
    }

    fn start_on(program: (&'static str, &'static str), tls_port: Option<u16>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|argument| argument.to_string()).collect();
        let mut redis = Self { program, folder, port: free_port(), tls_port, arguments, process: None };
        redis.resume();
        redis
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The port with TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("it was started with TLS")
    }

    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port())
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts a killed server again, with its data.
    pub fn resume(&mut self) {
        let fixed = format!("--port {} --bind 127.0.0.1 --save --appendonly yes --appendfsync no", self.port);
        let mut arguments: Vec<String> = fixed.split(' ').map(str::to_string).collect();
        // The empty value of --save: no snapshots.
        let save = arguments.iter().position(|argument| argument == "--save").unwrap();
        arguments.insert(save + 1, String::new());
        arguments.extend(self.arguments.iter().cloned());
        let (name, package) = self.program;
        let mut process = Process::start(&program(name, package), &arguments, self.folder.path());
        wait_until(&format!("{name} answers"), || {
            assert!(!process.has_ended(), "{name} ended; its log: {}", self.log());
            self.try_command(&["PING"]).is_some_and(|answer| answer == "+PONG" || answer.starts_with("-NOAUTH"))
        });
        self.process = Some(process);
    }

    pub fn restart(&mut self) {
        self.kill();
        self.resume();
    }

    /// Suspends the process, with its connections open, until [`Redis::thaw`].
    pub fn freeze(&self) {
        self.process.as_ref().expect("the server runs").freeze();
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("the server runs").thaw();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Sends a command on a separate connection, as another client would. Returns the first line of the reply, or the
    /// content of a bulk string.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words).expect("redis-server answers")
    }

    /// A number of `INFO stats`, such as `total_connections_received`.
    pub fn statistic(&self, name: &str) -> u64 {
        let all = self.command(&["INFO", "stats"]);
        let value = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no number {name} in {all}"))
    }

    /// Sends commands on one separate connection, one after the other.
    pub fn commands(&self, all: &[&[&str]]) -> Vec<String> {
        commands(self.port, all).expect("redis-server answers")
    }

    fn try_command(&self, words: &[&str]) -> Option<String> {
        commands(self.port, &[words])?.pop()
    }
}

/// Sends commands to a server at a port, on one connection, one after the other. Of each reply, this returns the first line, or
/// the content of a bulk string.
pub fn commands(port: u16, all: &[&[&str]]) -> Option<Vec<String>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let one = |words: &&[&str]| {
        let mut text = format!("*{}\r\n", words.len());
        for word in *words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        (&stream).write_all(text.as_bytes()).ok()?;
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_string();
        match line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => {
                let mut content = vec![0; length + 2];
                reader.read_exact(&mut content).ok()?;
                content.truncate(length);
                Some(String::from_utf8_lossy(&content).into_owned())
            }
            None => Some(line),
        }
    };
    all.iter().map(one).collect()
}
