//! Several labels of wasmCloud 2's interface, whose buckets are of one type: one provider makes all of them, and is told through
//! which import.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use support::{Folder, component, example, line, wasmtime};

/// The consumer with the store under two labels and without one, and with one of counters and batches for all of them.
fn three_stores() -> Folder {
    let folder = Folder::new();
    folder.write("app.wasm", example("labels_wasmcloud"));
    folder
}

#[test]
fn what_one_label_of_wasmcloud_writes_the_others_do_not_see() {
    let folder = three_stores();
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    for label in [" for sessions", " for carts", ""] {
        assert!(said.contains(&format!("files (keyvalue-async.wasm){label}\n")), "{said}");
    }
    let run = |file: &str, words: &[&str]| folder.kvfuse(&[&["run", file, "--"], words].concat()).ok();
    assert_eq!(run("app.wasm", &["add", "bucket", "1"]), "sessions: 1\ncarts: 1\nplain: 1\n");
    // In the bucket without a name as well, and in memory.
    assert_eq!(run("app.wasm", &["add", "", "7"]), "sessions: 7\ncarts: 7\nplain: 7\n");
    assert_eq!(run("app.wasm", &["add", ":memory:", "3"]), "sessions: 3\ncarts: 3\nplain: 3\n");
    // No name leads from one to another: each would be what the label's bucket is called.
    let said = run("app.wasm", &["keys", "sessions/bucket"]);
    assert_eq!(said, "sessions: \ncarts: \nplain: \n");
    assert!(run("app.wasm", &["keys", ":sessions/bucket:"]).contains("plain: error: Error::InvalidArgument"));

    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert_eq!(run("app.fused.wasm", &["add", "bucket", "1"]), "sessions: 2\ncarts: 2\nplain: 2\n");
    let inspected = folder.kvfuse(&["inspect", "app.fused.wasm"]);
    assert!(
        inspected.stdout.contains("  key-value   inside: the store files (keyvalue-async.wasm)\n"),
        "{}",
        inspected.stdout
    );
    assert_eq!(inspected.stderr, "", "every part can be read");
    let words = line(&folder, "app.fused.wasm", &[]);
    assert!(words.iter().any(|word| word == "component-model-implements"), "{words:?}");
    let mut command = wasmtime();
    let ran = folder.run(command.args(words).args(["add", "bucket", "1"]));
    assert_eq!(ran.ok(), "sessions: 3\ncarts: 3\nplain: 3\n");
    // They are the buckets of labels as other generations have them.
    assert_eq!(folder.kvfuse(&["kv", "get", "count", "--bucket", "bucket"]).ok(), "3");
    let all = folder.kvfuse(&["kv", "buckets"]).ok();
    assert!(all.contains(":sessions/bucket:") && all.contains(":carts/default:"), "{all}");
}

#[test]
fn labels_of_wasmcloud_are_on_servers_of_their_own_and_in_stores_of_their_own() {
    let (redis, other, etcd) = (Redis::start(&[]), Redis::start(&[]), Etcd::start(1, &[]));
    let folder = three_stores();
    let run = |stores: &[&str], variables: &[String], words: &[&str]| {
        let variables: Vec<&str> = variables.iter().flat_map(|variable| ["--env", variable]).collect();
        folder.kvfuse(&[&["run"], stores, &variables, &["app.wasm", "--"], words].concat()).ok()
    };
    // One store, two servers.
    let urls = [format!("KEYVALUE_REDIS_URL={}", redis.url()), format!("CARTS_KEYVALUE_REDIS_URL={}", other.url())];
    run(&["--store", "redis"], &urls, &["add", "bucket", "5"]);
    assert_eq!(redis.command(&["GET", "%3Asessions/bucket%3A:count"]), "5");
    assert_eq!(redis.command(&["GET", "bucket:count"]), "5");
    assert_eq!(redis.command(&["EXISTS", "%3Acarts/bucket%3A:count"]), ":0");
    assert_eq!(other.command(&["GET", "%3Acarts/bucket%3A:count"]), "5");

    // Three stores.
    let stores = ["--store", "sessions=redis", "--store", "carts=etcd", "--store", "files"];
    let places = [urls[0].clone(), format!("KEYVALUE_ETCD_ENDPOINTS={}", etcd.endpoints())];
    let said = run(&stores, &places, &["add", "bucket", "1"]);
    assert_eq!(said, "sessions: 6\ncarts: 1\nplain: 1\n");
    assert_eq!(folder.kvfuse(&["kv", "list", "--bucket", "bucket"]).ok().lines().count(), 2);
    // Fused, only what these need is left, and the environment does not move a label.
    let fused = folder.kvfuse(&[&["fuse", "app.wasm"], &stores[..]].concat()).ok();
    assert!(fused.contains("inside: the stores redis, etcd and files (keyvalue-stores-async.wasm)\n"), "{fused}");
    let variables = [&places[0], &places[1], "SESSIONS_KEYVALUE_STORE=files"].map(|variable| variable.to_string());
    let variables: Vec<&str> = variables.iter().flat_map(|variable| ["--env", variable]).collect();
    let said = folder.kvfuse(&[&["run"], &variables[..], &["app.fused.wasm", "--", "add", "bucket", "1"]].concat());
    assert_eq!(said.ok(), "sessions: 7\ncarts: 2\nplain: 2\n");
}

#[test]
fn a_label_of_wasmcloud_without_others_is_a_label() {
    let folder = Folder::new();
    let package = "package wasmcloud:keyvalue@0.2.0 {
        interface types {
            variant error {
                no-such-store, access-denied, invalid-argument, precondition-failed, timeout, store-unavailable, quota-exceeded,
                other(string),
            }
            resource bucket { exists: async func(key: string) -> result<bool, error>; }
        }
        interface store { use types.{bucket, error}; open: async func(identifier: string) -> result<bucket, error>; }
    }";
    let write = |imports: &str| {
        let text = format!("package test:it; {package} world w {{ {imports} export run: func(); }}");
        folder.write("app.wasm", component(&text));
    };
    write("import sessions: wasmcloud:keyvalue/store@0.2.0;");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let settings = kvfuse_compose::Settings::inside(&folder.read("app.fused.wasm")).unwrap();
    assert_eq!(settings.iter().map(|settings| settings.get("KEYVALUE_LABELS")).collect::<Vec<_>>(), [Some("sessions")]);
    // Without a label, identifiers are as the consumer wrote them.
    write("import wasmcloud:keyvalue/store@0.2.0;");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert!(kvfuse_compose::Settings::inside(&folder.read("app.fused.wasm")).unwrap().is_empty());
}

#[test]
fn a_provider_of_ones_own_that_gives_two_labels_of_wasmcloud_one_store_is_refused() {
    let folder = three_stores();
    folder.write("mine.wasm", support::built("keyvalue-async.wasm"));
    let refused = folder.kvfuse(&["fuse", "app.wasm", "--provider", "mine.wasm"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("this provider cannot keep the labelled imports apart"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("wasmcloud:keyvalue/store@0.2.0 for all of: sessions, carts\n"),
        "{}",
        refused.stderr
    );
}
