//! The provider that holds every store: all cases of the conformance suite, of every generation, pass in a bucket that is
//! routed to any of the stores. Routes know no generation, so `make test` takes one of them, for all stores, and `make test-long` the others, each for one store.

use anyhow::{Context, Result, ensure};
use kvfuse_conformance::Runner;
use kvfuse_conformance::fused::Fused;
use kvfuse_conformance::report::Outcome;
use kvfuse_conformance::target::{Grant, Target};
use kvfuse_servers::all::Servers;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_table::{GENERATIONS, Generation, STORES, Store, TOGETHER};
use kvfuse_tests::component;
use kvfuse_tests::lean::example;
use std::time::Duration;

/// All generations run at the same time, beside other tests, and DynamoDB is one thread here.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn every_case_of_a_generation_passes_in_a_bucket_that_is_routed_to_each_store() -> Result<()> {
    each_generation_on(|generation, _| generation == 0)
}

#[test]
#[ignore = "long: make test-long"]
fn every_case_of_every_generation_passes_in_a_bucket_that_is_routed_to_some_store() -> Result<()> {
    let count = stores().count();
    each_generation_on(|generation, store| generation > 0 && generation % count == store)
}

fn stores() -> impl Iterator<Item = &'static Store> {
    STORES.iter().filter(|store| store.is_in_together())
}

/// Runs the cases where `is_run` takes the numbers of the generation and of the store.
fn each_generation_on(is_run: impl Fn(usize, usize) -> bool) -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let servers = Servers::start();
    // The names of all settings are different: one environment serves all stores.
    let environment: Vec<_> = stores()
        .flat_map(|store| store.tested_with)
        .map(|(name, value)| (name.to_string(), servers.expand(value, "{case}")))
        .collect();
    let target = Target::of_arguments("", &environment, &[Grant::Directory, Grant::Network, Grant::Http], "");
    std::thread::scope(|scope| {
        let target = &target;
        let start = |(number, generation): (usize, &'static Generation)| {
            let stores = stores().enumerate().filter(|(store, _)| is_run(number, *store)).map(|(_, store)| store);
            let stores: Vec<_> = stores.collect();
            let any = !stores.is_empty();
            any.then(|| scope.spawn(move || check(generation, &stores, target).context(generation.title)))
        };
        let running: Vec<_> = GENERATIONS.iter().enumerate().filter_map(start).collect();
        running.into_iter().try_for_each(|check| check.join().expect("no panic"))
    })
}

fn check(generation: &Generation, stores: &[&Store], target: &Target) -> Result<()> {
    let mut artefacts = TOGETHER.artefacts();
    let artefact = artefacts.find(|artefact| artefact.generations().iter().any(|g| g.name == generation.name));
    let provider = component(&artefact.context("no artefact has this generation")?.name())?;
    let fused = Fused::new(&example(generation.name)?, &provider, target)?;
    for store in stores {
        // The bucket of a case is its first argument, and what `{case}` becomes.
        let routed = fused.with(("KEYVALUE_ROUTES", &format!("{{case}}={}", store.name)), PATIENCE);
        let cases = routed.run(&["--list"])?;
        ensure!(!cases.is_empty(), "no cases are listed");
        for (number, case) in cases.lines().enumerate() {
            let outcome = Outcome::parse(&routed.run(&[&format!("b{}-{number}", generation.name), case])?);
            // What a server cannot do alone, it cannot do here. A stream is that of another store then, which the bucket
            // refuses only when it is set.
            let fine = match &outcome {
                Outcome::Passed => true,
                Outcome::Unsupported(_) => !store.tested_with.is_empty(),
                Outcome::Failed(why) => !store.tested_with.is_empty() && why.contains("values as streams"),
            };
            ensure!(fine, "{} / {case}: {outcome:?}", store.name);
        }
    }
    Ok(())
}
