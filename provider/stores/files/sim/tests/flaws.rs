//! The proof bites: each deliberate mistake is noticed.

use kvfuse_files::Flaw;
use kvfuse_files_sim::world::{Plan, WEATHERS, Weather, run};

// `ParentNotSynced` has a schedule of its own in lost_split.rs, and those of real disks are in real_disks.rs.
const FLAWS: [Flaw; 19] = [
    Flaw::NoReadBack,
    Flaw::SealIgnored,
    Flaw::VersionReused,
    Flaw::TornHidesRest,
    Flaw::GhostUsed,
    Flaw::AbsenceBelieved,
    Flaw::RemovedEarly,
    Flaw::LastBaseCounts,
    Flaw::SealNotNamed,
    Flaw::ReplacedRemovedEarly,
    Flaw::WayNotSynced,
    Flaw::SuccessorNotSynced,
    Flaw::AcknowledgedEarly,
    Flaw::ValueNotSynced,
    Flaw::ValuesOfOthersRemoved,
    Flaw::ErrorBelieved,
    Flaw::AnchorNotSynced,
    Flaw::IndexNotSynced,
    Flaw::LateCounts,
];

#[test]
fn every_deliberate_mistake_is_noticed() {
    let mut missed = Vec::new();
    for flaw in FLAWS {
        let found = (0..3000).find_map(|seed| {
            WEATHERS.iter().filter(|weather| **weather != Weather::Large).find_map(|weather| {
                run(Plan { flaw: Some(flaw), ..Plan::new(*weather, seed, 15) }).err().map(|why| (seed, weather, why))
            })
        });
        match found {
            Some((seed, weather, why)) => {
                println!("{flaw:?}: {weather:?} {seed}: {:.100}", why.lines().next().unwrap_or_default());
            }
            None => missed.push(flaw),
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
