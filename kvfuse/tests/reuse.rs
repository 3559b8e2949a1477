//! Handlers whose instances answer more than one request: the store's connection lives on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::redis::Redis;
use std::collections::BTreeSet;
use support::server::Server;
use support::{Folder, example};

fn web() -> Folder {
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors"));
    folder
}

/// `kvfuse run` on this server with these options.
fn serve(folder: &Folder, redis: &Redis, options: &[&str]) -> Server {
    let url = format!("KEYVALUE_REDIS_URL={}", redis.url());
    Server::start(folder, &[&["--store", "redis", "--env", &url], options, &["web.wasm"]].concat())
}

/// The connections that the server has seen since `before`, without the one that asks.
fn connections(redis: &Redis, before: u64) -> u64 {
    redis.statistic("total_connections_received") - before - 1
}

#[test]
fn an_instance_answers_as_many_requests_as_it_is_told() {
    let (redis, folder) = (Redis::start(&[]), web());
    // An answer can be out before its instance is ready again, so there may be more than one in turn.
    for (options, expected) in [(&[][..], 20..=20), (&["--reuse", "10"], 2..=10), (&["--reuse", "1000"], 1..=10)] {
        let server = serve(&folder, &redis, options);
        let before = redis.statistic("total_connections_received");
        let first = server.count();
        for n in 1..20 {
            assert_eq!(server.count(), first + n);
        }
        let seen = connections(&redis, before);
        assert!(expected.contains(&seen), "{options:?}: {seen} connections for 20 requests");
    }
}

#[test]
fn wasmtime_serve_keeps_an_instance_with_the_option_that_inspect_recommends() {
    let (redis, folder) = (Redis::start(&[]), web());
    folder.kvfuse(&["fuse", "web.wasm", "--store", "redis"]).ok();
    let said = folder.kvfuse(&["inspect", "web.fused.wasm"]).ok();
    assert!(said.contains("--max-instance-reuse-count 128 keeps an instance for up to 128 requests"), "{said}");
    let url = redis.url();
    let options = ["--max-instance-reuse-count", "128"];
    let server = Server::wasmtime(&folder, "web.fused.wasm", &options, &[("KEYVALUE_REDIS_URL", &url)]);
    let before = redis.statistic("total_connections_received");
    for n in 1..=20 {
        assert_eq!(server.count(), n);
    }
    let seen = connections(&redis, before);
    assert!(seen <= 10, "{seen} connections for 20 requests");
}

#[test]
fn a_connection_that_the_server_closed_in_between_is_replaced() {
    let (mut redis, folder) = (Redis::start(&[]), web());
    let server = serve(&folder, &redis, &["--reuse", "1000"]);
    assert_eq!((server.count(), server.count()), (1, 2));
    // As after `timeout` seconds without a command.
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    // For 2 ms after a call, a connection is taken for open without a look.
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(server.count(), 3);
    redis.restart();
    assert_eq!(server.count(), 4);
}

#[test]
fn many_clients_share_few_instances_and_no_request_is_lost() {
    let (redis, folder) = (Redis::start(&[]), web());
    let server = serve(&folder, &redis, &["--reuse", "50"]);
    let before = redis.statistic("total_connections_received");
    let clients = || (0..20).map(|_| server.count()).collect::<Vec<_>>();
    let counts: BTreeSet<u32> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(clients)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(counts, (1..=320).collect());
    let seen = connections(&redis, before);
    assert!(seen < 160, "{seen} connections for 320 requests");
}

#[test]
fn an_instance_that_trapped_answers_no_further_request() {
    let folder = Folder::new();
    let wit = "package test:it;
        package wasi:http@0.2.0 {
            interface types { resource incoming-request; resource response-outparam; }
            interface incoming-handler {
                use types.{incoming-request, response-outparam};
                handle: func(request: incoming-request, response-out: response-outparam);
            }
        }
        world w { export wasi:http/incoming-handler@0.2.0; }";
    folder.write("web.wasm", support::component(wit));
    let server = Server::start(&folder, &["--reuse", "100", "web.wasm"]);
    for _ in 0..3 {
        assert!(server.get().starts_with("HTTP/1.0 500 "));
        // The trap itself each time, not that an instance cannot be entered any more.
        server.said("unreachable");
    }
}

#[test]
fn reuse_is_printed_in_the_line_and_refused_where_it_means_nothing() {
    let folder = web();
    let said = folder.kvfuse(&["run", "--explain", "--reuse", "64", "web.wasm"]).ok();
    assert!(said.contains("wasmtime serve -S cli --max-instance-reuse-count 64 --addr 127.0.0.1:8080 "), "{said}");
    folder.write("app.wasm", support::built("kv_demo.wasm"));
    folder.refuses(
        &["run", "--reuse", "2", "app.wasm"],
        125,
        "error: --reuse is for HTTP handlers, and this is not one\n  --> app.wasm\n   = help: leave it out\n",
    );
    assert_eq!(folder.kvfuse(&["run", "--reuse", "0", "web.wasm"]).code, Some(2));
}
