//! The conformance suite bites: on a provider with one thing broken, some case of each generation fails; and each case
//! fails on some broken provider, so none holds whatever happens.

use anyhow::{Context, Result, ensure};
use kvfuse_conformance::Runner;
use kvfuse_conformance::fused::Fused;
use kvfuse_conformance::report::Outcome;
use kvfuse_conformance::target::Target;
use kvfuse_tests::lean::{example, from_core, target};
use std::collections::BTreeSet;
use std::time::Duration;

#[path = "../mutants/src/names.rs"]
mod names;

/// A case that waits for what never comes is stopped.
const PATIENCE: Duration = Duration::from_secs(3);

/// Mutants that a generation cannot tell from the real thing, because it lacks the function or leaves it open.
fn harmless(generation: &str, mutant: &str) -> bool {
    let _ = (generation, mutant);
    false
}

fn check(generation: &str) -> Result<()> {
    let provider = from_core(&target().join("wasm32-unknown-unknown/guest/keyvalue_mutant.wasm"))?;
    let fused =
        Fused::new(&example(generation)?, &provider, &Target::of_arguments("", &[], &["directory".into()], "")?)?;
    let list = fused.run(&["--list"])?;
    let cases: Vec<&str> = list.lines().collect();
    let fails = |fused: &Fused, case: &str| match fused.run(&["bucket", case]) {
        Ok(text) => !matches!(Outcome::parse(&text), Outcome::Passed),
        Err(_) => true,
    };
    let sound: Vec<_> = cases.iter().filter(|case| fails(&fused, case)).collect();
    ensure!(sound.is_empty(), "with nothing broken, these fail: {sound:#?}");
    let mut biting = BTreeSet::new();
    let mut unnoticed = Vec::new();
    for mutant in names::ALL.iter().filter(|mutant| !harmless(generation, mutant)) {
        let broken = fused.with(("KVFUSE_MUTANT", mutant), PATIENCE);
        let failed: Vec<_> = cases.iter().filter(|case| fails(&broken, case)).collect();
        if failed.is_empty() {
            unnoticed.push(*mutant);
        }
        biting.extend(failed);
    }
    let idle: Vec<_> = cases.iter().filter(|case| !biting.contains(case)).collect();
    ensure!(unnoticed.is_empty() && idle.is_empty(), "unnoticed: {unnoticed:#?}\ncases that nothing broke: {idle:#?}");
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
