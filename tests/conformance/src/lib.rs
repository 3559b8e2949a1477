//! Runs the conformance suite of wasi:keyvalue: guests, one per generation of the interface, against targets, which are
//! provider components to fuse the guests with, or hosts that implement the interface themselves.
//!
//! | file | what it does |
//! |---|---|
//! | [`guests`] | the generations and their guests; that none is forgotten |
//! | [`target`] | what the guests run against, artefacts and the hosts of `hosts.json` |
//! | [`fused`] | one case in a fused component, in wasmtime as a library |
//! | [`command`] | one case under a host's command line |
//! | [`report`] | what came out: for people, as JSON, and as the table in the documentation |

pub mod command;
pub mod fused;
pub mod guests;
pub mod report;
pub mod target;

use anyhow::{Context, Result};
use report::{CaseReport, Outcome, Run};
use std::path::Path;
use target::{Kind, Target};

/// Something that can run a guest.
pub trait Runner {
    /// Runs it with these arguments on a store with nothing in it, and gives what it wrote to standard output.
    ///
    /// # Errors
    /// A trap, an exit that is no success, or no end in time.
    fn run(&self, arguments: &[&str]) -> Result<String>;
}

/// Runs every case of one guest against one target.
///
/// # Errors
/// If the suite itself is at fault: the guest cannot be read, or lists no cases.
pub fn run(guest: &guests::Guest, folder: &Path, root: &Path, target: &Target) -> Result<Run> {
    let component = guests::component(guest, folder)?;
    let runner: Result<Box<dyn Runner>> = match &target.kind {
        Kind::Component { component: provider, .. } => {
            let path = root.join(provider);
            let provider = std::fs::read(&path).with_context(|| path.display().to_string())?;
            fused::Fused::new(&component, &provider, target).map(|r| Box::new(r) as _)
        }
        Kind::Command { command } => command::Host::new(&component, command).map(|r| Box::new(r) as _),
    };
    let listed = runner.and_then(|runner| runner.run(&["--list"]).map(|cases| (runner, cases)));
    let (runner, listed) = match listed {
        Ok(listed) => listed,
        // What does not offer the generation at all: the guest does not fuse with it or does not start.
        Err(error) => return Ok(Run::none(target, guest, &format!("{error:#}"))),
    };
    let names: Vec<&str> = listed.lines().collect();
    anyhow::ensure!(!names.is_empty(), "the guest {} lists no cases", guest.name);
    let cases = names.iter().enumerate().map(|(number, name)| {
        let outcome = match runner.run(&[&target.bucket(number), name]) {
            Ok(text) => Outcome::parse(&text),
            Err(error) => Outcome::Failed(report::one_line(&format!("{error:#}"))),
        };
        CaseReport { name: name.to_string(), outcome }
    });
    Ok(Run::of(target, guest, cases.collect()))
}
