//! Flat fusing against the ordinary composition: whatever the consumer does, both answer alike and trap alike.

#[path = "flat/changed.rs"]
mod changed;
#[path = "flat/hostile.rs"]
mod hostile;
#[path = "flat/lender.rs"]
mod lender;
#[path = "flat/liar.rs"]
mod liar;
#[path = "flat/pair.rs"]
mod pair;
#[path = "flat/programs.rs"]
mod programs;
#[path = "flat/random.rs"]
mod random;
#[path = "flat/sections.rs"]
mod sections;
#[path = "flat/strange.rs"]
mod strange;

use anyhow::{Context, Result, ensure};
use kvfuse_tests::component;
use kvfuse_tests::raw::Consumer;
use pair::Pair;
use programs::{Program, Tally};

/// Each generation, and the provider that has its shape.
const GENERATIONS: [(&str, &str); 10] = [
    ("draft", "keyvalue"),
    ("draft2", "keyvalue"),
    ("draft2_optional_pairs", "keyvalue-draft2-optional-pairs"),
    ("wrpc", "keyvalue"),
    ("draft_eventual", "keyvalue"),
    ("v0_1", "keyvalue"),
    ("v0_1_consume_methods", "keyvalue-v0-1-consume-methods"),
    ("unversioned", "keyvalue"),
    ("spin1", "keyvalue"),
    ("spin2", "keyvalue"),
];

/// How many programs of a kind are run for each generation; a soak sets more.
fn programs() -> u64 {
    std::env::var("FLAT_PROGRAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

fn first_seed() -> u64 {
    std::env::var("FLAT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn compare(generation: &str, provider: &str) -> Result<()> {
    let consumer = Consumer::of(generation)?;
    let pair = Pair::new(&consumer.component, &component(provider)?)?;
    let mut tally = Tally::default();
    for seed in first_seed()..first_seed() + programs() {
        for (hostile, calls) in [(0, 400), (25, 60), (150, 60)] {
            let mut program = Program::new(&consumer, pair.start(None)?, seed, hostile);
            program.run(calls, &mut tally).with_context(|| format!("seed {seed}, hostile {hostile}"))?;
        }
    }
    // What is compared has to be worth it.
    for raw in &consumer.functions {
        // Only a cache with a directory gives vacancies, and there the clock decides what is expired.
        let other = raw.name.contains("vacancy");
        ensure!(other || tally.returned.contains_key(&raw.name), "{} never returned: {tally:?}", raw.name);
    }
    ensure!(tally.trapped as u64 > programs(), "only {} programs trapped", tally.trapped);
    Ok(())
}

#[test]
fn random_programs_of_every_generation_answer_and_trap_as_they_do_composed() -> Result<()> {
    let compared = std::thread::scope(|scope| {
        let threads = GENERATIONS.map(|(generation, provider)| {
            scope.spawn(move || compare(generation, provider).with_context(|| generation.to_string()))
        });
        threads.map(|thread| thread.join().expect("no panic"))
    });
    compared.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(())
}

#[test]
fn a_component_that_nobody_would_make_is_refused_or_made_flat_and_valid_and_never_a_panic() -> Result<()> {
    changed::run(first_seed()..first_seed() + 5 * programs())
}

#[test]
fn a_provider_that_lies_is_found_out_as_it_is_composed() -> Result<()> {
    liar::compare(first_seed()..first_seed() + 20 * programs())
}

#[test]
fn random_interfaces_answer_and_trap_as_they_do_composed() -> Result<()> {
    strange::compare(first_seed()..first_seed() + programs())
}

#[test]
fn every_number_of_a_handle_does_what_it_does_composed() -> Result<()> {
    hostile::every_handle_number()
}

#[test]
fn a_handle_that_is_dropped_or_given_away_is_gone() -> Result<()> {
    hostile::a_handle_that_is_gone()
}

#[test]
fn an_allocator_that_misbehaves_does_the_harm_that_it_does_composed() -> Result<()> {
    hostile::every_allocator()
}

#[test]
fn values_and_keys_of_every_length_come_through_whole() -> Result<()> {
    hostile::every_length()
}

#[test]
fn even_nothing_has_to_be_at_a_place_that_is_there() -> Result<()> {
    hostile::nothing_at_every_place()
}

#[test]
fn what_is_not_utf_8_is_refused_and_everything_else_is_not() -> Result<()> {
    hostile::every_kind_of_text()
}

#[test]
fn the_hosts_handles_of_the_provider_are_out_of_reach() -> Result<()> {
    hostile::the_providers_own_handles()
}

#[test]
fn a_provider_gives_each_handle_once_and_none_that_it_does_not_have() -> Result<()> {
    lender::gives()
}

#[test]
fn a_provider_whose_allocator_gives_wrong_places_is_found_out_as_it_is_composed() -> Result<()> {
    liar::allocates()
}

#[test]
fn what_is_dropped_on_either_side_is_destroyed_once() -> Result<()> {
    lender::destroys()
}

#[test]
fn ten_thousand_handles_at_once_are_kept_apart() -> Result<()> {
    lender::many()
}

#[test]
fn a_provider_that_traps_ends_both() -> Result<()> {
    liar::traps()
}
