//! Runs every case of every guest under `tests/guests`, each in an instance and a directory of its own.
//!
//! A guest that is not named here fails the run, and so does one without cases.

use anyhow::{Context, Result, ensure};
use kvfuse_tests::{Command, Program, fused, root};
use libtest_mimic::{Arguments, Trial};
use std::collections::BTreeSet;
use std::sync::Arc;

const GUESTS: &[&str] = &["both", "draft", "draft2"];
/// Guests without cases, which another test runs: that test's source has to name them.
const WORKERS: &[(&str, &str)] =
    &[("files_worker", include_str!("files_processes.rs")), ("remote", include_str!("engine_faults/setup.rs"))];

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    every_guest_is_named()?;
    let mut trials = Vec::new();
    for guest in GUESTS {
        let program = Arc::new(Program::new(&fused(guest)?)?);
        for case in program.cases().context(guest)? {
            let program = program.clone();
            trials.push(Trial::test(format!("{guest}::{case}"), move || Ok(run(&program, &case)?)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit()
}

fn run(program: &Program, case: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    program.run(&Command::new(&[case]).dir(folder.path(), "/"))?.succeeded()
}

fn every_guest_is_named() -> Result<()> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("tests/guests/src/bin"))? {
        if let Some(name) = entry?.path().file_stem() {
            found.insert(name.to_string_lossy().into_owned());
        }
    }
    let workers = WORKERS.iter().filter(|(name, test)| test.contains(&format!("\"{name}\""))).map(|(name, _)| name);
    let named: BTreeSet<String> = GUESTS.iter().chain(workers).map(ToString::to_string).collect();
    ensure!(found == named, "tests/guests has {found:?}, and this test runs {named:?}");
    Ok(())
}
