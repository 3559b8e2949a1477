//! Components that cannot be fused: the exact error, and the exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use support::{Folder, component, draft2_consumer, store_wit};

#[test]
fn a_component_without_key_value_imports_has_nothing_to_fuse() {
    let folder = Folder::new();
    folder.write(
        "app.wasm",
        component(
            "package test:it;
             package wasi:random@0.2.0 { interface random { get-random-u64: func() -> u64; } }
             world w { import wasi:random/random@0.2.0; }",
        ),
    );
    folder.refuses(
        &["fuse", "app.wasm"],
        1,
        "\
error: this component does not import a key-value interface
  --> app.wasm
   = note: it imports
           wasi:random/random@0.2.0
   = help: import one in your WIT world, such as: import wasi:keyvalue/store@0.2.0-draft2;
           a compiler leaves out imports that the program never calls
",
    );
    // `inspect` describes it all the same.
    assert!(folder.kvfuse(&["inspect", "app.wasm"]).ok().starts_with("app.wasm: a library of "));
}

#[test]
fn a_shape_that_nobody_published_is_compared_function_by_function() {
    let folder = Folder::new();
    let wit = store_wit("@0.2.0-draft2", "string").replace("get: func(key: string)", "get: func(key: list<u8>)");
    let wit = wit.replace("exists: func", "exists-already: func");
    folder.write(
        "app.wasm",
        component(&format!(
            "package test:it; {wit} world w {{ import wasi:keyvalue/store@0.2.0-draft2; export run: func(); }}"
        )),
    );
    folder.refuses(
        &["fuse", "app.wasm"],
        1,
        "\
error: this component imports wasi:keyvalue@0.2.0-draft2 in a shape that no known generation has
  --> app.wasm
   = note: compared with wasi:keyvalue@0.2.0-draft2, function by function:
             store/bucket.exists-already: func(key: string) -> result<bool, error>
             (the provider does not have it)
             store/bucket.get: func(key: list<u8>) -> result<option<list<u8>>, error>
             store/bucket.get: func(key: string) -> result<option<list<u8>>, error>   <- what the provider has
   = help: build it against a generation that kvfuse stores lists, or give your own provider: --provider my.wasm
",
    );
}

#[test]
fn a_package_that_is_only_called_keyvalue_is_shown_as_it_is() {
    let folder = Folder::new();
    folder.write(
        "app.wasm",
        component(
            "package test:it;
             package acme:keyvalue@1.0.0 { interface things { frob: func(times: u32) -> string; } }
             world w { import acme:keyvalue/things@1.0.0; export run: func(); }",
        ),
    );
    folder.refuses(
        &["fuse", "app.wasm"],
        1,
        "\
error: this component imports acme:keyvalue@1.0.0 in a shape that no known generation has
  --> app.wasm
   = note: no package called acme:keyvalue@1.0.0 is known; the component imports
             things/frob: func(times: u32) -> string
   = help: build it against a generation that kvfuse stores lists, or give your own provider: --provider my.wasm
",
    );
}

#[test]
fn the_output_never_overwrites_the_input() {
    let folder = Folder::new();
    folder.write("app.wasm", draft2_consumer());
    let message = |output: &str| {
        format!(
            "error: the output would overwrite the component app.wasm\n  --> {output}\n   = help: name another file: -o app.fused.wasm\n"
        )
    };
    folder.refuses(&["fuse", "app.wasm", "-o", "app.wasm"], 1, &message("app.wasm"));
    folder.refuses(&["fuse", "app.wasm", "-o", "./app.wasm"], 1, &message("./app.wasm"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("app.wasm", folder.path("link.wasm")).unwrap();
        folder.refuses(&["fuse", "app.wasm", "-o", "link.wasm"], 1, &message("link.wasm"));
        std::fs::hard_link(folder.path("app.wasm"), folder.path("hard.wasm")).unwrap();
        folder.refuses(&["fuse", "app.wasm", "-o", "hard.wasm"], 1, &message("hard.wasm"));
    }
    assert_eq!(folder.read("app.wasm"), draft2_consumer());
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    folder.write("app.wasm", draft2_consumer());
    folder.refuses(
        &["fuse", "app.wasm", "-o", "nowhere/out.wasm"],
        3,
        "\
error: cannot write the fused component: there is no directory nowhere
  --> nowhere/out.wasm
",
    );
    std::fs::create_dir(folder.path("out")).unwrap();
    folder.refuses(
        &["fuse", "app.wasm", "-o", "out"],
        3,
        "\
error: cannot write the fused component: this is a directory
  --> out
   = help: -o takes the name of a file
",
    );
}

#[test]
fn a_component_that_is_already_fused_is_refused_with_how_to_run_it() {
    let folder = Folder::new();
    folder.write("app.wasm", draft2_consumer());
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    folder.refuses(
        &["fuse", "app.fused.wasm"],
        1,
        "\
error: this component already has a key-value store
  --> app.fused.wasm
   = note: it contains the store files (keyvalue.wasm) and imports no key-value interface
   = help: run it: kvfuse run app.fused.wasm
",
    );
}

#[test]
fn a_store_that_does_not_exist_is_answered_with_those_that_do() {
    let folder = Folder::new();
    folder.write("app.wasm", draft2_consumer());
    let ran = folder.kvfuse(&["fuse", "app.wasm", "--store", "floppy"]);
    assert!(
        ran.stderr
            .starts_with("error: there is no store called \"floppy\"\n  --> --store\n   = note: the stores are: files")
    );
    assert_eq!(ran.code, Some(1));
}

#[test]
fn an_invalid_command_line_has_an_exit_code_of_its_own() {
    let folder = Folder::new();
    assert_eq!(folder.kvfuse(&["fuse"]).code, Some(2));
    assert_eq!(folder.kvfuse(&["melt", "app.wasm"]).code, Some(2));
    assert_eq!(folder.kvfuse(&["fuse", "app.wasm", "--store", "files", "--provider", "p.wasm"]).code, Some(2));
}

#[test]
fn an_interface_of_another_family_or_an_asynchronous_one_is_named_as_such() {
    let folder = Folder::new();
    let refused = |wit: &str, imports: &str, what: &str, note: &str| {
        folder.write(
            "app.wasm",
            component(&format!("package test:it; {wit} world w {{ {imports} export run: func(); }}")),
        );
        let help = "build it against a generation of wasi:keyvalue that kvfuse stores lists, or give your own provider: \
                    --provider my.wasm";
        let message = format!(
            "error: no store has the interface {what}\n  --> app.wasm\n   = note: {what} is {note}\n   = help: {help}\n"
        );
        folder.refuses(&["fuse", "app.wasm"], 1, &message);
        let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
        let row = format!("  key-value   {what}\n              {note}; no store has it\n");
        assert!(said.contains(&row), "{said}");
        assert_eq!(said.matches("  key-value   ").count(), 1, "{said}");
    };
    let wasmcloud = "package wasmcloud:keyvalue@0.9.0 {
        interface store { get: async func(key: string) -> option<list<u8>>; }
        interface atomics { increment: async func(key: string) -> s64; }
    }";
    let imports = "import wasmcloud:keyvalue/store@0.9.0; import wasmcloud:keyvalue/atomics@0.9.0;";
    let own = "wasmCloud's own interface; the stores have 0.2.0 and 0.1.0";
    refused(wasmcloud, imports, "wasmcloud:keyvalue@0.9.0", own);

    let spin = "package spin:key-value@4.0.0 { interface key-value { get: async func(key: string) -> string; } }";
    let own = "Spin's own interface; the stores have 3.0.0";
    refused(spin, "import spin:key-value/key-value@4.0.0;", "spin:key-value@4.0.0", own);

    let next = "package wasi:keyvalue@0.3.0 { interface store { get: async func(key: string) -> string; } }";
    let note = "an asynchronous interface, of WASI 0.3; the stores have those of wasmCloud and Spin";
    refused(next, "import wasi:keyvalue/store@0.3.0;", "wasi:keyvalue@0.3.0", note);
}
