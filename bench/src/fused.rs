//! The fused guest as a contender of the curve. It is timed in one instance under the wasmtime command line; fresh
//! instances, host calls and memory are measured with wasmtime as a library.

use crate::counting;
use crate::guests::{Guest, Guests};
use anyhow::{Context, Result, ensure};
use kvfuse_curve::contender::{Contender, Counts, Open, Shape};
use kvfuse_tests::{Command, Program};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::rc::Rc;

pub struct Fused<'a> {
    name: &'static str,
    guests: &'a Guests,
    guest: Guest,
    program: Rc<Program>,
    /// What `KEYVALUE_MEMORY` is set to.
    memory: Option<&'static str>,
}

impl<'a> Fused<'a> {
    pub fn new(name: &'static str, guests: &'a Guests, guest: Guest) -> Result<Self> {
        Ok(Self { name, guests, guest, program: Rc::new(Program::new(&guests.bytes(guest)?)?), memory: None })
    }

    /// The same component with another `KEYVALUE_MEMORY`.
    pub fn with_memory(&self, name: &'static str, memory: &'static str) -> Self {
        Self { name, program: self.program.clone(), memory: Some(memory), ..*self }
    }

    /// Runs it under the library and returns the last number it printed and its peak memory.
    fn embedded(&self, folder: &Path, arguments: &[&str], input: &str) -> Result<(f64, usize)> {
        let mut command = Command::new(arguments).dir(folder, "/").input(input.as_bytes());
        if let Some(memory) = self.memory {
            command = command.env("KEYVALUE_MEMORY", memory);
        }
        let outcome = self.program.run(&command)?;
        outcome.succeeded()?;
        let text = outcome.text();
        let last = text.lines().last().context("it printed nothing")?;
        Ok((last.parse().with_context(|| format!("it printed {last:?}"))?, outcome.peak_memory))
    }

    fn session(&self, folder: &Path, shape: Shape, commands: &[&str]) -> Result<(f64, usize)> {
        self.embedded(folder, &["session", &shape.keys.to_string(), shape.sizes], &commands.join("\n"))
    }

    fn first_get(&self, folder: &Path, shape: Shape) -> Result<f64> {
        Ok(self.embedded(folder, &["first-get", "1", &shape.keys.to_string()], "")?.0)
    }
}

impl Contender for Fused<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn open(&self, folder: &Path, shape: Shape) -> Result<Box<dyn Open>> {
        let settings: Vec<String> = self.memory.iter().map(|bytes| format!("KEYVALUE_MEMORY={bytes}")).collect();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let arguments = ["session", &shape.keys.to_string(), shape.sizes];
        let mut command = self.guests.command(self.guest, folder, &settings, &arguments)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Box::new(Running { input: Some(input), output, child }))
    }

    fn fresh(&self, folder: &Path, shape: Shape) -> Result<Option<f64>> {
        self.first_get(folder, shape).map(Some)
    }

    fn calls(&self, folder: &Path, shape: Shape, command: Option<&str>) -> Result<Option<Counts>> {
        let Some(command) = command else {
            let (_, counts) = counting::count(|| self.first_get(folder, shape))?;
            return Ok(Some(counts));
        };
        let (_, mut counts) = counting::count(|| self.session(folder, shape, &[command, command]))?;
        let times: f64 = command.split_whitespace().nth(1).context("how often")?.parse()?;
        counts.values_mut().for_each(|count| *count /= times);
        Ok(Some(counts))
    }

    fn memory(&self, folder: &Path, shape: Shape, commands: &[&str]) -> Result<Option<usize>> {
        Ok(Some(self.session(folder, shape, commands)?.1))
    }
}

/// A guest that waits for commands.
struct Running {
    /// `None` once the guest has been asked to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Open for Running {
    fn run(&mut self, command: &str) -> Result<f64> {
        let input = self.input.as_mut().context("it has ended")?;
        writeln!(input, "{command}")
            .and_then(|()| input.flush())
            .with_context(|| format!("{command}: the guest ended"))?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "{command}: the guest failed");
        line.trim().parse().with_context(|| format!("{command}: it answered {line:?}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The guest ends when its input does.
        self.input = None;
        let _ = self.child.wait();
    }
}
