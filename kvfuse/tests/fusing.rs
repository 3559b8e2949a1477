//! What `kvfuse fuse` makes of components of every generation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use support::{Folder, built, component, consumer_of, consumer_with_io, store_wit, wasmtime};

/// Fuses and returns the file of the provider that was picked.
#[track_caller]
fn fused_with(consumer: &[u8]) -> String {
    fused_with_store("files", consumer)
}

#[track_caller]
fn fused_with_store(store: &str, consumer: &[u8]) -> String {
    let folder = Folder::new();
    folder.write("app.wasm", consumer);
    let said = folder.kvfuse(&["fuse", "app.wasm", "-q", "--store", store]).ok();
    let said = said.strip_prefix(&format!("fused app.wasm with the store {store} (")).unwrap();
    let provider = said.strip_suffix(") into app.fused.wasm\n").unwrap().to_string();
    let left = kvfuse_compose::World::of(&folder.read("app.fused.wasm")).unwrap().imports;
    assert!(left.iter().all(|item| !item.name.contains("keyvalue")), "{left:?}");
    provider
}

#[test]
fn the_provider_is_picked_by_the_shape_of_the_imports() {
    let cases = [
        ("draft", ""),
        ("draft2", ""),
        ("draft2_optional_pairs", "-draft2-optional-pairs"),
        ("v0_1", ""),
        ("v0_1_consume_methods", "-v0-1-consume-methods"),
        ("draft_eventual", ""),
        ("unversioned", ""),
        ("wrpc", ""),
    ];
    for store in kvfuse_table::STORES {
        for (generation, shape) in cases {
            let expected = format!("{}{shape}.wasm", store.artefact);
            assert_eq!(fused_with_store(store.name, &consumer_of(&[generation])), expected, "{generation}");
        }
    }
}

#[test]
fn every_generation_has_a_provider_in_every_store() {
    for store in kvfuse_table::STORES {
        for generation in kvfuse_table::GENERATIONS {
            fused_with_store(store.name, &consumer_of(&[generation.name]));
        }
    }
}

#[test]
fn a_consumer_of_several_generations_gets_one_provider_with_all_of_them() {
    assert_eq!(fused_with(&consumer_of(&["draft", "draft2", "v0_1", "unversioned", "wrpc"])), "keyvalue.wasm");
    assert_eq!(fused_with(&consumer_of(&["draft", "draft2_optional_pairs"])), "keyvalue-draft2-optional-pairs.wasm");
}

#[test]
fn generations_that_no_single_provider_has_are_refused_with_what_each_one_lacks() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer_of(&["draft2_optional_pairs", "v0_1_consume_methods"]));
    folder.refuses(
        &["fuse", "app.wasm"],
        1,
        "\
error: no single provider has all the generations of key-value that this component imports
  --> app.wasm
   = note: the store files (keyvalue.wasm) lacks wasi:keyvalue@0.1.0, wasi:keyvalue@0.2.0-draft2
   = note: the store files (keyvalue-draft2-optional-pairs.wasm) lacks wasi:keyvalue@0.1.0
   = note: the store files (keyvalue-v0-1-consume-methods.wasm) lacks wasi:keyvalue@0.2.0-draft2
   = help: two shapes under one version cannot be exported at once: move your code to one of them
",
    );
}

#[test]
fn streams_of_another_patch_of_wasi_are_the_same_streams() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer_with_io(&["v0_1"], "0.2.0"));
    let said = folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert!(said.contains("inside: the store files (keyvalue.wasm)"), "{said}");
    assert!(said.contains("wasi:io@0.2.0: ") && !said.contains("wasi:io@0.2.12"), "{said}");
}

#[test]
fn a_version_nobody_published_is_served_by_the_generation_of_its_shape() {
    let wit = store_wit("@0.2.0", "string");
    let world = "world w { import wasi:keyvalue/store@0.2.0; export run: func(); }";
    assert_eq!(fused_with(&component(&format!("package test:it; {wit} {world}"))), "keyvalue.wasm");
}

#[test]
fn a_component_whose_exports_use_types_of_the_store_is_fused_and_keeps_its_exports() {
    let store = store_wit("@0.2.0-draft2", "string");
    let interfaces = "
        interface watcher {
            use store.{bucket};
            on-set: func(bucket: bucket, key: string, value: list<u8>);
            on-delete: func(bucket: bucket, key: string);
        }
        interface atomics {
            use store.{bucket, error};
            increment: func(bucket: borrow<bucket>, key: string, delta: s64) -> result<s64, error>;
        }";
    let store = format!("{}{interfaces} }}", store.trim_end().strip_suffix('}').unwrap());
    let worlds = [
        ("use wasi:keyvalue/store@0.2.0-draft2.{error}; f: func() -> result<_, error>;", "export api;"),
        ("use wasi:keyvalue/store@0.2.0-draft2.{bucket}; f: func(bucket: borrow<bucket>) -> bucket;", "export api;"),
        ("use wasi:keyvalue/store@0.2.0-draft2.{bucket as b, error as e}; f: func() -> result<b, e>;", "export api;"),
        ("f: func();", "export wasi:keyvalue/watcher@0.2.0-draft2;"),
        // A middleware: the same interface is imported and exported.
        (
            "f: func();",
            "import wasi:keyvalue/atomics@0.2.0-draft2; export wasi:keyvalue/atomics@0.2.0-draft2;
             export wasi:keyvalue/watcher@0.2.0-draft2;",
        ),
    ];
    for (api, exports) in worlds {
        let consumer = component(&format!(
            "package test:it; {store} interface api {{ {api} }}
             world w {{ import wasi:keyvalue/store@0.2.0-draft2; {exports} }}"
        ));
        let folder = Folder::new();
        folder.write("app.wasm", &consumer);
        let ran = folder.kvfuse(&["fuse", "-q", "app.wasm"]);
        assert_eq!(ran.code, Some(0), "{api} {exports}\n{}", ran.stderr);
        let exports = |bytes: &[u8]| -> Vec<_> {
            let exports = kvfuse_compose::World::of(bytes).unwrap().exports;
            let texts =
                |item: &kvfuse_compose::Item| item.functions.values().map(|f| f.text.clone()).collect::<Vec<_>>();
            exports.into_iter().map(|item| (texts(&item), item.name)).collect()
        };
        assert_eq!(exports(&folder.read("app.fused.wasm")), exports(&consumer));
    }
}

#[test]
fn labels_of_other_imports_and_of_exports_stay_labels() {
    let consumer = component(&format!(
        "package test:it; {}
         interface settings {{ get: func() -> string; }}
         interface api {{ f: func(); }}
         world w {{
            import wasi:keyvalue/store@0.2.0-draft2;
            import mine: settings;
            export yours: api;
         }}",
        store_wit("@0.2.0-draft2", "string")
    ));
    let folder = Folder::new();
    folder.write("app.wasm", consumer);
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let world = kvfuse_compose::World::of(&folder.read("app.fused.wasm")).unwrap();
    let label = |items: &[kvfuse_compose::Item], name: &str| {
        items.iter().find(|item| item.name == name).and_then(|item| item.implements.clone())
    };
    assert_eq!(label(&world.imports, "mine").as_deref(), Some("test:it/settings"));
    assert_eq!(label(&world.exports, "yours").as_deref(), Some("test:it/api"));
}

#[test]
fn a_partly_composed_component_gets_what_it_still_imports() {
    // What wac plug makes when the provider has only one of the two generations.
    let provider = component(&format!(
        "package test:it; {} world w {{ export wasi:keyvalue/store@0.2.0-draft; }}",
        store_wit("@0.2.0-draft", "u64")
    ));
    let consumer = component(&format!(
        "package test:it; {} {} world w {{
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/store@0.2.0-draft2;
            export run: func();
        }}",
        store_wit("@0.2.0-draft", "u64"),
        store_wit("@0.2.0-draft2", "string")
    ));
    let partly = kvfuse_compose::compose(&consumer, &provider).unwrap();
    let folder = Folder::new();
    folder.write("app.wasm", &partly);
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("inside: "), "{said}");
    assert!(said.contains("another store"), "{said}");
    assert_eq!(fused_with(&partly), "keyvalue.wasm");
}

#[test]
fn the_parts_are_in_the_result_byte_for_byte_and_the_exports_stay() {
    let folder = Folder::new();
    let consumer = built("kv_demo.wasm");
    folder.write("app.wasm", &consumer);
    let said = folder.kvfuse(&["fuse", "--composed", "app.wasm", "-o", "out.wasm"]).ok();
    assert!(said.contains("\n  form        composed, and not flat: --composed was given\n"), "{said}");
    let fused = folder.read("out.wasm");
    assert_eq!(fused, kvfuse_compose::compose(&consumer, &built("keyvalue.wasm")).unwrap());
    for part in [consumer, built("keyvalue.wasm")] {
        assert!(fused.windows(part.len()).any(|window| window == part));
    }
    assert_eq!(folder.names(), ["app.wasm", "out.wasm"]);
}

#[test]
fn a_component_is_made_flat_where_it_can_be_and_its_store_is_recognised() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let flat = "\n  form        flat: calls of the store stay within one component";
    assert!(folder.kvfuse(&["inspect", "app.wasm"]).ok().contains(flat));
    assert!(folder.kvfuse(&["fuse", "app.wasm"]).ok().contains(flat));
    let fused = folder.read("app.fused.wasm");
    assert!(
        kvfuse_compose::nested(&fused).unwrap().iter().all(|part| part.exports.iter().all(|n| !n.contains("keyvalue")))
    );
    let said = folder.kvfuse(&["inspect", "--verbose", "app.fused.wasm"]).ok();
    assert!(said.contains("  key-value   inside: the store files (keyvalue.wasm)\n") && said.contains(flat), "{said}");
    assert!(said.contains("\nflat, of:\n  consumer kv_demo, ") && said.contains("\n  provider keyvalue, "), "{said}");
    std::fs::create_dir(folder.path("data")).unwrap();
    let run = ["run", "--dir", "data::/", "app.fused.wasm"];
    folder.run(wasmtime().args(run).args(["set", "a", "1"])).ok();
    assert_eq!(folder.run(wasmtime().args(run).args(["get", "a"])).ok(), "1");

    // Where it cannot be, the reason is given.
    let said = folder.kvfuse(&["inspect", "app.wasm", "--bucket", "sessions=redis"]).ok();
    assert!(
        said.contains("\n  form        composed, and not flat: it has settings fused in, or is for a label\n"),
        "{said}"
    );
}

#[test]
fn with_a_single_memory_it_runs_where_modules_with_two_are_refused() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    std::fs::create_dir(folder.path("data")).unwrap();
    let run = |file: &str, arguments: &[&str]| {
        let options = ["run", "-W", "multi-memory=n", "--dir", "data::/", file];
        folder.run(wasmtime().args(options).args(arguments))
    };
    folder.kvfuse(&["fuse", "app.wasm", "-o", "two.wasm"]).ok();
    assert_ne!(run("two.wasm", &["set", "a", "1"]).code, Some(0));
    let single =
        "\n  form        flat, for hosts without multi-memory as well: calls of the store stay within one component\n";
    let inspected = folder.kvfuse(&["inspect", "--single-memory", "app.wasm"]).ok();
    assert!(inspected.contains(single), "{inspected}");
    assert!(inspected.contains("\n  fuse        kvfuse fuse app.wasm --single-memory\n"), "{inspected}");
    let said = folder.kvfuse(&["fuse", "--single-memory", "app.wasm", "-o", "one.wasm"]).ok();
    assert!(said.contains(single), "{said}");
    run("one.wasm", &["set", "a", "1"]).ok();
    assert_eq!(run("one.wasm", &["get", "a"]).ok(), "1");

    let said = folder.kvfuse(&["inspect", "--verbose", "one.wasm"]).ok();
    assert!(said.contains(single), "{said}");
    assert!(said.contains("\nflat with one memory in each module, of:\n  consumer kv_demo, "), "{said}");
    let json = |file: &str| -> serde_json::Value {
        serde_json::from_str(&folder.kvfuse(&["inspect", "--json", file]).ok()).unwrap()
    };
    let forms = ["two.wasm", "one.wasm"].map(|file| json(file)["form"]["single_memory"].clone());
    assert_eq!(forms, [false, true]);
}

#[test]
fn fusing_again_replaces_the_output_and_gives_the_same_bytes() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer_of(&["draft2"])).write("app.fused.wasm", "old");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let first = folder.read("app.fused.wasm");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert_eq!(folder.read("app.fused.wasm"), first);
}

#[cfg(unix)]
#[test]
fn the_output_is_as_readable_as_any_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    folder.write("app.wasm", consumer_of(&["draft2"]));
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("app.fused.wasm"), mode("app.wasm"));
}

#[test]
fn a_provider_of_the_users_own_is_fused_in_the_same_way() {
    let wit = "package acme:keyvalue@1.0.0 { interface things { frob: func(times: u32) -> string; } }";
    let folder = Folder::new();
    folder.write(
        "app.wasm",
        component(&format!(
            "package test:it; {wit} world w {{ import acme:keyvalue/things@1.0.0; export run: func(); }}"
        )),
    );
    folder.write(
        "acme.wasm",
        component(&format!("package test:it; {wit} world w {{ export acme:keyvalue/things@1.0.0; }}")),
    );
    let said = folder.kvfuse(&["fuse", "app.wasm", "--provider", "acme.wasm", "-q"]).ok();
    assert_eq!(said, "fused app.wasm with acme.wasm into app.fused.wasm\n");
    let said = folder.kvfuse(&["inspect", "app.wasm", "--provider", "acme.wasm"]).ok();
    assert!(said.contains("kvfuse fuse app.wasm --provider acme.wasm\n"), "{said}");
}

#[test]
fn a_provider_of_another_package_name_connects_what_it_exports() {
    let wit = "package acme:db@1.0.0 { interface things { frob: func(times: u32) -> string; } }";
    let folder = Folder::new();
    let world = |w: &str| component(&format!("package test:it; {wit} world w {{ {w} }}"));
    folder.write("app.wasm", world("import acme:db/things@1.0.0; export run: func();"));
    folder.write("acme.wasm", world("export acme:db/things@1.0.0;"));
    folder.kvfuse(&["fuse", "app.wasm", "--provider", "acme.wasm"]).ok();
}

#[test]
fn a_provider_that_lacks_functions_is_refused_by_name() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer_of(&["draft2"]));
    folder.write(
        "mine.wasm",
        component(&format!(
            "package test:it; {} world w {{ export wasi:keyvalue/store@0.2.0-draft2; }}",
            store_wit("@0.2.0-draft2", "string")
        )),
    );
    folder.refuses(
        &["fuse", "app.wasm", "--provider", "mine.wasm"],
        1,
        "\
error: this component imports wasi:keyvalue@0.2.0-draft2, which mine.wasm does not have
  --> app.wasm
   = note: compared with wasi:keyvalue@0.2.0-draft2, function by function:
             atomics/cas.current: func() -> result<option<list<u8>>, error>
             (the provider does not have it)
             atomics/cas.new: static func(bucket: borrow<bucket>, key: string) -> result<cas, error>
             (the provider does not have it)
             atomics/increment: func(bucket: borrow<bucket>, key: string, delta: s64) -> result<s64, error>
             (the provider does not have it)
             atomics/swap: func(cas: cas, value: list<u8>) -> result<_, cas-error>
             (the provider does not have it)
             batch/delete-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<_, error>
             (the provider does not have it)
             batch/get-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<list<tuple<string, option<list<u8>>>>, error>
             (the provider does not have it)
             batch/set-many: func(bucket: borrow<bucket>, key-values: list<tuple<string, list<u8>>>) -> result<_, error>
             (the provider does not have it)
   = help: use a provider for this generation, or leave out --provider for a built-in store
",
    );
    folder.write("nothing.wasm", component("package test:it; world w { export run: func(); }"));
    folder.refuses(
        &["fuse", "app.wasm", "--provider", "nothing.wasm"],
        1,
        "\
error: this provider exports no interface
  --> nothing.wasm
   = note: it exports run
   = help: --provider takes a component that exports key-value interfaces
",
    );
    folder.refuses(
        &["fuse", "app.wasm", "--provider", "mine.wasm", "-o", "mine.wasm"],
        1,
        "\
error: the output would overwrite the provider mine.wasm
  --> mine.wasm
   = help: name another file: -o mine.fused.wasm
",
    );
}

#[test]
fn completions_know_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = folder.kvfuse(&["completions", shell]).ok();
        for command in ["fuse", "inspect", "run", "stores"] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}

#[test]
fn every_provider_that_was_built_is_one_that_a_store_lists() {
    let folder = Folder::new();
    let stores = folder.kvfuse(&["stores"]).ok();
    for entry in std::fs::read_dir(support::root().join("components")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("keyvalue") && name.ends_with(".wasm") {
            assert!(stores.contains(&name), "{name} is built, and no store of provider/table has it");
        }
    }
}
