//! Consumers built for WASI 0.3 over the stores, which reach the host by WASI 0.2: with the plain generations, and with the
//! asynchronous ones of wasmCloud 2 and Spin 4.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use std::collections::BTreeSet;
use support::server::Server;
use support::{Folder, example, line, wasmtime};

#[test]
fn a_command_of_wasi_0_3_is_fused_and_run_by_kvfuse_and_by_wasmtime() {
    let folder = Folder::new();
    folder.write("app.wasm", example("runs_p3"));
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.starts_with("app.wasm: a command of "), "{said}");
    assert_eq!(folder.kvfuse(&["run", "app.wasm"]).ok(), "1\n");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert_eq!(folder.kvfuse(&["run", "app.fused.wasm"]).ok(), "2\n");
    // What makes calls cheaper for 0.2 is not for it.
    let line = line(&folder, "app.wasm", &[]);
    assert_eq!(line, ["run", "--dir", "data::/", "app.fused.wasm"]);
    assert_eq!(folder.run(wasmtime().args(line)).ok(), "3\n");
}

/// 32 clients, 10 requests each: every answer is another number, and together they are all of them.
#[track_caller]
fn counts_every_visitor(server: &Server) {
    let first = server.count();
    let clients = || (0..10).map(|_| server.count()).collect::<Vec<_>>();
    let counts: Vec<u32> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32).map(|_| scope.spawn(clients)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(counts.len(), 320);
    assert_eq!(counts.into_iter().collect::<BTreeSet<_>>(), (first + 1..=first + 320).collect());
    assert_eq!(server.count(), first + 321);
}

#[test]
fn a_handler_of_wasi_0_3_is_served_on_files_by_kvfuse_and_by_wasmtime() {
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors_p3"));
    let said = folder.kvfuse(&["inspect", "web.wasm"]).ok();
    assert!(said.starts_with("web.wasm: an HTTP handler of "), "{said}");
    assert!(!said.contains("--max-instance-reuse-count"), "an instance is kept without being asked: {said}");
    counts_every_visitor(&Server::start(&folder, &["web.wasm"]));

    folder.kvfuse(&["fuse", "web.wasm"]).ok();
    counts_every_visitor(&Server::wasmtime(&folder, "web.fused.wasm", &[], &[]));
}

#[test]
fn a_handler_of_wasi_0_3_is_served_on_redis_and_its_connections_live_on() {
    let redis = Redis::start(&[]);
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors_p3"));
    let url = format!("KEYVALUE_REDIS_URL={}", redis.url());
    counts_every_visitor(&Server::start(&folder, &["--store", "redis", "--env", &url, "web.wasm"]));
    let connections = redis.statistic("total_connections_received");
    assert!(connections < 322, "{connections} connections for 322 requests");
}

#[test]
fn a_command_for_wasmcloud_2_is_described_fused_and_run_by_kvfuse_and_by_wasmtime() {
    let folder = Folder::new();
    folder.write("app.wasm", example("runs_wasmcloud"));
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    let about = "wasmCloud's own, asynchronous (2026-07; wasmCloud 2.7)";
    assert!(said.contains(&format!("  key-value   wasmcloud:keyvalue@0.2.0\n              {about}\n")), "{said}");
    for store in kvfuse_table::STORES {
        assert!(said.contains(&format!(" {} ({}-async.wasm)\n", store.name, store.artefact)), "{}: {said}", store.name);
    }
    assert!(said.contains("  form        composed, and not flat: the consumer is asynchronous\n"), "{said}");

    assert_eq!(folder.kvfuse(&["run", "app.wasm"]).ok(), "1, the first was 1\n");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let said = folder.kvfuse(&["inspect", "app.fused.wasm"]).ok();
    assert!(said.contains("  key-value   inside: the store files (keyvalue-async.wasm)\n"), "{said}");
    assert_eq!(folder.kvfuse(&["run", "app.fused.wasm"]).ok(), "2, the first was 1\n");
    let line = line(&folder, "app.wasm", &[]);
    assert_eq!(line, ["run", "--dir", "data::/", "app.fused.wasm"]);
    assert_eq!(folder.run(wasmtime().args(line)).ok(), "3, the first was 1\n");
    // It is the store that every other component sees.
    assert_eq!(folder.kvfuse(&["kv", "get", "runs"]).ok(), "3");
}

#[test]
fn a_handler_for_wasmcloud_2_is_served_on_files_by_kvfuse_and_by_wasmtime() {
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors_wasmcloud"));
    counts_every_visitor(&Server::start(&folder, &["web.wasm"]));
    folder.kvfuse(&["fuse", "web.wasm"]).ok();
    counts_every_visitor(&Server::wasmtime(&folder, "web.fused.wasm", &[], &[]));
}

#[test]
fn a_handler_for_wasmcloud_2_is_served_on_redis_and_its_connections_live_on() {
    let redis = Redis::start(&[]);
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors_wasmcloud"));
    let url = format!("KEYVALUE_REDIS_URL={}", redis.url());
    counts_every_visitor(&Server::start(&folder, &["--store", "redis", "--env", &url, "web.wasm"]));
    let connections = redis.statistic("total_connections_received");
    assert!(connections < 322, "{connections} connections for 322 requests");
}

#[test]
fn a_handler_for_wasmcloud_2_is_served_on_etcd() {
    let etcd = Etcd::start(1, &[]);
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors_wasmcloud"));
    let endpoints = format!("KEYVALUE_ETCD_ENDPOINTS={}", etcd.endpoints());
    // One at a time: where all write one key, etcd's transactions fail each other until the time is over.
    let server = Server::start(&folder, &["--store", "etcd", "--env", &endpoints, "web.wasm"]);
    assert_eq!([server.count(), server.count(), server.count()], [1, 2, 3]);

    folder.kvfuse(&["fuse", "--store", "etcd", "web.wasm"]).ok();
    let server = Server::wasmtime(&folder, "web.fused.wasm", &[], &[("KEYVALUE_ETCD_ENDPOINTS", &etcd.endpoints())]);
    assert_eq!([server.count(), server.count(), server.count()], [4, 5, 6]);
}

#[test]
fn a_handler_for_spin_4_is_served_on_files_and_streams_the_keys() {
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors_spin3"));
    let said = folder.kvfuse(&["inspect", "web.wasm"]).ok();
    let about = "Spin's own, asynchronous (2026; Spin 4)";
    assert!(said.contains(&format!("  key-value   spin:key-value@3.0.0\n              {about}\n")), "{said}");
    let server = Server::start(&folder, &["web.wasm"]);
    let counts: Vec<u32> = (0..5).map(|_| server.count()).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    drop(server);
    folder.kvfuse(&["fuse", "web.wasm"]).ok();
    let server = Server::wasmtime(&folder, "web.fused.wasm", &[], &[]);
    assert_eq!(server.count(), 6);
}

#[test]
fn a_named_error_of_wasmclouds_interface_comes_with_its_reason_on_standard_error() {
    let folder = Folder::new();
    folder.write("app.wasm", example("runs_wasmcloud"));
    folder.kvfuse(&["fuse", "--store", "redis", "app.wasm"]).ok();
    let ran = folder.run(wasmtime().args(["run", "-S", "inherit-network", "app.fused.wasm"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "Error::StoreUnavailable\n"));
    assert!(
        ran.stderr.starts_with("wasmcloud:keyvalue: ") && ran.stderr.contains("KEYVALUE_REDIS_URL"),
        "{}",
        ran.stderr
    );
}
