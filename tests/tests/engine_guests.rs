//! The conformance of every store over a server: the same cases that the file provider passes (`guests.rs`), fused with
//! each, on real servers.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::all::Servers;
use kvfuse_table::{Grant, STORES, Store};
use kvfuse_tests::{Command, Program, fused_with};
use libtest_mimic::{Arguments, Trial};
use std::sync::Arc;

/// The guests whose cases any store has to pass.
const GUESTS: &[&str] = &["both", "draft", "draft2"];

/// The cases with keys or values of 1 MiB and more. A store with a smaller limit refuses them, and says so.
const LARGE: &[&str] = &["sixteen_mebibytes_come_back", LARGE_KEY];

/// The case with a key of 1 MiB.
const LARGE_KEY: &str = "hostile_keys_are_all_different";

/// The cases that list keys. A store that cannot refuses, and says so.
const LISTING: &[(&str, &str)] = &[
    ("both", "what_one_generation_writes_the_other_reads"),
    ("draft", "hostile_keys_are_all_different"),
    ("draft", "listings_continue_by_number"),
    ("draft", "a_number_that_is_not_a_cursor_is_rejected_or_harmless"),
    ("draft", "batches_set_get_and_delete"),
    ("draft2", "a_value_is_set_read_found_and_deleted"),
    ("draft2", "hostile_keys_are_all_different"),
    ("draft2", MANY),
    ("draft2", "batches_set_get_and_delete"),
    ("draft2", "bucket_names_cannot_escape_or_collide"),
];

/// The case with a hundred thousand keys. Those are many for an emulator, so it is run with five thousand, and with twenty in
/// `make test-long`.
const MANY: &str = "many_keys_are_paged_while_another_handle_writes";

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let servers = Arc::new(Servers::start());
    let mut trials = Vec::new();
    for guest in GUESTS {
        for store in STORES.iter().filter(|store| !store.tested_with.is_empty()) {
            let program = Arc::new(Program::new(&fused_with(guest, store.artefact)?)?);
            for case in program.cases().context(guest)? {
                let name = format!("{}::{guest}::{case}", store.name);
                let trial = |name: String, keys: Option<&'static str>| {
                    let (program, servers, case, place) =
                        (program.clone(), servers.clone(), case.clone(), name.clone());
                    Trial::test(name, move || Ok(run(&program, store, &servers, (guest, &case), &place, keys)?))
                };
                if case == MANY {
                    trials.push(trial(format!("{name}_twenty_thousand"), Some("20000")).with_ignored_flag(true));
                    trials.push(trial(name, Some("5000")));
                } else {
                    trials.push(trial(name, None));
                }
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Not `exit`, which would leave the servers running.
    drop(servers);
    conclusion.exit()
}

/// Runs a case in a place of its own on the store's server. `keys` is how many [`MANY`] are.
fn run(
    program: &Program,
    store: &Store,
    servers: &Servers,
    (guest, case): (&str, &str),
    place: &str,
    keys: Option<&str>,
) -> Result<()> {
    let mut command = Command::new(&[case]);
    if store.grants().contains(&Grant::Network) {
        command = command.network();
    }
    if let Some(keys) = keys {
        command = command.env("KEYS", keys);
    }
    for (name, value) in store.tested_with {
        command = command.env(name, &servers.expand(value, place));
    }
    let outcome = program.run(&command)?;
    if !store.lists && LISTING.contains(&(guest, case)) {
        let refused = outcome.status != Some(0) && outcome.stderr.contains("listing keys is not supported");
        ensure!(refused, "status {:?}\n{}", outcome.status, outcome.stderr);
        return Ok(());
    }
    let key_too_long = store.longest_key.is_some() && case == LARGE_KEY;
    if key_too_long || store.largest.is_some_and(|largest| largest < 1 << 20) && LARGE.contains(&case) {
        let what = if key_too_long { "names of objects" } else { "items" };
        let refusal = format!("does not support {what} of more than");
        let refused = outcome.status != Some(0) && outcome.stderr.contains(&refusal);
        ensure!(refused, "status {:?}\n{}", outcome.status, outcome.stderr);
        return Ok(());
    }
    outcome.succeeded()
}
