//! Serving a component, by `kvfuse run` or `wasmtime serve`.

use super::{Folder, wasmtime};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far longer than anything here takes; what takes longer hangs. A component that contains an interpreter is compiled before its
/// address is said, which takes a minute beside other tests that do the same.
const PATIENCE: Duration = Duration::from_secs(240);

/// Serves a component on a free port until dropped.
pub struct Server {
    child: Child,
    /// Its lines. Several clients may use one server.
    stderr: Mutex<Receiver<String>>,
    pub address: String,
}

impl Server {
    /// `kvfuse run` with these arguments.
    pub fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
        Self::spawn(folder, command.args(["run", "--addr", "127.0.0.1:0"]).args(arguments))
    }

    /// The line that `inspect` prints for this file, with options before the file and settings of the store.
    pub fn wasmtime(folder: &Folder, file: &str, options: &[&str], variables: &[(&str, &str)]) -> Self {
        let line = super::line(folder, file, variables);
        let mut command = wasmtime();
        let (file, arguments) = line.split_last().unwrap();
        command.args(arguments).args(["--addr", "127.0.0.1:0"]).args(options).arg(file);
        command.envs(variables.iter().copied());
        Self::spawn(folder, &mut command)
    }

    /// Any command that prints its address as the end of a line.
    pub fn spawn(folder: &Folder, command: &mut Command) -> Self {
        let mut child = command.current_dir(folder.path("")).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, stderr) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Read to the end, so that the server never stops at a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        let mut server = Self { child, stderr: Mutex::new(stderr), address: String::new() };
        let line = server.said("http://");
        server.address = line.trim().rsplit("http://").next().unwrap().trim_end_matches('/').to_string();
        server
    }

    /// What it writes to standard error, up to the line that contains this.
    #[track_caller]
    pub fn said(&self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            let line = self.stderr.lock().unwrap().recv_timeout(PATIENCE);
            all.push_str(&line.unwrap_or_else(|e| panic!("it did not say {text:?} ({e}), but {all:?}")));
            all.push('\n');
        }
        all
    }

    /// What it has written since.
    pub fn says(&self) -> String {
        self.stderr.lock().unwrap().try_iter().collect::<Vec<_>>().join("\n")
    }

    pub fn get(&self) -> String {
        self.try_get().unwrap()
    }

    pub fn try_get(&self) -> std::io::Result<String> {
        self.try_get_at("/")
    }

    fn try_get_at(&self, path: &str) -> std::io::Result<String> {
        self.try_ask("GET", path, "")
    }

    fn try_ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let mut connection = TcpStream::connect(&self.address)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        // HTTP/1.0 has no chunks.
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        write!(connection, "{method} {path} HTTP/1.0\r\nHost: here\r\n{length}\r\n{body}")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The status and the body of the answer to a request.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let answer = self.try_ask(method, path, body).unwrap();
        let parts = answer.split_once("\r\n\r\n");
        let status = parts.and_then(|(head, _)| head.split(' ').nth(1)?.parse().ok());
        let (status, (_, body)) =
            status.zip(parts).unwrap_or_else(|| panic!("{method} {path}: {answer:?}\n{}", self.says()));
        (status, body.to_string())
    }

    /// The number that is the body of the answer.
    #[track_caller]
    pub fn count(&self) -> u32 {
        self.count_at("/")
    }

    #[track_caller]
    pub fn count_at(&self, path: &str) -> u32 {
        let answer = self.try_get_at(path).unwrap();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        body.and_then(|body| body.parse().ok()).unwrap_or_else(|| panic!("{answer}\n{}", self.says()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
