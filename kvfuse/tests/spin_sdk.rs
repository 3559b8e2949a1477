//! Applications built with Spin's SDKs, as they come from the registries: fused and served, on files and on Redis. And consumers of
//! WASI 0.3 in Python.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::redis::Redis;
use support::server::Server;
use support::{Folder, built, line, wasmtime};

/// Everything that an application does with its store, in one that is empty.
#[track_caller]
fn keeps_a_shelf(server: &Server) {
    assert_eq!(server.ask("GET", "/", ""), (200, String::new()));
    assert_eq!(server.ask("GET", "/a", "").0, 404);
    assert_eq!(server.ask("PUT", "/a", "Grüße").0, 201);
    assert_eq!(server.ask("GET", "/a", ""), (200, "Grüße".into()));
    assert_eq!(server.ask("PUT", "/a", "again").0, 200);
    let large = "v".repeat(200_000);
    assert_eq!(server.ask("PUT", "/b/c", &large).0, 201);
    assert!(server.ask("GET", "/b/c", "") == (200, large));
    assert_eq!(server.ask("GET", "/", ""), (200, "a\nb/c".into()));
    assert_eq!(server.ask("DELETE", "/b/c", "").0, 204);
    assert_eq!(server.ask("DELETE", "/b/c", "").0, 204);
    assert_eq!(server.ask("GET", "/b/c", "").0, 404);
    for n in 0..300 {
        assert_eq!(server.ask("PUT", &format!("/many{n:03}"), "").0, 201);
    }
    let (_, keys) = server.ask("GET", "/", "");
    assert_eq!((keys.lines().count(), keys.lines().last()), (301, Some("many299")));
}

#[track_caller]
fn still_has_it(server: &Server) {
    assert_eq!(server.ask("GET", "/a", ""), (200, "again".into()));
    assert_eq!(server.ask("GET", "/", "").1.lines().count(), 301);
}

/// Serves an application on files and on Redis, by kvfuse and, fused with these options on files, by wasmtime.
#[track_caller]
fn is_fused_and_served(app: &str, package: &str, options: &[&str]) {
    let folder = Folder::new();
    folder.write("web.wasm", built(app));
    let kvfuse = |words: &[&str]| folder.kvfuse(&[&words[..1], options, &words[1..], &["web.wasm"]].concat()).ok();
    let said = kvfuse(&["inspect"]);
    assert!(said.starts_with("web.wasm: an HTTP handler of "), "{said}");
    assert!(said.contains(&format!("  key-value   {package}\n")), "{said}");
    assert!(!said.contains("beware"), "{said}");
    let start = |words: &[&str]| Server::start(&folder, &[options, words, &["web.wasm"]].concat());
    keeps_a_shelf(&start(&[]));
    still_has_it(&start(&[]));
    kvfuse(&["fuse"]);
    still_has_it(&Server::wasmtime(&folder, "web.fused.wasm", &[], &[]));
    // Other programs see the same keys.
    assert_eq!(folder.kvfuse(&["kv", "get", "a"]).ok(), "again");

    let redis = Redis::start(&[]);
    let url = format!("KEYVALUE_REDIS_URL={}", redis.url());
    keeps_a_shelf(&start(&["--store", "redis", "--env", &url]));
    still_has_it(&start(&["--store", "redis", "--env", &url]));
    assert_eq!(redis.command(&["GET", "default:a"]), "again");
}

#[test]
#[ignore = "needs the SDKs: make test-languages"]
fn an_application_for_spin_3_in_rust_is_fused_and_served() {
    is_fused_and_served("spin3-shelf.wasm", "fermyon:spin@2.0.0", &[]);
}

#[test]
#[ignore = "needs the SDKs: make test-languages"]
fn an_application_for_spin_4_in_rust_is_fused_and_served() {
    is_fused_and_served("spin4-shelf.wasm", "spin:key-value@3.0.0", &[]);
}

#[test]
#[ignore = "needs the SDKs: make test-languages"]
fn an_application_for_spin_4_in_python_imports_all_of_spin_and_is_fused_and_served_without_the_rest() {
    let folder = Folder::new();
    folder.write("web.wasm", built("spin-python.wasm"));
    let said = folder.kvfuse(&["inspect", "web.wasm"]).ok();
    assert!(
        said.contains("beware      wasmtime does not provide ") && said.contains("fermyon:spin/llm@2.0.0"),
        "{said}"
    );
    is_fused_and_served("spin-python.wasm", "spin:key-value@3.0.0", &["--unknown-imports-trap"]);
}

/// The command with a store as two other composers put it in.
fn composed_by_others(folder: &Folder, app: &str) -> [&'static str; 2] {
    use wac_graph::types::Package;
    folder.write("keyvalue-async.wasm", built("keyvalue-async.wasm"));
    let mut graph = wac_graph::CompositionGraph::new();
    let mut register = |name: &str, file: &str| {
        let package = Package::from_bytes(name, None, folder.read(file), graph.types_mut()).unwrap();
        graph.register_package(package).unwrap()
    };
    let (plug, socket) = (register("plug", "keyvalue-async.wasm"), register("socket", app));
    wac_graph::plug(&mut graph, vec![plug], socket).unwrap();
    folder.write("plugged.wasm", graph.encode(Default::default()).unwrap());
    let composed = kvfuse_compose::compose(&folder.read(app), &folder.read("keyvalue-async.wasm")).unwrap();
    folder.write("composed.wasm", composed);
    ["plugged.wasm", "composed.wasm"]
}

#[test]
#[ignore = "needs Python: make test-languages"]
fn a_command_of_wasi_0_3_in_python_for_wasmcloud_2_is_fused_and_run() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_python_waiting.wasm"));
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.starts_with("app.wasm: a command of "), "{said}");
    assert!(said.contains("  key-value   wasmcloud:keyvalue@0.2.0\n"), "{said}");
    let expected = |run: u32| format!("Grüße aus Python: run {run}, {}0 increments\n", run);
    assert_eq!(folder.kvfuse(&["run", "app.wasm"]).ok(), expected(1));
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let words = line(&folder, "app.fused.wasm", &[]);
    assert_eq!(folder.run(wasmtime().args(words)).ok(), expected(2));
    for (run, file) in [3, 4].into_iter().zip(composed_by_others(&folder, "app.wasm")) {
        assert_eq!(folder.run(wasmtime().args(["run", "--dir", "data::/", file])).ok(), expected(run), "{file}");
    }

    let redis = Redis::start(&[]);
    let variable = format!("KEYVALUE_REDIS_URL={}", redis.url());
    let ran = folder.kvfuse(&["run", "--store", "redis", "--env", &variable, "app.wasm"]);
    assert_eq!(ran.ok(), expected(1));
    assert_eq!(redis.command(&["GET", "default:python/runs"]), "1");
}

#[test]
#[ignore = "needs Python: make test-languages"]
fn a_handler_of_wasi_0_3_in_python_for_wasmcloud_2_is_fused_and_served() {
    let redis = Redis::start(&[]);
    let folder = Folder::new();
    folder.write("web.wasm", built("kv_python_handler.wasm"));
    let url = format!("KEYVALUE_REDIS_URL={}", redis.url());
    for store in [&["web.wasm"][..], &["--store", "redis", "--env", &url, "web.wasm"]] {
        let server = Server::start(&folder, store);
        let many = || (0..5).map(|_| server.count()).collect::<Vec<_>>();
        let mut counts: Vec<u32> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(many)).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        counts.sort_unstable();
        assert_eq!(counts, (1..=40).collect::<Vec<_>>());
    }
    folder.kvfuse(&["fuse", "web.wasm"]).ok();
    assert_eq!(Server::wasmtime(&folder, "web.fused.wasm", &[], &[]).count(), 41);
}
