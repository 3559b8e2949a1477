//! The result of `kvfuse fuse` behaves like those of `wasm-tools compose` and `wac plug` for the same two files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use support::{Folder, built, wasmtime};
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};
use wasm_compose::{composer::ComponentComposer, config::Config};

/// `wac plug kv_demo.wasm --plug keyvalue.wasm -o OUT`
fn wac_plug(socket: Vec<u8>, plug: Vec<u8>) -> Vec<u8> {
    let mut graph = CompositionGraph::new();
    let plug = Package::from_bytes("test:provider", None, plug, graph.types_mut()).unwrap();
    let plug = graph.register_package(plug).unwrap();
    let socket = Package::from_bytes("test:consumer", None, socket, graph.types_mut()).unwrap();
    let socket = graph.register_package(socket).unwrap();
    wac_graph::plug(&mut graph, vec![plug], socket).unwrap();
    graph.encode(EncodeOptions::default()).unwrap()
}

/// `wasm-tools compose kv_demo.wasm -d keyvalue.wasm -o OUT`
fn compose(folder: &Folder) -> Vec<u8> {
    let root = folder.path("kv_demo.wasm");
    let config = Config { definitions: vec![folder.path("keyvalue.wasm")], ..Config::default() };
    ComponentComposer::new(&root, &config).compose().unwrap()
}

/// The output and the exit code of each of a series of runs, with a directory of its own.
fn behaviour(component: &[u8]) -> Vec<(Option<i32>, String, String)> {
    let folder = Folder::new();
    folder.write("app.wasm", component);
    std::fs::create_dir(folder.path("data")).unwrap();
    let runs: &[&[&str]] = &[
        &[],
        &[],
        &["set", "plain", "a value"],
        &["get", "plain"],
        &["get", "nothing"],
        &["incr", "counter", "-5"],
        &["incr", "plain"],
        &["cas", "plain", "other", "--expect", "wrong"],
        &["--bucket", ":memory:", "exists", "plain"],
        &["delete", "plain"],
        &["exists", "plain"],
    ];
    let run = |arguments: &&[&str]| {
        let ran = folder.run(wasmtime().args(["run", "--dir", "data::/", "app.wasm"]).args(*arguments));
        (ran.code, ran.stdout, ran.stderr)
    };
    runs.iter().map(run).collect()
}

#[test]
fn three_composers_make_components_that_behave_alike() {
    let folder = Folder::new();
    let (consumer, provider) = (built("kv_demo.wasm"), built("keyvalue.wasm"));
    folder.write("kv_demo.wasm", &consumer).write("keyvalue.wasm", &provider);
    folder.kvfuse(&["fuse", "kv_demo.wasm", "-o", "ours.wasm"]).ok();
    let ours = behaviour(&folder.read("ours.wasm"));
    assert_eq!(ours[0].0, Some(0), "{}", ours[0].2);
    assert!(ours[1].1.contains("has run 2 times"), "{}", ours[1].1);
    assert_eq!(ours[3].1, "a value");
    assert_eq!(ours[5].1, "-5\n");

    assert_eq!(ours, behaviour(&compose(&folder)));
    assert_eq!(ours, behaviour(&wac_plug(consumer, provider.clone())));

    // And the other way round: the result of another composer is recognised.
    folder.write("plugged.wasm", wac_plug(built("kv_demo.wasm"), provider));
    let said = folder.kvfuse(&["inspect", "plugged.wasm"]).ok();
    assert!(said.contains("inside: the store files (keyvalue.wasm)"), "{said}");
}
