//! What platforms do with a provider or a fused component when they put an application together. Spin and wasmCloud do not
//! run here: these tests take the steps that their sources take.

use anyhow::{Context, Result, ensure};
use kvfuse_tests::lean::{Instance, example};
use kvfuse_tests::{Command, Program, component};
use std::path::Path;
use wac_graph::types::{Package, SubtypeChecker, WorldId};
use wac_graph::{CompositionGraph, NodeId};

/// Whether a dependency of this name, in an application's manifest, is for this import: `package`, `package@version` or
/// `package/interface`, with or without a version.
fn covers(dependency: &str, import: &str) -> bool {
    let (wanted, wanted_version) = dependency.split_once('@').map_or((dependency, None), |(name, v)| (name, Some(v)));
    let (name, version) = import.split_once('@').map_or((import, None), |(name, v)| (name, Some(v)));
    let package = name.split_once('/').map(|(package, _)| package);
    (name == wanted || package == Some(wanted)) && (wanted_version.is_none() || wanted_version == version)
}

fn instantiate(graph: &mut CompositionGraph, name: &str, bytes: Vec<u8>) -> Result<(WorldId, NodeId)> {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
    let world = package.ty();
    let package = graph.register_package(package)?;
    Ok((world, graph.instantiate(package)))
}

/// As Spin composes a component with its dependencies (`crates/compose` there): each import that a dependency's name covers
/// is the dependency's export of exactly that name, whose type has to be a subtype of the import's.
fn spin(application: Vec<u8>, dependencies: &[(&str, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let (world, application) = instantiate(&mut graph, "app", application)?;
    for (name, bytes) in dependencies {
        let (provided, dependency) =
            instantiate(&mut graph, name.split(['/', '@']).next().context("a name")?, bytes.clone())?;
        let imports = graph.types()[world].imports.clone();
        let covered: Vec<_> = imports.iter().filter(|(import, _)| covers(name, import)).collect();
        ensure!(!covered.is_empty(), "the dependency {name} matches no import");
        for (import, kind) in covered {
            let export = graph.types()[provided].exports.get(import);
            let export = *export.with_context(|| format!("{name} does not export {import}"))?;
            let mut cache = Default::default();
            SubtypeChecker::new(&mut cache).is_subtype(export, graph.types(), *kind, graph.types())?;
            let argument = graph.alias_instance_export(dependency, import)?;
            graph.set_instantiation_argument(application, import, argument)?;
        }
    }
    for export in graph.types()[world].exports.keys().cloned().collect::<Vec<_>>() {
        let node = graph.alias_instance_export(application, &export)?;
        graph.export(node, &export)?;
    }
    Ok(graph.encode(Default::default())?)
}

/// The library that counts how often a book was taken, with its store inside.
fn shelf() -> Result<Vec<u8>> {
    Ok(kvfuse_compose::compose(&example("shelf")?, &component("keyvalue")?)?)
}

fn reads(reader: &mut Instance) -> Result<String> {
    reader.call("wasi:cli/run@0.2.12", "run", &[])?;
    Ok(reader.output())
}

#[test]
fn a_provider_is_a_dependency_of_a_spin_application_in_place_of_spins_own_store() -> Result<()> {
    let name = "wasi:keyvalue@0.2.0-draft2";
    let application = Program::new(&spin(component("kv_demo")?, &[(name, component("keyvalue")?)])?)?;
    let folder = tempfile::tempdir()?;
    let run = |words: &[&str]| application.run(&Command::new(words).dir(folder.path(), "/"));
    run(&["set", "key", "value"])?.succeeded()?;
    assert_eq!(run(&["get", "key"])?.text(), "value");
    assert_eq!(run(&["incr", "visits", "41"])?.text(), "41\n");
    // Nor would a provider of another shape go unnoticed.
    let shape = component("keyvalue-draft2-optional-pairs")?;
    assert!(spin(component("kv_demo")?, &[(name, shape)]).is_err());
    Ok(())
}

#[test]
fn a_fused_library_is_a_dependency_of_a_spin_application() -> Result<()> {
    let application = spin(example("reader")?, &[("kvfuse:counting/shelf", shelf()?)])?;
    let folder = tempfile::tempdir()?;
    let run = |books: &[&str]| reads(&mut Instance::new(&application, books, folder.path())?);
    assert_eq!(run(&["emma", "ulysses", "emma"])?, "emma 1\nulysses 1\nemma 2\n");
    assert_eq!(run(&["emma"])?, "emma 3\n");
    Ok(())
}

#[test]
fn a_fused_library_stands_beside_another_component_in_a_wasmcloud_workload() -> Result<()> {
    let (data, nothing) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let run = |books: &[&str], data: &Path| -> Result<String> {
        // The volume is that of the library alone.
        let library = Instance::new(&shelf()?, &[], data)?;
        reads(&mut Instance::beside(library, &example("reader")?, books, nothing.path())?)
    };
    assert_eq!(run(&["emma", "ulysses", "emma"], data.path())?, "emma 1\nulysses 1\nemma 2\n");
    assert_eq!(run(&["emma"], data.path())?, "emma 3\n");
    ensure!(std::fs::read_dir(nothing.path())?.next().is_none(), "the other component's folder was written to");
    Ok(())
}
