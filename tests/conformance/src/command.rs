//! One case under a host's command line.

use crate::Runner;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The longest that a case may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A host that runs components by a command.
pub struct Host {
    command: Vec<String>,
    guest: tempfile::NamedTempFile,
}

impl Host {
    /// Prepares a guest for a command in which `{guest}` becomes its path.
    ///
    /// # Errors
    /// If the guest cannot be written to a temporary file.
    pub fn new(guest: &[u8], command: &[String]) -> Result<Self> {
        let file = tempfile::Builder::new().suffix(".wasm").tempfile()?;
        std::fs::write(file.path(), guest)?;
        Ok(Self { command: command.to_vec(), guest: file })
    }
}

impl Runner for Host {
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let guest = self.guest.path().to_string_lossy();
        let mut words = self.command.iter().map(|word| word.replace("{guest}", &guest));
        let program = words.next().context("the command is empty")?;
        let mut child = Command::new(&program)
            .args(words)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{program} does not start"))?;
        let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
        let stdout = stdout.recv_timeout(PATIENCE);
        let status = if stdout.is_err() { stop(&mut child) } else { child.wait() }?;
        let stderr = stderr.recv().unwrap_or_default();
        match stdout {
            Err(_) => bail!("it did not end within {} seconds", PATIENCE.as_secs()),
            Ok(_) if !status.success() => bail!("{status}: {}", crate::report::one_line(&stderr)),
            Ok(text) => Ok(text),
        }
    }
}

fn stop(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    child.kill()?;
    child.wait()
}

/// Reads to the end in a thread of its own, so that neither pipe fills up while the other is read.
fn read(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks ends the text there.
            drop(pipe.read_to_end(&mut bytes));
        }
        drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receiver
}
