//! The conformance suite bites: on a provider with one thing broken, some case of each generation fails; and each case
//! fails on some broken provider, so none holds whatever happens.

use anyhow::{Context, Result, ensure};
use kvfuse_conformance::Runner;
use kvfuse_conformance::fused::Fused;
use kvfuse_conformance::report::Outcome;
use kvfuse_conformance::target::{Grant, Target};
use kvfuse_tests::lean::{example, from_core, target};
use std::collections::BTreeSet;
use std::time::Duration;

#[path = "../mutants/src/names.rs"]
mod names;

/// A case that waits for what never comes is stopped.
const PATIENCE: Duration = Duration::from_secs(3);

/// Mutants that a generation's consumers cannot tell from the real thing.
fn harmless(generation: &str, mutant: &str) -> bool {
    let is = |beginnings: &[&str]| beginnings.iter().any(|beginning| mutant.starts_with(beginning));
    match generation {
        // No streams and no cache in these; compare-and-swap in one.
        "draft2" | "draft" | "wrpc" => {
            is(&["streams", "a streamed", "a value has no stream", "the size of a stream", "the cache", "the clock"])
                || generation != "draft2" && is(&["a swap", "a snapshot"])
        }
        // They read values as streams, and compare and swap in one call: then only two instances at once could tell.
        // Waiting for a clock that stands still takes its time: once is enough.
        _ => {
            is(&["get gives an empty", "get gives none", "get gives the value before", "get cuts values at 64 KiB"])
                || is(&["a swap always", "a swap of a key", "a swap goes by", "a swap that fails"])
                || generation != "v0_1" && is(&["the clock"])
                // An error is how it says that a key is not there.
                || generation == "unversioned" && is(&["get-many fails on a key that is not there"])
        }
    }
}

fn check(generation: &str) -> Result<()> {
    let provider = from_core(&target().join("wasm32-unknown-unknown/guest/keyvalue_mutant.wasm"))?;
    let target = Target::of_arguments("", &[], &[Grant::Directory], "");
    let fused = Fused::new(&example(generation)?, &provider, &target)?;
    let list = fused.run(&["--list"])?;
    let fails = |fused: &Fused, case: &str| match fused.run(&["bucket", case]) {
        Ok(text) => !matches!(Outcome::parse(&text), Outcome::Passed),
        Err(_) => true,
    };
    let without_reason: Vec<_> = list.lines().filter(|case| fails(&fused, case)).collect();
    ensure!(without_reason.is_empty(), "with nothing broken, these fail: {without_reason:#?}");

    // Cases that have not failed yet come first: so most of them have after one failure for each mutant.
    let mut idle: Vec<&str> = list.lines().collect();
    let mut unnoticed = Vec::new();
    let mutants = names::ALL.iter().filter(|mutant| !harmless(generation, mutant));
    let mutants: Vec<_> = mutants.map(|mutant| (mutant, fused.with(("KVFUSE_MUTANT", mutant), PATIENCE))).collect();
    for (mutant, broken) in &mutants {
        let tried: BTreeSet<_> = idle.iter().copied().collect();
        let others = list.lines().filter(|case| !tried.contains(case));
        match idle.iter().copied().chain(others).find(|case| fails(broken, case)) {
            Some(found) => idle.retain(|case| *case != found),
            None => unnoticed.push(mutant),
        }
    }
    idle.retain(|case| !mutants.iter().any(|(_, broken)| fails(broken, case)));
    ensure!(unnoticed.is_empty(), "no case notices: {unnoticed:#?}");
    ensure!(idle.is_empty(), "no mutant makes these fail: {idle:#?}");
    Ok(())
}

macro_rules! generations {
    ($($test:ident: $generation:literal),*) => {
        $(#[test]
        fn $test() -> Result<()> {
            check($generation).context($generation)
        })*
    };
}

generations! {
    the_guest_of_draft2_notices_every_mutant: "draft2",
    the_guest_of_draft_notices_every_mutant: "draft",
    the_guest_of_wrpc_notices_every_mutant: "wrpc",
    the_guest_of_early_draft_notices_every_mutant: "draft_eventual",
    the_guest_of_0_1_0_notices_every_mutant: "v0_1",
    the_guest_without_a_version_notices_every_mutant: "unversioned"
}
