//! Every generation: all of them are views of one store, and every tool fuses them.

use anyhow::{Context, Result, ensure};
use indexmap::IndexMap;
use kvfuse_compose::World;
use kvfuse_conformance::Runner;
use kvfuse_conformance::fused::Fused;
use kvfuse_conformance::target::{Grant, Target};
use kvfuse_table::{Artefact, GENERATIONS, artefacts};
use kvfuse_tests::lean::{Instance, example};
use kvfuse_tests::{Command, Program, component, root};
use std::collections::BTreeSet;
use wac_graph::{CompositionGraph, EncodeOptions, types::BorrowedPackageKey, types::Package};
use wasmtime::component::Val;

/// The artefact that a generation's consumers are fused with.
fn provider(generation: &str) -> Result<Vec<u8>> {
    let exports = |artefact: &Artefact| artefact.generations().iter().any(|exported| exported.name == generation);
    component(&artefacts().find(exports).context("no artefact has this generation")?.name())
}

/// A case of the conformance suite, and how many calls of the interface that the middleware counts it makes.
fn case(generation: &str) -> (&'static str, u64) {
    match GENERATIONS.iter().find(|known| known.name == generation) {
        Some(generation) if generation.interface == "store" => {
            ("get-many gives the values in the order of the keys", 1)
        }
        // Open, set, get; and close, where stores are numbers.
        Some(generation) if generation.interface == "key-value" => {
            ("get gives the value that was set", if generation.name == "spin1" { 4 } else { 3 })
        }
        _ => ("increment gives the new value, each time", 5),
    }
}

/// Runs that case in a composition. Gives the instance, unless it is one of WASI 0.3.
fn passes(composition: &[u8], generation: &str) -> Result<Option<Instance>> {
    let case = case(generation).0;
    if GENERATIONS.iter().any(|known| known.name == generation && known.asynchronous) {
        let target = Target::of_arguments("", &[], &[Grant::Directory], "");
        let output = Fused::of(composition, &target)?.run(&["bucket", case])?;
        ensure!(output == "passed\n", "{output:?}");
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let mut instance = Instance::new(composition, &["bucket", case], folder.path())?;
    let ended = instance.call("wasi:cli/run@0.2.12", "run", &[])?;
    ensure!(ended == Val::Result(Ok(None)) && instance.output() == "passed\n", "{ended:?} {:?}", instance.output());
    Ok(Some(instance))
}

fn for_each_generation(check: impl Fn(&str) -> Result<()>) -> Result<()> {
    GENERATIONS.iter().try_for_each(|guest| check(guest.name).with_context(|| guest.name.to_string()))
}

#[test]
fn wasm_compose_fuses_a_consumer_of_each_generation() -> Result<()> {
    for_each_generation(|generation| {
        let fused = kvfuse_compose::compose(&example(generation)?, &provider(generation)?)?;
        passes(&fused, generation).map(drop)
    })
}

#[test]
fn wac_plug_fuses_a_consumer_of_each_generation() -> Result<()> {
    for_each_generation(|generation| {
        let mut graph = CompositionGraph::new();
        let plug = Package::from_bytes("kvfuse:provider", None, provider(generation)?, graph.types_mut())?;
        let plug = graph.register_package(plug)?;
        let socket = Package::from_bytes("kvfuse:consumer", None, example(generation)?, graph.types_mut())?;
        let socket = graph.register_package(socket)?;
        wac_graph::plug(&mut graph, vec![plug], socket)?;
        passes(&graph.encode(EncodeOptions::default())?, generation).map(drop)
    })
}

#[test]
fn a_wac_file_chains_a_consumer_of_each_generation_a_provider_and_a_middleware_that_counts_its_calls() -> Result<()> {
    for_each_generation(|generation| {
        let file = root().join("tests/consumers/wac").join(format!("{generation}.wac"));
        let source = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let document = wac_parser::Document::parse(&source)?;
        let mut packages = IndexMap::new();
        let mut add = |name, bytes| packages.insert(BorrowedPackageKey::from_name_and_version(name, None), bytes);
        add("kvfuse:provider", provider(generation)?);
        add("kvfuse:counting", example(&format!("counting_{generation}"))?);
        add("kvfuse:consumer", example(generation)?);
        let chained = document.resolve(packages)?.encode(EncodeOptions::default())?;
        let Some(mut instance) = passes(&chained, generation)? else { return Ok(()) };
        assert_eq!(instance.call("kvfuse:counting/calls", "total", &[])?, Val::U64(case(generation).1));
        Ok(())
    })
}

#[test]
fn what_is_written_through_one_generation_is_read_through_every_other_in_the_same_instance() -> Result<()> {
    let fused = kvfuse_compose::compose(&example("views")?, &provider("v0_1")?)?;
    let folder = tempfile::tempdir()?;
    let mut instance = Instance::new(&fused, &[], folder.path())?;
    instance.call("wasi:cli/run@0.2.12", "run", &[])?;
    assert_eq!(instance.output(), "64 of 64 agree\n");
    Ok(())
}

#[test]
fn a_call_whose_signature_has_no_error_cannot_fail_except_for_get_keys_which_traps() -> Result<()> {
    // Of each interface. What the cache's functions come to is in their futures, which have an error; all others make a
    // resource, give what the instance knows already, close what may not be open, wait, or write a line of a log.
    const KNOWN: &[&str] = &[
        "batch get-keys",
        "cache [method]future-exists-result.listen-to-future-exists-result",
        "cache [method]future-get-or-set-result.listen-to-future-get-or-set-result",
        "cache [method]future-get-result.listen-to-future-get-result",
        "cache [method]future-result.listen-to-future-result",
        "cache [method]vacancy.vacancy-fill",
        "cache delete",
        "cache exists",
        "cache get",
        "cache get-or-set",
        "cache set",
        "key-value close",
        "subscription pause",
        "subscription say",
        "types [method]incoming-value.size",
        "types [static]outgoing-value.new-outgoing-value",
        "wasi-cloud-error [method]error.trace",
        "wasi-keyvalue-error [method]error.trace",
    ];
    let mut found = BTreeSet::new();
    for artefact in artefacts() {
        for item in World::of(&component(&artefact.name())?)?.exports {
            let interface = item.name.split_once('/').map_or(&*item.name, |(_, name)| name);
            let interface = interface.split('@').next().unwrap_or_default().to_string();
            let without = item.functions.iter().filter(|(_, signature)| !signature.shape.contains("result<"));
            found.extend(without.map(|(name, _)| format!("{interface} {name}")));
        }
    }
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), KNOWN);
    Ok(())
}

#[test]
fn get_keys_of_a_bucket_that_cannot_be_listed_traps_and_says_why_on_standard_error() -> Result<()> {
    let fused = kvfuse_compose::compose(&example("unversioned")?, &provider("unversioned")?)?;
    let program = Program::new(&fused)?;
    let folder = tempfile::tempdir()?;
    let run = |case| program.run(&Command::new(&["bucket", case]).dir(folder.path(), "/"));
    assert_eq!(run("set gives a key that is there a new value")?.text(), "passed\n");

    for entry in std::fs::read_dir(folder.path().join("b-bucket"))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("s.")) {
            // A byte in the middle: the bytes behind it show that this is not a write that was cut short.
            let mut bytes = std::fs::read(&path)?;
            let middle = bytes.len() / 2;
            bytes[middle] = !bytes[middle];
            std::fs::write(&path, bytes)?;
        }
    }
    // The case passes if the answer is that there are no keys.
    let ended = run("an empty bucket lists no keys")?;
    assert_eq!((ended.status, ended.text()), (None, String::new()), "{}", ended.stderr);
    let reason = ended.stderr.lines().next().unwrap_or_default();
    assert!(reason.starts_with("wasi:keyvalue: get-keys: ") && reason.contains("s.0"), "{}", ended.stderr);
    assert!(reason.ends_with("; this generation of the interface has no error for get-keys, so it traps"), "{reason}");
    Ok(())
}
