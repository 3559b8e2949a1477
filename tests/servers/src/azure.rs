//! An emulator of Azure Tables, without a table.

use crate::process::{Process, emulator, free_port, program, wait_until};
use std::path::Path;
use tempfile::TempDir;

/// The account of every such emulator, and its key.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// azurite, which checks signatures. It has its data in memory, and writes them when it is stopped.
pub struct AzureTables {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl AzureTables {
    pub fn start() -> Self {
        let mut this = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), process: None };
        this.resume();
        this
    }

    /// Starts it again after [`AzureTables::stop`].
    pub fn resume(&mut self) {
        let main = emulator("azurite/node_modules/azurite/dist/src/table/main.js");
        let options =
            format!("--tableHost 127.0.0.1 --tablePort {} --silent --disableTelemetry --location .", self.port);
        let mut arguments = vec![main.display().to_string()];
        arguments.extend(options.split_whitespace().map(str::to_string));
        self.process = Some(Process::start(&program("node", "nodejs"), &arguments, self.folder.path()));
        wait_until("the emulator of Azure Tables listens", || {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(!self.process.as_mut().is_some_and(Process::has_ended), "the emulator ended; its log: {log}");
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of `KEYVALUE_AZURE_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops it, in the middle of what it does but with its data written.
    pub fn stop(&mut self) {
        self.process.take().expect("it runs").interrupt();
    }

    /// Suspends it, with its connections open, until [`AzureTables::thaw`].
    pub fn freeze(&self) {
        self.process.as_ref().expect("it runs").freeze();
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("it runs").thaw();
    }
}
