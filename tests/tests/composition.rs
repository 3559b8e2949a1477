//! The three ways to fuse give components that behave alike.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::Interfaces;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::lean::{Instance, example};
use kvfuse_tests::{Command, Program, command_line, component};
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};
use wasmtime::component::Val;

/// What `wac plug` does, in-process.
fn wac_plug(socket: Vec<u8>, plug: Vec<u8>) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let plug = Package::from_bytes("kvfuse:provider", None, plug, graph.types_mut())?;
    let plug = graph.register_package(plug)?;
    let socket = Package::from_bytes("kvfuse:consumer", None, socket, graph.types_mut())?;
    let socket = graph.register_package(socket)?;
    wac_graph::plug(&mut graph, vec![plug], socket)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// The interfaces without their versions: wac merges versions, and wasm-compose keeps those of both parts.
fn interfaces(names: Vec<String>) -> Vec<String> {
    let mut names =
        sorted(names.into_iter().map(|name| name.split('@').next().unwrap_or_default().to_string()).collect());
    names.dedup();
    names
}

#[test]
fn wac_and_wasm_compose_make_components_that_behave_alike() -> Result<()> {
    let ours = component("kv_demo.fused")?;
    let plugged = wac_plug(component("kv_demo")?, component("keyvalue")?)?;
    let (ours_is, plugged_is) = (Interfaces::of(&ours)?, Interfaces::of(&plugged)?);
    assert_eq!(interfaces(ours_is.imports), interfaces(plugged_is.imports));
    assert_eq!(sorted(ours_is.exports), sorted(plugged_is.exports));
    let outcomes = [ours, plugged].map(|bytes| -> Result<_> {
        let (program, folder) = (Program::new(&bytes)?, tempfile::tempdir()?);
        let tour = Command::new(&[]).dir(folder.path(), "/");
        Ok([program.run(&tour)?, program.run(&tour)?, program.run(&Command::new(&["list"]).dir(folder.path(), "/"))?])
    });
    let [ours, plugged] = outcomes;
    let (ours, plugged) = (ours?, plugged?);
    assert_eq!(ours[1].status, Some(0), "{}", ours[1].stderr);
    assert!(ours[1].text().contains("2 times"));
    // Both tours say the same; the keys come in each store's own order.
    for (one, other) in ours.iter().zip(&plugged).take(2) {
        assert_eq!((one.status, one.text()), (other.status, other.text()));
    }
    let keys = |outcome: &kvfuse_tests::Outcome| sorted(outcome.text().lines().map(str::to_string).collect());
    assert_eq!(keys(&ours[2]), keys(&plugged[2]));
    Ok(())
}

#[test]
fn a_provider_whose_calls_wait_is_plugged_in_beside_what_its_consumer_imports_of_the_same_interfaces() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    // A handler: it imports the types of wasi:http of WASI 0.3 as well, as the provider does for etcd.
    let handler = example("visitors_wasmcloud")?;
    for provider in ["keyvalue-redis-async", "keyvalue-etcd-async"] {
        let ours = Interfaces::of(&kvfuse_compose::compose(&handler, &component(provider)?)?)?;
        let plugged = Interfaces::of(&wac_plug(handler.clone(), component(provider)?)?)?;
        assert_eq!(interfaces(ours.imports), interfaces(plugged.imports), "{provider}");
        assert_eq!(sorted(ours.exports), sorted(plugged.exports), "{provider}");
    }
    let etcd = Etcd::start(1, &[]);
    let folder = tempfile::tempdir()?;
    let fused = folder.path().join("fused.wasm");
    std::fs::write(&fused, wac_plug(example("many_wasmcloud")?, component("keyvalue-etcd-async")?)?)?;
    let mut command = command_line()?;
    command.args(["run", "-S", "http", "--env", &format!("KEYVALUE_ETCD_ENDPOINTS={}", etcd.endpoints())]);
    let output = command.arg(&fused).args(["get", "64", "64"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.trim().parse::<u64>().is_ok(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Calls of a consumer that exports functions which take and give buckets and errors of the store.
fn uses_exported_types(fused: &[u8]) -> Result<()> {
    const API: &str = "kvfuse:exporting/api";
    let folder = tempfile::tempdir()?;
    let mut instance = Instance::new(fused, &[], folder.path())?;
    let text = |text: &str| Val::String(text.into());
    let bytes = |bytes: &[u8]| Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect());
    let open = |instance: &mut Instance, name: &str| instance.call(API, "open", &[text(name)]);
    let ok = |value: Option<Val>| Val::Result(Ok(value.map(Box::new)));
    let some = |value: Val| Val::Option(Some(Box::new(value)));
    let Val::Result(Ok(Some(bucket))) = open(&mut instance, "bucket")? else { anyhow::bail!("no bucket") };
    let set = instance.call(API, "set", &[(*bucket).clone(), text("key"), bytes(b"value")])?;
    assert_eq!(set, ok(None));
    let Val::Result(Ok(Some(again))) = open(&mut instance, "bucket")? else { anyhow::bail!("no bucket") };
    instance.call("kvfuse:exporting/watcher", "on-set", &[*again, text("key"), bytes(b"seen")])?;
    for (key, value) in [("key", &b"value"[..]), ("seen key", b"seen")] {
        let got = instance.call(API, "get", &[(*bucket).clone(), text(key)])?;
        assert_eq!(got, ok(Some(some(bytes(value)))), "{key}");
    }
    let error = open(&mut instance, ":reserved:")?;
    ensure!(
        matches!(&error, Val::Result(Err(Some(error))) if matches!(&**error, Val::Variant(case, _) if case == "other"))
    );
    Ok(())
}

#[test]
fn a_consumer_that_exports_functions_on_the_stores_types_runs_fused_by_either() -> Result<()> {
    let consumer = example("exporting")?;
    uses_exported_types(&kvfuse_compose::compose(&consumer, &component("keyvalue")?)?).context("wasm-compose")?;
    uses_exported_types(&wac_plug(consumer, component("keyvalue")?)?).context("wac")
}

#[test]
fn a_fused_library_is_plugged_into_an_application_as_any_other_component() -> Result<()> {
    // What platforms do with the dependencies of an application, and with components that stand side by side.
    let library = kvfuse_compose::compose(&example("shelf")?, &component("keyvalue")?)?;
    let application = wac_plug(example("reader")?, library)?;
    let imports = Interfaces::of(&application)?.imports;
    assert!(imports.iter().all(|name| name.starts_with("wasi:") && !name.contains("keyvalue")), "{imports:?}");
    let folder = tempfile::tempdir()?;
    let run = |books: &[&str]| -> Result<String> {
        let mut instance = Instance::new(&application, books, folder.path())?;
        instance.call("wasi:cli/run@0.2.12", "run", &[])?;
        Ok(instance.output())
    };
    assert_eq!(run(&["emma", "ulysses", "emma"])?, "emma 1\nulysses 1\nemma 2\n");
    assert_eq!(run(&["emma"])?, "emma 3\n");
    Ok(())
}

#[test]
fn a_provider_of_every_store_is_plugged_in_and_goes_by_its_environment() -> Result<()> {
    let plugged = wac_plug(component("kv_demo")?, component("keyvalue-stores")?)?;
    let (program, folder) = (Program::new(&plugged)?, tempfile::tempdir()?);
    let command = |words: &[&str]| Command::new(words).dir(folder.path(), "/").network();
    let set = program.run(&command(&["--bucket", "carts", "set", "key", "value"]))?;
    set.succeeded()?;
    let routed = command(&["--bucket", "carts", "get", "key"]).env("KEYVALUE_ROUTES", "carts=redis");
    let refused = program.run(&routed)?;
    assert!(refused.stderr.contains("no server is configured"), "{}", refused.stderr);
    assert_eq!(program.run(&command(&["--bucket", "carts", "get", "key"]))?.text(), "value");
    // A label keeps what is written under it apart, whatever tool composed it.
    let labelled = command(&["--bucket", "carts", "get", "key"]).env("KEYVALUE_LABEL", "shop");
    assert_eq!(program.run(&labelled)?.status, Some(1));
    Ok(())
}

#[test]
fn the_fused_component_imports_no_key_value_and_nothing_that_its_parts_do_not() -> Result<()> {
    let fused = Interfaces::of(&component("kv_demo.fused")?)?;
    assert!(!fused.imports.iter().any(|name| name.contains("keyvalue")), "{:?}", fused.imports);
    let mut parts = Interfaces::of(&component("kv_demo")?)?.imports;
    parts.extend(Interfaces::of(&component("keyvalue")?)?.imports);
    assert!(fused.imports.iter().all(|name| parts.contains(name)), "{:?}", fused.imports);
    assert_eq!(fused.exports.len(), 1);
    assert!(fused.exports[0].starts_with("wasi:cli/run@0.2."), "{:?}", fused.exports);
    Ok(())
}

#[test]
fn every_artefact_imports_exactly_its_list() -> Result<()> {
    for artefact in kvfuse_table::shipped() {
        let list = artefact.imports().join("\n");
        kvfuse_compose::Allowed::parse(&list).check(&component(&artefact.name())?).context(artefact.name())?;
    }
    Ok(())
}

#[test]
fn components_that_do_not_fit_are_refused_with_both_sides_named() -> Result<()> {
    let error = kvfuse_compose::compose(&component("kv_demo")?, &component("kv_demo")?).unwrap_err().to_string();
    assert!(error.contains("exports nothing that the consumer imports"), "{error}");
    assert!(error.contains("wasi:keyvalue/store@0.2.0-draft2") && error.contains("wasi:cli/run"), "{error}");
    assert!(kvfuse_compose::compose(b"not wasm", &component("keyvalue")?).is_err());
    Ok(())
}
