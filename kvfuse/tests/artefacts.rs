//! Every artefact is composed by the tools that users have, from the file that is shipped, under its own name: composers
//! take the names of instances and packages from it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_compose::{World, is_keyvalue};
use kvfuse_table::{Artefact, Generation};
use std::path::PathBuf;
use support::{Folder, built, consumer_of, root};
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};
use wasm_compose::{composer::ComponentComposer, config::Config};

/// For each generation that the artefact exports, a folder with a consumer of it as `app.wasm`. An asynchronous one has the plain
/// generations of another one beside those.
fn consumers(artefact: &Artefact) -> Vec<Folder> {
    let consumer = |generation: &&Generation| {
        let folder = Folder::new();
        folder.write("app.wasm", consumer_of(&[generation.name]));
        folder
    };
    let its_own = |generation: &&&Generation| generation.asynchronous == artefact.asynchronous;
    artefact.generations().iter().filter(its_own).map(consumer).collect()
}

fn shipped(artefact: &Artefact) -> PathBuf {
    let path = root().join("components").join(artefact.file());
    assert!(path.is_file(), "{} is not built; make providers", path.display());
    path
}

/// That nothing is left of key-value, and that what the artefact imports is.
#[track_caller]
fn is_fused(composed: &[u8], artefact: &Artefact) {
    let imports: Vec<_> = World::of(composed).unwrap().imports.into_iter().map(|item| item.name).collect();
    assert!(!imports.iter().any(|name| is_keyvalue(name)), "{}: {imports:?}", artefact.name());
    let of_store = |name: &&str| imports.iter().any(|import| import == name);
    assert!(artefact.imports().iter().all(of_store), "{}: {imports:?}", artefact.name());
}

#[test]
fn wasm_tools_compose_takes_every_artefact_as_it_is_called() {
    let cases = kvfuse_table::shipped()
        .flat_map(|artefact| consumers(&artefact).into_iter().map(move |folder| (artefact, folder)));
    for (artefact, folder) in cases {
        // wasm-tools compose app.wasm -d components/ARTEFACT.wasm
        let config = Config { definitions: vec![shipped(&artefact)], ..Config::default() };
        let composed = ComponentComposer::new(&folder.path("app.wasm"), &config).compose();
        is_fused(&composed.unwrap_or_else(|e| panic!("{}: {e:#}", artefact.name())), &artefact);
    }
}

#[test]
fn wac_plug_takes_every_artefact_as_it_is_called() {
    let cases = kvfuse_table::shipped()
        .flat_map(|artefact| consumers(&artefact).into_iter().map(move |folder| (artefact, folder)));
    for (artefact, folder) in cases {
        // wac plug --plug components/ARTEFACT.wasm app.wasm, which names the packages by the files.
        let mut graph = CompositionGraph::new();
        let mut register = |name: &str, bytes| {
            let package = Package::from_bytes(name, None, bytes, graph.types_mut()).unwrap();
            graph.register_package(package).unwrap_or_else(|e| panic!("{name}: {e:#}"))
        };
        let plug = register(&format!("plug:{}", artefact.name()), std::fs::read(shipped(&artefact)).unwrap());
        let socket = register("socket:app", folder.read("app.wasm"));
        wac_graph::plug(&mut graph, vec![plug], socket).unwrap_or_else(|e| panic!("{}: {e:#}", artefact.name()));
        is_fused(&graph.encode(EncodeOptions::default()).unwrap(), &artefact);
    }
}

#[test]
fn a_composer_refuses_a_name_that_is_not_in_kebab_case() {
    // The reason for the names: should this pass some day, they may be what they like.
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm")).write("keyvalue_redis.wasm", built("keyvalue-redis.wasm"));
    let config = Config { definitions: vec![folder.path("keyvalue_redis.wasm")], ..Config::default() };
    let error = ComponentComposer::new(&folder.path("app.wasm"), &config).compose().unwrap_err();
    assert!(format!("{error:#}").contains("kebab"), "{error:#}");
}
