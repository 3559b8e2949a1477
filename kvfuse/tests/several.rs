//! Several stores in one component: for labelled imports, and by the bucket's name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::redis::Redis;
use std::process::Command;
use support::{Folder, built, component, consumer, consumer_of, store_wit, wasmtime};

/// A consumer with two labels, and with more imports and exports.
fn labelled(more: &str) -> Vec<u8> {
    let world = format!(
        "world w {{
            import sessions: wasi:keyvalue/store@0.2.0-draft2;
            import carts: wasi:keyvalue/store@0.2.0-draft2;
            export run: func();
            {more}
        }}"
    );
    component(&format!("package test:it; {} {world}", store_wit("@0.2.0-draft2", "string")))
}

#[test]
fn each_label_gets_an_instance_of_its_own_and_the_code_is_there_once() {
    let consumer = labelled("import wasi:keyvalue/store@0.2.0-draft2;");
    let folder = Folder::new();
    folder.write("app.wasm", &consumer);
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("store as sessions: "), "{said}");
    assert!(said.contains("store as carts: "), "{said}");
    assert!(said.contains("files (keyvalue.wasm) for sessions\n"), "{said}");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let fused = folder.read("app.fused.wasm");
    let provider = built("keyvalue.wasm");
    let copies =
        kvfuse_compose::nested(&fused).unwrap().iter().filter(|part| fused[part.range.clone()] == provider).count();
    assert_eq!(copies, 1);
    let labels = kvfuse_compose::Settings::inside(&fused).unwrap();
    let labels: Vec<_> = labels.iter().map(|settings| settings.get("KEYVALUE_LABEL").unwrap()).collect();
    assert_eq!(labels, ["sessions", "carts"]);
}

#[test]
fn a_label_is_given_a_store_of_its_own() {
    let folder = Folder::new();
    folder.write("app.wasm", labelled(""));
    let said = folder.kvfuse(&["inspect", "app.wasm", "--store", "sessions=redis", "--store", "etcd"]).ok();
    assert!(said.contains("redis (keyvalue-redis.wasm) for sessions\n"), "{said}");
    assert!(said.contains("etcd (keyvalue-etcd.wasm) for carts\n"), "{said}");
    assert!(said.contains("wasi:sockets@0.2.12") && said.contains("wasi:http@0.2.12"), "{said}");
    assert!(!said.contains("wasi:filesystem"), "{said}");
    assert!(said.contains("kvfuse fuse app.wasm --store sessions=redis --store etcd\n"), "{said}");
    let said = folder.kvfuse(&["fuse", "app.wasm", "--store", "sessions=redis", "--store", "etcd"]).ok();
    assert!(said.contains("inside: the stores redis and etcd (keyvalue-redis.wasm, keyvalue-etcd.wasm)\n"), "{said}");

    // And the line grants what both need.
    let said = three_stores().kvfuse(&["inspect", "app.wasm", "--store", "sessions=redis", "--store", "etcd"]).ok();
    assert!(said.contains("--env KEYVALUE_REDIS_URL=") && said.contains("--env KEYVALUE_ETCD_ENDPOINTS="), "{said}");
    assert!(said.contains("http,inherit-network,allow-ip-name-lookup") && !said.contains("--dir"), "{said}");
}

#[test]
fn a_store_for_a_label_that_is_not_there_is_refused_with_those_that_are() {
    let folder = Folder::new();
    folder.write("app.wasm", labelled(""));
    folder.refuses(
        &["fuse", "app.wasm", "--store", "session=redis"],
        1,
        "\
error: no store can be given to the label \"session\"
  --> app.wasm
   = note: labelled key-value imports with a store of their own: sessions, carts
",
    );
}

#[test]
fn a_label_whose_buckets_are_those_of_another_import_has_its_store() {
    let store = store_wit("@0.2.0-draft2", "string");
    let batch = "interface batch { use store.{bucket, error};
        delete-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<_, error>; }";
    let store = format!("{}{batch} }}", store.trim_end().strip_suffix('}').unwrap());
    let consumer = component(&format!(
        "package test:it; {store} world w {{ import bulk: wasi:keyvalue/batch@0.2.0-draft2; export run: func(); }}"
    ));
    let folder = Folder::new();
    folder.write("app.wasm", &consumer);
    let said = folder.kvfuse(&["fuse", "-q", "app.wasm"]).ok();
    assert_eq!(said, "fused app.wasm with the store files (keyvalue.wasm) into app.fused.wasm\n");
    let ran = folder.kvfuse(&["fuse", "app.wasm", "--store", "bulk=redis"]);
    assert!(ran.stderr.contains("takes its buckets from the imports without a label"), "{}", ran.stderr);
}

#[test]
fn a_label_of_a_generation_without_handles_is_always_a_store_of_its_own() {
    // These share the type of an error with the import by name, and no bucket.
    let wit = std::fs::read_to_string(support::root().join("wit/wrpc/keyvalue.wit")).unwrap();
    let (package, rest) = wit.split_once(';').unwrap();
    let name = package.lines().last().unwrap().strip_prefix("package ").unwrap();
    let consumer = component(&format!(
        "package test:it; package {name} {{ {rest} }}
         world w {{ import counts: wrpc:keyvalue/atomics@0.2.0-draft; export run: func(); }}"
    ));
    let folder = Folder::new();
    folder.write("app.wasm", &consumer);
    let said = folder.kvfuse(&["inspect", "app.wasm", "--store", "counts=redis"]).ok();
    assert!(said.contains("redis (keyvalue-redis.wasm) for counts\n"), "{said}");
    folder.kvfuse(&["fuse", "app.wasm", "--store", "counts=redis"]).ok();
}

#[test]
fn a_provider_of_ones_own_that_exports_the_labels_is_connected_label_by_label() {
    let provider = |exports: &str| {
        let wit = store_wit("@0.2.0-draft2", "string");
        component(&format!("package test:it; {wit} world w {{ {exports} }}"))
    };
    let folder = Folder::new();
    folder.write("app.wasm", labelled("")).write(
        "labels.wasm",
        provider("export carts: wasi:keyvalue/store@0.2.0-draft2; export sessions: wasi:keyvalue/store@0.2.0-draft2;"),
    );
    let said = folder.kvfuse(&["fuse", "-q", "app.wasm", "--provider", "labels.wasm"]).ok();
    assert_eq!(said, "fused app.wasm with labels.wasm into app.fused.wasm\n");

    folder.write("one.wasm", provider("export wasi:keyvalue/store@0.2.0-draft2;"));
    folder.refuses(
        &["fuse", "app.wasm", "--provider", "one.wasm"],
        1,
        "\
error: this provider cannot keep the labelled imports apart
  --> app.wasm
   = note: one.wasm has one wasi:keyvalue/store@0.2.0-draft2 for all of: sessions, carts
   = help: let it export the labels, in its WIT world:
           export sessions: wasi:keyvalue/store@0.2.0-draft2;
           export carts: wasi:keyvalue/store@0.2.0-draft2;
           or leave out --provider: the built-in stores keep labels apart
",
    );
}

/// The consumer with the store under two labels and without one, and its name.
fn three_stores() -> Folder {
    let folder = Folder::new();
    folder.write("app.wasm", consumer("labels"));
    folder
}

#[test]
fn what_one_label_writes_the_others_do_not_see() {
    let folder = three_stores();
    let said = folder.kvfuse(&["run", "app.wasm", "--", "set", "bucket", "word"]).ok();
    assert_eq!(said, "sessions: written\ncarts: written\nplain: written\n");
    let apart = "sessions: word of sessions\ncarts: word of carts\nplain: word of plain\n";
    assert_eq!(folder.kvfuse(&["run", "app.wasm", "--", "get", "bucket"]).ok(), apart);
    // In the bucket that has no name as well.
    folder.kvfuse(&["run", "app.wasm", "--", "set", "", "default"]).ok();
    let said = folder.kvfuse(&["run", "app.wasm", "--", "get", "default"]).ok();
    assert_eq!(said, "sessions: default of sessions\ncarts: default of carts\nplain: default of plain\n");

    // And so does wasmtime itself, by the line that inspect prints.
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let said = folder.kvfuse(&["inspect", "app.fused.wasm"]).ok();
    let line = said.lines().find_map(|line| line.strip_prefix("  run         wasmtime ")).unwrap().to_string();
    assert!(line.contains("component-model-implements"), "{line}");
    let mut command = wasmtime();
    assert_eq!(folder.run(command.args(line.split(' ')).args(["get", "bucket"])).ok(), apart);
    // What is in a file is what the consumer wrote: a component without labels sees its own.
    folder.write("demo.wasm", built("kv_demo.wasm"));
    let said = folder.kvfuse(&["run", "demo.wasm", "--", "--bucket", "bucket", "get", "key"]).ok();
    assert_eq!(said, "word of plain");
}

#[test]
fn a_label_is_fixed_whatever_the_environment_says_and_other_settings_count_for_all_labels() {
    let folder = three_stores();
    let run = |arguments: &[&str]| folder.kvfuse(&[["run"].as_slice(), arguments].concat()).ok();
    run(&["app.wasm", "--", "set", "bucket", "word"]);
    let said = run(&["--env", "KEYVALUE_LABEL=carts", "app.wasm", "--", "get", "bucket"]);
    // Only the import without a label takes one from the environment.
    assert_eq!(said, "sessions: word of sessions\ncarts: word of carts\nplain: word of carts\n");
    let said = run(&["--env", "KEYVALUE_BUCKETS=bucket", "app.wasm", "--", "get", "bucket"]);
    assert_eq!(said, "sessions: word of sessions\ncarts: word of carts\nplain: word of plain\n");
    let said = run(&["--env", "KEYVALUE_BUCKETS=other", "app.wasm", "--", "get", "bucket"]);
    assert!(said.lines().all(|line| line.ends_with("error: Error::AccessDenied")), "{said}");
}

#[test]
fn labels_with_stores_of_their_own_write_where_they_are_told() {
    let redis = Redis::start(&[]);
    let folder = three_stores();
    let variable = format!("KEYVALUE_REDIS_URL={}", redis.url());
    let run = |words: &[&str]| {
        let start = ["run", "--store", "sessions=redis", "--env", &variable, "app.wasm", "--"];
        folder.kvfuse(&[&start, words].concat()).ok()
    };
    run(&["set", "bucket", "word"]);
    assert_eq!(run(&["get", "bucket"]), "sessions: word of sessions\ncarts: word of carts\nplain: word of plain\n");
    assert_eq!(redis.command(&["GET", "%3Asessions/bucket%3A:key"]), "word of sessions");
    assert_eq!(redis.command(&["DBSIZE"]), ":1");
    // In a layout that keeps no buckets apart, a label is not put.
    let said = folder.kvfuse(&[
        "run",
        "--store",
        "redis",
        "--env",
        &variable,
        "--env",
        "KEYVALUE_REDIS_LAYOUT=raw",
        "app.wasm",
        "--",
        "get",
        "bucket",
    ]);
    let said = said.ok();
    assert!(said.contains("sessions: error: KEYVALUE_REDIS_LAYOUT=raw keeps no buckets apart"), "{said}");
    assert!(said.contains("plain: nothing"), "{said}");
}

#[test]
fn two_labels_are_on_two_servers_by_variables_of_their_own() {
    let (one, two) = (Redis::start(&[]), Redis::start(&[]));
    let folder = three_stores();
    let stores = ["--store", "sessions=redis", "--store", "carts=redis"];
    let own = [format!("SESSIONS_KEYVALUE_REDIS_URL={}", one.url()), format!("CARTS_KEYVALUE_REDIS_URL={}", two.url())];
    let all = "KEYVALUE_PREFIX=all/".to_string();
    let set = |variables: &[&String]| -> Vec<String> {
        variables.iter().flat_map(|variable| ["--env".to_string(), (*variable).clone()]).collect()
    };
    let run = |file: &str, variables: &[&String], words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
        command.arg("run").args(if file == "app.wasm" { &stores[..] } else { &[] });
        folder.run(command.args(set(variables)).arg(file).arg("--").args(words))
    };
    let both = [&own[0], &own[1], &all];
    run("app.wasm", &both, &["set", "bucket", "word"]).ok();
    let said = "sessions: word of sessions\ncarts: word of carts\nplain: word of plain\n";
    assert_eq!(run("app.wasm", &both, &["get", "bucket"]).ok(), said);
    // What is set for all counts for both.
    assert_eq!(one.command(&["GET", "all/%3Asessions/bucket%3A:key"]), "word of sessions");
    assert_eq!(two.command(&["GET", "all/%3Acarts/bucket%3A:key"]), "word of carts");
    assert_eq!((one.command(&["DBSIZE"]), two.command(&["DBSIZE"])), (":1".into(), ":1".into()));

    // Fused before, the labels are known from the component, and the line passes the variables on.
    folder.kvfuse(&[&["fuse", "-q", "app.wasm"], &stores[..]].concat()).ok();
    assert_eq!(run("app.fused.wasm", &both, &["get", "bucket"]).ok(), said);
    let variables = [("SESSIONS_KEYVALUE_REDIS_URL", one.url()), ("CARTS_KEYVALUE_REDIS_URL", two.url())];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let line = support::line(&folder, "app.fused.wasm", &variables);
    assert!(!line.iter().any(|word| word.starts_with("KEYVALUE_REDIS_URL")), "{line:?}");
    let mut command = wasmtime();
    command.envs(variables).args(line).args(["get", "bucket"]).env("KEYVALUE_PREFIX", "");
    assert_eq!(folder.run(&mut command).ok(), "sessions: nothing\ncarts: nothing\nplain: word of plain\n");

    // A label without a server of its own, where there is none for all, says so; the others go on.
    let said = run("app.fused.wasm", &[&own[0], &all], &["get", "bucket"]).ok();
    assert!(said.contains("sessions: word of sessions\n"), "{said}");
    assert!(said.contains("carts: error: no server is configured"), "{said}");
    let refused = run("app.fused.wasm", &[], &["get", "bucket"]);
    assert!(refused.stderr.contains("KEYVALUE_REDIS_URL is not set"), "{}", refused.stderr);
}

#[test]
fn a_bucket_is_routed_whatever_its_name_is() {
    let redis = Redis::start(&[]);
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let variable = format!("KEYVALUE_REDIS_URL={}", redis.url());
    for bucket in ["a,b", "100%", " x ", "line\nbreak"] {
        let route = format!("{bucket}=redis");
        folder.kvfuse(&["fuse", "-q", "app.wasm", "--bucket", &route]).ok();
        let start = ["run", "--env", &variable, "app.fused.wasm", "--", "--bucket", bucket];
        folder.kvfuse(&[&start[..], &["set", "key", bucket]].concat()).ok();
        assert_eq!(folder.kvfuse(&[&start[..], &["get", "key"]].concat()).ok(), bucket);
    }
    assert_eq!(redis.command(&["DBSIZE"]), ":4");
}

#[test]
fn buckets_are_in_the_stores_that_they_are_routed_to() {
    let redis = Redis::start(&[]);
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let fused = folder.kvfuse(&["fuse", "app.wasm", "--store", "files", "--bucket", "sessions=redis"]).ok();
    assert!(fused.contains("inside: the stores files and redis (keyvalue-stores.wasm)\n"), "{fused}");
    // Exactly what the two stores need.
    assert!(fused.contains("wasi:sockets@") && fused.contains("wasi:filesystem@"), "{fused}");
    assert!(!fused.contains("wasi:http"), "{fused}");
    assert!(fused.contains("--dir data::/ --env KEYVALUE_REDIS_URL=redis://127.0.0.1:6379 "), "{fused}");

    let variable = format!("KEYVALUE_REDIS_URL={}", redis.url());
    let run = |words: &[&str]| {
        folder.kvfuse(&[["run", "--env", &variable, "app.fused.wasm", "--"].as_slice(), words].concat())
    };
    run(&["--bucket", "sessions", "set", "key", "in redis"]).ok();
    run(&["--bucket", "carts", "set", "key", "in files"]).ok();
    assert_eq!(run(&["--bucket", "sessions", "get", "key"]).ok(), "in redis");
    assert_eq!(run(&["--bucket", "carts", "get", "key"]).ok(), "in files");
    assert_eq!(redis.command(&["GET", "sessions:key"]), "in redis");
    assert_eq!(redis.command(&["DBSIZE"]), ":1");
    // A host that is asked for no more than the bucket needs: without a server, the buckets in files go on.
    let mut command = wasmtime();
    command.args(["run", "--dir", "data::/", "app.fused.wasm", "--bucket", "carts", "get", "key"]);
    assert_eq!(folder.run(&mut command).ok(), "in files");
    let mut command = wasmtime();
    command.args(["run", "--dir", "data::/", "app.fused.wasm", "--bucket", "sessions", "get", "key"]);
    let refused = folder.run(&mut command);
    assert!(refused.stderr.contains("no server is configured"), "{}", refused.stderr);
    // Run as it is, it is fused in memory in the same way, and what is missing is said before it starts.
    let start = ["run", "--bucket", "sessions=redis", "--env", &variable, "app.wasm", "--"];
    let again = folder.kvfuse(&[start.as_slice(), &["--bucket", "sessions", "get", "key"]].concat());
    assert_eq!(again.ok(), "in redis");
    let refused = folder.kvfuse(&["run", "--bucket", "sessions=redis", "app.wasm"]);
    assert_eq!(refused.code, Some(125));
    assert!(refused.stderr.contains("KEYVALUE_REDIS_URL is not set"), "{}", refused.stderr);
}

#[test]
fn routes_are_for_every_import_without_a_store_of_its_own_and_labels_stay_apart_in_them() {
    let redis = Redis::start(&[]);
    let folder = three_stores();
    let variable = format!("KEYVALUE_REDIS_URL={}", redis.url());
    let options = ["--store", "carts=files", "--bucket", "shared=redis", "--env", &variable, "app.wasm", "--"];
    let run = |words: &[&str]| folder.kvfuse(&[["run"].as_slice(), &options, words].concat()).ok();
    run(&["set", "shared", "word"]);
    run(&["set", "other", "word"]);
    for bucket in ["shared", "other"] {
        assert_eq!(run(&["get", bucket]), "sessions: word of sessions\ncarts: word of carts\nplain: word of plain\n");
    }
    assert_eq!(redis.command(&["GET", "shared:key"]), "word of plain");
    assert_eq!(redis.command(&["GET", "%3Asessions/shared%3A:key"]), "word of sessions");
    assert_eq!(redis.command(&["DBSIZE"]), ":2");
}

#[test]
fn the_environment_may_route_otherwise_but_never_to_a_store_that_is_not_in_the_component() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    folder.kvfuse(&["fuse", "-q", "app.wasm", "--bucket", "sessions=redis"]).ok();
    let run = |variable: &str, bucket: &str| {
        let mut command = wasmtime();
        command.args([
            "run",
            "--dir",
            ".::/",
            "--env",
            variable,
            "app.fused.wasm",
            "--bucket",
            bucket,
            "exists",
            "key",
        ]);
        folder.run(&mut command)
    };
    assert_eq!(run("KEYVALUE_ROUTES=", "sessions").stdout, "false\n");
    let refused = run("KEYVALUE_ROUTES=carts=etcd", "carts");
    assert!(refused.stderr.contains("fused with the stores files, redis and without etcd"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("unreachable"), "{}", refused.stderr);
    // What the environment cannot change.
    let refused = run("KEYVALUE_FUSED_STORES=etcd", "sessions");
    assert!(refused.stderr.contains("no server is configured"), "{}", refused.stderr);
}

/// Fuses a consumer of each generation with pairs of stores: `taken` says which, by the number of the generation and the pair's.
fn pairs_of_stores_fit(taken: impl Fn(usize, usize) -> bool) {
    let stores = || kvfuse_table::STORES.iter().filter(|store| store.is_in_together());
    let pairs: Vec<_> = stores()
        .flat_map(|store| stores().map(move |other| (store, other)))
        .filter(|(store, other)| store.name != other.name)
        .collect();
    for (turn, generation) in kvfuse_table::GENERATIONS.iter().enumerate() {
        let folder = Folder::new();
        folder.write("app.wasm", consumer_of(&[generation.name]));
        for (_, (store, other)) in pairs.iter().enumerate().filter(|(number, _)| taken(turn, *number)) {
            let route = format!("sessions={}", other.name);
            let ran = folder.kvfuse(&["fuse", "-q", "app.wasm", "--store", store.name, "--bucket", &route]);
            assert_eq!(ran.code, Some(0), "{} {} {}\n{}", generation.name, store.name, other.name, ran.stderr);
            let imports = kvfuse_compose::Interfaces::of(&folder.read("app.fused.wasm")).unwrap().imports;
            for third in stores() {
                // Another store's imports are there only if those of these two contain them.
                let needed = |name| store.imports.contains(name) || other.imports.contains(name);
                let all = third.imports.iter().all(|name| imports.iter().any(|import| import == name));
                assert_eq!(all, third.imports.iter().all(needed), "{imports:?} {}", third.name);
            }
        }
    }
}

#[test]
fn every_pair_of_stores_fits_a_consumer_and_every_generation_fits_some_pairs() {
    pairs_of_stores_fit(|turn, number| number % kvfuse_table::GENERATIONS.len() == turn);
}

#[test]
#[ignore = "takes a minute of computing"]
fn every_generation_fits_a_third_of_the_pairs_of_stores_and_every_pair_a_third_of_the_generations() {
    pairs_of_stores_fit(|turn, number| (turn + number).is_multiple_of(3));
}

#[test]
fn a_bucket_that_is_routed_to_the_same_store_changes_nothing() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let said = folder.kvfuse(&["fuse", "-q", "app.wasm", "--bucket", "sessions=files"]).ok();
    assert_eq!(said, "fused app.wasm with the store files (keyvalue.wasm) into app.fused.wasm\n");
}

#[test]
fn options_that_say_nothing_clear_are_refused() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm")).write("labels.wasm", labelled(""));
    for (arguments, said) in [
        (
            &["app.wasm", "--bucket", "sessions"][..],
            "error: \"sessions\" is not a bucket and a store\n  --> --bucket\n",
        ),
        (&["app.wasm", "--bucket", "a=floppy"], "error: there is no store called \"floppy\"\n  --> --bucket\n"),
        (
            &["app.wasm", "--store", "redis-tls", "--bucket", "a=files"],
            "error: the store redis-tls cannot be one of several in one component\n  --> --bucket\n",
        ),
        (&["app.wasm", "--bucket", "a=redis", "--bucket", "a=etcd"], "error: the bucket \"a\" is given two stores\n"),
        (&["app.wasm", "--store", "redis", "--store", "etcd"], "error: two stores are named for the same imports\n"),
        (
            &["labels.wasm", "--store", "sessions=redis", "--store", "carts=etcd", "--bucket", "a=redis"],
            "error: no import is left for it\n  --> --bucket\n",
        ),
    ] {
        let ran = folder.kvfuse(&[["fuse"].as_slice(), arguments].concat());
        assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
        assert_eq!(ran.code, Some(1));
    }
    let both = ["fuse", "app.wasm", "--bucket", "a=redis", "--provider", "p.wasm"];
    assert_eq!(folder.run(Command::new(env!("CARGO_BIN_EXE_kvfuse")).args(both)).code, Some(2));
}
