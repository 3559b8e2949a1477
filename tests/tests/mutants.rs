//! The conformance suite bites: on a provider with one thing broken, some case of each generation fails; and each case
//! fails on some broken provider, so none holds whatever happens. A run is bad if anything is not as it was promised.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::World;
use kvfuse_conformance::Runner;
use kvfuse_conformance::fused::Fused;
use kvfuse_conformance::report::Outcome;
use kvfuse_conformance::target::{Grant, Target};
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_table::{GENERATIONS, Generation};
use kvfuse_tests::lean::{example, from_core, target};
use libtest_mimic::{Arguments, Trial};
use std::collections::BTreeSet;
use std::time::Duration;

#[path = "../mutants/src/names.rs"]
mod names;

/// A case that waits for what never comes is stopped.
const PATIENCE: Duration = Duration::from_secs(3);

/// Mutants that a generation's consumers cannot tell from the real thing.
fn harmless(generation: &Generation, swaps: bool, mutant: &str) -> bool {
    let is = |beginnings: &[&str]| beginnings.iter().any(|beginning| mutant.starts_with(beginning));
    // Only wasmCloud's have lifetimes, conditional writes, prefixes, and versions as text.
    if !generation.name.starts_with("wasmcloud")
        && is(&["a lifetime", "set keeps the lifetime", "create", "a prefix", "a version"])
    {
        return true;
    }
    match generation.interface {
        // No streams and no cache in these; compare-and-swap in some.
        "store" => {
            is(&["streams", "a streamed", "a value has no stream", "the size of a stream", "the cache", "the clock"])
                || !swaps && is(&["a swap", "a snapshot"])
        }
        // No more than single keys and listings.
        "key-value" => is(&[
            "increment",
            "a swap",
            "a snapshot",
            "get-many",
            "set-many",
            "delete-many",
            "a batch",
            "streams",
            "a streamed",
            "a value has no stream",
            "the size of a stream",
            "the cache",
            "the clock",
        ]),
        // They read values as streams, and compare and swap in one call: then only two instances at once could tell.
        // Waiting for a clock that stands still takes its time: once is enough.
        _ => {
            is(&["get gives an empty", "get gives none", "get gives the value before", "get cuts values at 64 KiB"])
                || is(&["a swap always", "a swap of a key", "a swap goes by", "a swap that fails"])
                || generation.name != "v0_1" && is(&["the clock"])
                // An error is how it says that a key is not there.
                || generation.name == "unversioned" && is(&["get-many fails on a key that is not there"])
        }
    }
}

fn check(generation: &Generation) -> Result<()> {
    let provider = from_core(&target().join("wasm32-unknown-unknown/guest/keyvalue_mutant.wasm"))?;
    let guest = example(generation.name)?;
    let swaps = World::of(&guest)?.imports.iter().any(|item| item.functions.iter().any(|(name, _)| name == "swap"));
    let target = Target::of_arguments("", &[], &[Grant::Directory], "");
    let fused = Fused::new(&guest, &provider, &target)?;
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
    let mutants = names::ALL.iter().filter(|mutant| !harmless(generation, swaps, mutant));
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

/// How a run of the mutant ends, with what a store of the project promises: each line that is not as promised.
fn unexpected(mutant: &str, promised_by: &str) -> Result<Vec<String>> {
    const GENERATION: &str = "v0_1";
    let provider = from_core(&target().join("wasm32-unknown-unknown/guest/keyvalue_mutant.wasm"))?;
    let file = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    std::fs::write(file.path(), provider)?;
    let promise =
        Target::all()?.into_iter().find(|target| target.name == promised_by).context("no such store")?.promise;
    let variables = [("KVFUSE_MUTANT".to_string(), mutant.to_string())];
    let target = Target::of_arguments(&file.path().to_string_lossy(), &variables, &[Grant::Directory], "");
    let guest = GENERATIONS.iter().find(|known| known.name == GENERATION).context(GENERATION)?;
    let run = kvfuse_conformance::run(guest, &example(GENERATION)?, &Target { promise, ..target })?;
    ensure!(run.is_bad() != run.unexpected.is_empty(), "a run is bad if something is unexpected");
    Ok(run.unexpected)
}

/// A test's name, and the test.
type Named = (&'static str, fn() -> Result<()>);

/// The store on files passes values as streams, and Redis does not.
const PROMISES: &[Named] = &[
    ("a_run_in_which_everything_is_as_promised_is_good", || {
        let lines = unexpected("", "files")?;
        ensure!(lines.is_empty(), "{lines:#?}");
        Ok(())
    }),
    ("a_case_that_fails_makes_the_run_bad", || {
        let lines = unexpected("delete does nothing", "files")?;
        let line = lines.iter().find(|line| line.starts_with("delete removes the key and its value: it failed: "));
        ensure!(line.is_some(), "{lines:#?}");
        Ok(())
    }),
    ("a_case_that_is_supported_against_the_promise_makes_the_run_bad", || {
        let lines = unexpected("", "redis")?;
        ensure!(
            lines.len() == 8 && lines.iter().all(|line| line.ends_with("it passed, and is listed as not supported"))
        );
        Ok(())
    }),
    ("a_case_that_is_not_supported_against_the_promise_makes_the_run_bad", || {
        let lines = unexpected("streams are refused", "files")?;
        let refused = |line: &String| line.contains(": it is not supported, and not listed as that: ");
        ensure!(lines.len() == 6 && lines.iter().all(refused), "{lines:#?}");
        Ok(())
    }),
    ("an_error_of_a_stream_is_no_refusal_and_makes_the_run_bad", || {
        let lines = unexpected("streams cannot be made", "redis")?;
        let failed =
            lines.iter().filter(|line| line.ends_with("a stream into a value gave the error: no stream today"));
        ensure!(failed.count() == 6, "{lines:#?}");
        Ok(())
    }),
];

/// A test with a bound: epochs end a case that computes without end, and not one that waits in its host.
fn watched(name: String, holds: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name.clone(), move || {
        let _watchdog = Watchdog::of(&name);
        Ok(holds()?)
    })
}

fn main() {
    // A second shape is the same generation to a store, and so is wasmCloud's first version, which has the cases of the second.
    let same = |generation: &Generation| generation.instead_of.is_some() || generation.name == "wasmcloud_0_1";
    let first = GENERATIONS.iter().filter(|generation| !same(generation));
    let trials = first.map(|generation| {
        let name = format!("the_guest_of_{}_notices_every_mutant", generation.name);
        // One of the synchronous kind and one of the other; `make test-long` runs all.
        let long = !["draft2", "wasmcloud_0_2"].contains(&generation.name);
        watched(name, move || check(generation).context(generation.name)).with_ignored_flag(long)
    });
    let trials = trials.chain(PROMISES.iter().map(|(name, holds)| watched((*name).to_string(), holds)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
