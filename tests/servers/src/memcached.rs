//! A Memcached server.

use crate::process::{Process, free_port, program, wait_until};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use tempfile::TempDir;

pub struct Memcached {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Memcached {
    /// Starts a server with further arguments such as `-I 2m`.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|argument| argument.to_string()).collect();
        let mut server = Self { folder, port: free_port(), arguments, process: None };
        server.resume();
        server
    }

    /// Starts one that asks for a login.
    pub fn start_with_login(user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins");
        std::fs::write(&file, format!("{user}:{password}\n")).unwrap();
        let arguments = vec!["-Y".into(), file.to_str().unwrap().into()];
        let mut server = Self { folder, port: free_port(), arguments, process: None };
        server.resume();
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> String {
        format!("memcached://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts a killed server again, without its data.
    pub fn resume(&mut self) {
        // The user counts only if the tests run as root, whom Memcached refuses otherwise.
        let fixed = format!("-l 127.0.0.1 -p {} -U 0 -u root", self.port);
        let mut arguments: Vec<String> = fixed.split(' ').map(str::to_string).collect();
        arguments.extend(self.arguments.iter().cloned());
        let mut process = Process::start(&program("memcached", "memcached"), &arguments, self.folder.path());
        wait_until("memcached answers", || {
            assert!(!process.has_ended(), "memcached ended; its log: {}", self.log());
            self.try_command("version").is_some()
        });
        self.process = Some(process);
    }

    pub fn restart(&mut self) {
        self.kill();
        self.resume();
    }

    /// Suspends the process, with its connections open, until [`Memcached::thaw`].
    pub fn freeze(&self) {
        self.process.as_ref().expect("the server runs").freeze();
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("the server runs").thaw();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Sends a command on a separate connection, as another client would. Returns the first line of the reply; of a value, the
    /// line after it.
    pub fn command(&self, line: &str) -> String {
        self.try_command(line).expect("memcached answers")
    }

    /// A number of `stats`, such as `total_connections`.
    pub fn statistic(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("memcached answers");
        stream.write_all(b"stats\r\n").expect("memcached answers");
        let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| line != "END");
        let words = lines.map(|line| line.split(' ').map(str::to_string).collect::<Vec<_>>());
        let value = words.filter(|words| words[1] == name).find_map(|words| words[2].parse().ok());
        value.unwrap_or_else(|| panic!("no number {name}"))
    }

    fn try_command(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next()?;
        if first.starts_with("VA ") { lines.next() } else { Some(first) }
    }
}
