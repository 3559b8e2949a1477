//! The guests, fused and run under the wasmtime command line.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::{Interfaces, Memories, Supply, Wire, flatten};
use kvfuse_tests::{command_line, component};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The options that `kvfuse inspect` prints: without the machinery for asynchronous calls.
pub const LEAN: [&str; 4] = ["-S", "p3=n", "-W", "concurrency-support=n"];

/// Bounded staleness for as long as it can be.
pub const STALE: &str = "KEYVALUE_STALE_MS=3600000";

/// The timed consumers: fused with the file provider, fused with the floor, and alone for wasmtime's own host.
pub struct Guests {
    folder: TempDir,
}

/// Which component runs.
#[derive(Clone, Copy)]
pub enum Guest {
    /// `bench` over the file provider.
    Ours,
    /// The same, without the machinery for asynchronous calls: with the options that `kvfuse inspect` prints.
    OursLean,
    /// `bench` over a provider that answers from memory and does nothing else.
    Floor,
    /// The same with these options.
    FloorLean,
    /// `bench` and the file provider, made flat.
    OursFlat,
    /// The same with these options: what `kvfuse run` runs.
    OursFlatLean,
    /// `bench` and the provider that answers from memory, made flat.
    FloorFlat,
    /// `bench` alone: wasmtime's own `-S keyvalue` answers.
    Host,
    /// `swap` over the file provider.
    Swap,
    /// `calls`: single host calls.
    Calls,
}

impl Guests {
    pub fn build() -> Result<Self> {
        let (bench, swap, calls) =
            (kvfuse_tests::guest("bench")?, kvfuse_tests::guest("swap")?, kvfuse_tests::guest("calls")?);
        let (ours, floor) = (component("keyvalue")?, component("bench-floor")?);
        let fused = |consumer: &[u8], provider: &[u8]| kvfuse_compose::compose(consumer, provider);
        let this = Self { folder: tempfile::tempdir()? };
        for (guest, bytes) in [
            (Guest::OursFlat, flat(&bench, &ours, Memories::Two)?),
            (Guest::FloorFlat, flat(&bench, &floor, Memories::Two)?),
            (Guest::Ours, fused(&bench, &ours)?),
            (Guest::Floor, fused(&bench, &floor)?),
            (Guest::Host, bench),
            (Guest::Swap, fused(&swap, &ours)?),
            (Guest::Calls, calls),
        ] {
            std::fs::write(this.path(guest), bytes)?;
        }
        Ok(this)
    }

    fn path(&self, guest: Guest) -> PathBuf {
        let name = match guest {
            Guest::Ours | Guest::OursLean => "ours",
            Guest::Floor | Guest::FloorLean => "floor",
            Guest::OursFlat | Guest::OursFlatLean => "ours-flat",
            Guest::FloorFlat => "floor-flat",
            Guest::Host => "host",
            Guest::Swap => "swap",
            Guest::Calls => "calls",
        };
        self.folder.path().join(name).with_extension("wasm")
    }

    /// The bytes of a guest, to run it with wasmtime as a library.
    pub fn bytes(&self, guest: Guest) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.path(guest))?)
    }

    /// The command that runs a guest on a directory, with settings as `NAME=value`.
    pub fn command(&self, guest: Guest, store: &Path, settings: &[&str], arguments: &[&str]) -> Result<Command> {
        let mut command = command_line()?;
        command.arg("run").arg(format!("--dir={}::/", store.display()));
        if matches!(guest, Guest::Host) {
            command.args(["-S", "keyvalue"]);
        }
        if matches!(guest, Guest::OursLean | Guest::FloorLean | Guest::OursFlatLean) {
            command.args(LEAN);
        }
        for setting in settings {
            command.args(["--env", setting]);
        }
        command.arg(self.path(guest)).args(arguments);
        Ok(command)
    }

    /// Starts a guest.
    pub fn start(&self, guest: Guest, store: &Path, settings: &[&str], arguments: &[&str]) -> Result<Child> {
        Ok(self.command(guest, store, settings, arguments)?.stdout(Stdio::piped()).spawn()?)
    }

    /// Runs a guest and reads the number it prints, if it prints one.
    pub fn run(&self, guest: Guest, store: &Path, settings: &[&str], arguments: &[&str]) -> Result<Option<f64>> {
        number(self.start(guest, store, settings, arguments)?).with_context(|| arguments.join(" "))
    }
}

/// A flat component with so many memories in a module of its adapter.
pub fn flat(consumer: &[u8], provider: &[u8], memories: Memories) -> Result<Vec<u8>> {
    let exports = Interfaces::of(provider)?.exports;
    let wires = Interfaces::of(consumer)?.imports.into_iter().filter(|name| exports.contains(name));
    let wires = wires.map(|name| Wire { import: name.clone(), export: name }).collect();
    Ok(flatten(consumer, &[Supply { provider, wires, ..Supply::default() }], memories)?)
}

/// Waits for a guest and reads the number it printed.
pub fn number(child: Child) -> Result<Option<f64>> {
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the guest failed");
    let text = String::from_utf8(output.stdout)?;
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }
}
