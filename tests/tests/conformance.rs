//! The conformance matrix: every generation against every artefact, with real servers. Exactly what
//! `tests/conformance/not-supported.json` lists is not supported, and the tables in the documentation say so.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::Memories;
use kvfuse_conformance::guests::{GUESTS, Guest, component};
use kvfuse_conformance::report::{cell, cell_of};
use kvfuse_conformance::target::{Kind, Target};
use kvfuse_servers::all::Servers;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::root;
use libtest_mimic::{Arguments, Trial};
use std::collections::HashMap;
use std::sync::Arc;

/// The artefacts, with the variables of the servers and the paths of their components.
fn artefacts(servers: Option<&Servers>) -> Result<Vec<Target>> {
    let variables: HashMap<_, _> = servers.map(Servers::variables).unwrap_or_default().into_iter().collect();
    let mut targets = Target::all()?;
    targets.retain(|target| target.store.is_some());
    let expanded = targets.into_iter().map(|mut target| {
        if let Kind::Component { component, .. } = &mut target.kind {
            *component = root().join(&*component).display().to_string();
        }
        // To list the tests it takes no servers.
        let variable = |name: &str| servers.map_or(Some(String::new()), |_| variables.get(name).cloned());
        target.expanded(variable).map_err(anyhow::Error::msg)
    });
    expanded.collect()
}

fn check(target: &Target, guest: &Guest) -> Result<()> {
    let run = kvfuse_conformance::run(guest, &component(guest, None)?, target)?;
    ensure!(run.unexpected.is_empty(), "not as it is promised:\n{}", run.unexpected.join("\n"));
    if run.not_offered.is_some() {
        return Ok(());
    }
    for name in ["README.md", "docs/conformance.md"] {
        let text = std::fs::read_to_string(root().join(name))?;
        let written = cell_of(&text, guest.title, &target.column());
        let (written, cell) = (written.with_context(|| format!("{name} has no such cell"))?, cell(&run));
        ensure!(written == cell, "{name} says {written:?} and it is {cell:?}; make conformance writes the tables");
    }
    Ok(())
}

/// What passes streams or pollables of the host cannot be made flat.
const NOT_FLAT: [&str; 4] = ["draft_eventual", "v0_1", "v0_1_consume_methods", "unversioned"];

/// Whether a guest is run: beside the asynchronous generations an artefact has the plain ones exactly as another one has them, so
/// of those one is enough. No other artefact has the asynchronous ones.
fn is_run(target: &Target, guest: &Guest) -> bool {
    match target.name.ends_with("-async") {
        true => guest.asynchronous || guest.name == "draft2",
        false => !guest.asynchronous || target.store == Some("files") && guest.name == "wasmcloud_0_2",
    }
}

fn check_flat(target: &Target, guest: &Guest, memories: Memories) -> Result<()> {
    match kvfuse_conformance::run_flat(guest, &component(guest, None)?, memories, target)? {
        Some(run) => ensure!(run.unexpected.is_empty(), "not as it is promised:\n{}", run.unexpected.join("\n")),
        None if NOT_FLAT.contains(&guest.name) || target.name.ends_with("-async") => {}
        // Nor can it be composed, where the artefact has the other shape of the generation.
        None => {
            let Kind::Component { component: path, .. } = &target.kind else { return Ok(()) };
            let composed = kvfuse_compose::compose(&component(guest, None)?, &std::fs::read(path)?);
            ensure!(composed.is_err(), "it is not made flat");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    // Much of the time goes into waiting for servers, and for lifetimes to end.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(3 * cores);
    let servers = if arguments.list { None } else { Some(Servers::start()) };
    let mut trials = Vec::new();
    for target in artefacts(servers.as_ref())?.into_iter().map(Arc::new) {
        for guest in GUESTS.iter().filter(|guest| is_run(&target, guest)) {
            // Every generation over files, and a plain and an asynchronous one over every store; the others in `make test-long`.
            let asynchronous = target.name.ends_with("-async");
            let own = target.name.ends_with(&guest.name.replace('_', "-"));
            let short = match (target.store, guest.name) {
                (Some("files"), _) => target.name == "files" || asynchronous || own,
                (Some(store), "draft2") => target.name == store,
                (_, name) => asynchronous && name == "wasmcloud_0_2",
            };
            let name = format!("{}_does_with_{}_exactly_what_it_promises", target.name, guest.name);
            let target = target.clone();
            let flat = target.clone();
            let single = target.clone();
            let trial = Trial::test(name.clone(), move || {
                let _watchdog = Watchdog::of(&name);
                Ok(check(&target, guest)?)
            });
            trials.push(trial.with_ignored_flag(!short));
            // The adapter is the same over every store and artefact: once over files here, over the others in `make test-long`.
            let long = flat.name != "files" && flat.name != format!("files-{}", guest.name.replace('_', "-"));
            let name = format!("{}_made_flat_does_with_{}_exactly_what_it_promises", flat.name, guest.name);
            let trial = Trial::test(name.clone(), move || {
                let _watchdog = Watchdog::of(&name);
                Ok(check_flat(&flat, guest, Memories::Two)?)
            });
            trials.push(trial.with_ignored_flag(long));
            // How the adapter gets at memories has nothing to do with the store.
            if single.store == Some("files") && !NOT_FLAT.contains(&guest.name) {
                let name = format!("{}_made_flat_with_one_memory_does_with_{}_the_same", single.name, guest.name);
                let trial = Trial::test(name.clone(), move || {
                    let _watchdog = Watchdog::of(&name);
                    Ok(check_flat(&single, guest, Memories::One)?)
                });
                // Of one generation whose functions wait, and one whose functions do not.
                let short = matches!(guest.name, "draft2" | "wasmcloud_0_2");
                trials.push(trial.with_ignored_flag(long || !short));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // They stop when this is dropped, and leaving the process drops nothing.
    drop(servers);
    conclusion.exit()
}
