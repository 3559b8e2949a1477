//! One file per command.

pub mod data;
pub mod fuse;
pub mod inspect;
#[cfg(not(target_family = "wasm"))]
pub mod progress;
#[cfg(not(target_family = "wasm"))]
pub mod repair;
pub mod run;
#[cfg(not(target_family = "wasm"))]
pub mod stat;
#[cfg(not(target_family = "wasm"))]
pub mod store;
pub mod stores;
#[cfg(not(target_family = "wasm"))]
pub mod upgrade;

use crate::refusal::{Refusal, Result, code};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes to standard output. It is not an error if the reader closes the pipe early, as `head` does.
pub fn print(text: &str) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(e) => Refusal::new("standard output", crate::input::reason(&e)).with_code(code::FILES).err(),
    }
}

pub fn print_json(value: &impl serde::Serialize) -> Result<ExitCode> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&(text + "\n")),
        Err(e) => Refusal::new("standard output", e.to_string()).err(),
    }
}

/// `app.wasm` becomes `app.fused.wasm`, beside it.
pub fn default_output(component: &Path) -> PathBuf {
    component.with_extension("fused.wasm")
}
