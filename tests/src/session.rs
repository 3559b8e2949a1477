//! A running instance of the guest `remote`, which takes orders.

use crate::command_line;
use anyhow::{Context, Result};
use kvfuse_servers::process::wait_until;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// An instance under the wasmtime command line. It ends when this is dropped.
pub struct Session {
    child: Child,
    answers: Receiver<String>,
}

impl Session {
    /// Starts an instance of a fused component, with these variables (`NAME=value`) and the network, and with a
    /// directory as `/` if there is one.
    pub fn start(program: &Path, variables: &[&str], directory: Option<&Path>) -> Result<Self> {
        let mut command = command_line()?;
        command.args(["run", "-S", "inherit-network,allow-ip-name-lookup,http"]);
        for variable in variables {
            command.args(["--env", variable]);
        }
        command.args(directory.map(|directory| format!("--dir={}::/", directory.display())));
        let mut child = command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let (send, answers) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        Ok(Self { child, answers })
    }

    /// The instance's answer: the value, or the error.
    pub fn ask(&mut self, order: &str) -> Result<Result<String, String>> {
        writeln!(self.child.stdin.as_mut().context("its input")?, "{order}")?;
        // Far beyond any time limit set here: an instance that takes this long never answers.
        let answer = self.answers.recv_timeout(Duration::from_secs(60)).with_context(|| format!("{order:?} hangs"))?;
        match answer.split_at_checked(2) {
            Some(("= ", value)) => Ok(Ok(value.to_string())),
            Some(("! ", error)) => Ok(Err(error.to_string())),
            _ => anyhow::bail!("{order:?}: {answer:?}"),
        }
    }

    /// The value of an order that succeeds.
    pub fn value(&mut self, order: &str) -> Result<String> {
        self.ask(order)?.map_err(|error| anyhow::anyhow!("{order:?}: {error}"))
    }

    /// The error of an order that fails.
    pub fn error(&mut self, order: &str) -> Result<String> {
        match self.ask(order)? {
            Err(error) => Ok(error),
            Ok(value) => anyhow::bail!("{order:?} gave {value:?} and no error"),
        }
    }

    /// Asks until it succeeds.
    pub fn eventually(&mut self, order: &str) -> String {
        let mut value = String::new();
        wait_until(order, || {
            self.ask(order).expect("an answer").is_ok_and(|answer| {
                value = answer;
                true
            })
        });
        value
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
