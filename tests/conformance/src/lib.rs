#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | file | what it does |
//! |---|---|
//! | [`guests`] | the generations and their guests |
//! | [`target`] | what the guests run against |
//! | [`fused`] | one case in a fused component, in wasmtime as a library |
//! | [`command`] | one case under a host's command line |
//! | [`expected`] | what the project's own artefacts promise |
//! | [`report`] | the results: for people, as JSON, and as the tables of the documentation |

#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod command;
pub mod expected;
pub mod fused;
pub mod guests;
pub mod report;
pub mod target;

use anyhow::{Context, Result};
use report::{CaseReport, Outcome, Run};
use target::{Kind, Target};

/// Something that can run a guest.
pub trait Runner {
    /// Runs the guest with these arguments on an empty store, and returns what it wrote to standard output.
    ///
    /// # Errors
    /// If the guest traps, exits unsuccessfully, or does not end in time.
    fn run(&self, arguments: &[&str]) -> Result<String>;
}

/// Runs every case of one guest against one target. A case that fails is part of the [`Run`].
///
/// ```no_run
/// use kvfuse_conformance::target::{Grant, Target};
/// use kvfuse_conformance::{guests, run};
///
/// let target = Target::of_arguments("my-provider.wasm", &[], &[Grant::Directory], "");
/// for guest in guests::GUESTS {
///     let run = run(guest, &guests::component(guest, None)?, &target)?;
///     println!("{}: {} cases", guest.title, run.cases.len());
/// }
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// # Errors
/// If the run itself cannot be done: the target's file cannot be read, or the guest lists no cases.
pub fn run(guest: &guests::Guest, component: &[u8], target: &Target) -> Result<Run> {
    let runner: Result<Box<dyn Runner>> = match &target.kind {
        Kind::Component { component: path, .. } => {
            fused::Fused::new(component, &provider(path)?, target).map(|r| Box::new(r) as _)
        }
        Kind::Command { command } => command::Host::new(component, command).map(|r| Box::new(r) as _),
    };
    cases(guest, target, runner)
}

/// Like [`run`], with the guest and the target's component fused into a flat one. `None` if that is not possible.
///
/// # Errors
/// Those of [`run`], and if the target is a host's command line.
pub fn run_flat(
    guest: &guests::Guest,
    component: &[u8],
    memories: kvfuse_compose::Memories,
    target: &Target,
) -> Result<Option<Run>> {
    let Kind::Component { component: path, .. } = &target.kind else {
        anyhow::bail!("the target {} is a host, not a provider component", target.name)
    };
    match fused::Fused::flat(component, &provider(path)?, memories, target) {
        Err(error) if error.is::<kvfuse_compose::NotFlat>() => Ok(None),
        runner => cases(guest, target, runner.map(|r| Box::new(r) as _)).map(Some),
    }
}

fn provider(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("the provider {path} cannot be read"))
}

fn cases(guest: &guests::Guest, target: &Target, runner: Result<Box<dyn Runner>>) -> Result<Run> {
    let listed = runner.and_then(|runner| runner.run(&["--list"]).map(|cases| (runner, cases)));
    let (runner, listed) = match listed {
        Ok(listed) => listed,
        // A target that does not offer the generation: the guest does not fuse with it or does not start.
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
