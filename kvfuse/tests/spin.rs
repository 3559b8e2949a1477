//! Spin's own key-value interfaces, in both synchronous shapes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use support::{Folder, built, component};

#[test]
fn both_shapes_are_named_fused_and_run() {
    for (guest, package, about) in [
        ("spin2", "fermyon:spin@2.0.0", "Spin's own (2023-11; Spin 2 and 3)"),
        ("spin1", "fermyon:spin", "Spin's own (2023-03; Spin 1)"),
    ] {
        let folder = Folder::new();
        folder.write("app.wasm", built(&format!("conformance/{guest}.wasm")));
        let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
        assert!(said.contains(&format!("  key-value   {package}\n              {about}\n")), "{said}");
        assert!(said.contains("  fits        files (keyvalue.wasm)\n"), "{said}");
        let run = |file: &str, case: &str| folder.kvfuse(&["run", file, "--", "bucket", case]).ok();
        assert_eq!(run("app.wasm", "get gives the value that was set"), "passed\n");
        folder.kvfuse(&["fuse", "app.wasm"]).ok();
        // It sees what was written before: the two are one store.
        assert_eq!(run("app.fused.wasm", "an empty bucket lists no keys").split(':').next(), Some("failed"));
        let said = folder.kvfuse(&["kv", "list", "--bucket", "bucket"]).ok();
        assert_eq!(said, "key\n", "a label is the name of a bucket");
    }
}

#[test]
fn the_other_interfaces_of_spins_package_stay_imports() {
    let wit = "package fermyon:spin@2.0.0 {
        interface key-value {
            variant error { store-table-full, no-such-store, access-denied, other(string) }
            resource store { open: static func(label: string) -> result<store, error>; }
        }
        interface variables { get: func(name: string) -> string; }
    }";
    let world = "import fermyon:spin/key-value@2.0.0; import fermyon:spin/variables@2.0.0; export run: func();";
    let folder = Folder::new();
    folder.write("app.wasm", component(&format!("package test:it; {wit} world w {{ {world} }}")));
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    let imports = kvfuse_compose::Interfaces::of(&folder.read("app.fused.wasm")).unwrap().imports;
    let spin: Vec<_> = imports.iter().filter(|name| name.starts_with("fermyon:")).collect();
    assert_eq!(spin, ["fermyon:spin/variables@2.0.0"]);
    let said = folder.kvfuse(&["inspect", "app.fused.wasm"]).ok();
    assert!(said.contains("wasmtime does not provide fermyon:spin/variables@2.0.0\n"), "{said}");
}

#[test]
fn imports_that_are_never_called_can_be_made_functions_that_trap() {
    let wit = "package wasi:cli@0.2.0 { interface run { run: func() -> result; } }
    package fermyon:spin@2.0.0 {
        interface key-value {
            variant error { store-table-full, no-such-store, access-denied, other(string) }
            resource store { open: static func(label: string) -> result<store, error>; }
        }
        interface mysql { resource connection { open: static func(address: string) -> connection; } }
        interface variables { get: func(name: string) -> string; }
    }";
    let world = "import fermyon:spin/key-value@2.0.0; import fermyon:spin/mysql@2.0.0;
        import fermyon:spin/variables@2.0.0; export wasi:cli/run@0.2.0;";
    let folder = Folder::new();
    folder.write("app.wasm", component(&format!("package test:it; {wit} world w {{ {world} }}")));
    let ran = folder.kvfuse(&["run", "app.wasm"]);
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
    let said = "what is not provided: fermyon:spin/mysql@2.0.0, fermyon:spin/variables@2.0.0\n";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("--unknown-imports-trap"), "{}", ran.stderr);
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("--unknown-imports-trap"), "{said}");

    // It starts; that its body is `unreachable` shows that it was called.
    assert_eq!(folder.kvfuse(&["run", "--unknown-imports-trap", "app.wasm"]).code, Some(134));
    let said = folder.kvfuse(&["inspect", "--unknown-imports-trap", "app.wasm"]).ok();
    assert!(said.contains("kvfuse fuse app.wasm --unknown-imports-trap\n") && !said.contains("beware"), "{said}");
    folder.kvfuse(&["fuse", "--unknown-imports-trap", "app.wasm"]).ok();
    let imports = kvfuse_compose::Interfaces::of(&folder.read("app.fused.wasm")).unwrap().imports;
    assert!(imports.iter().all(|name| name.starts_with("wasi:")), "{imports:?}");
    assert_eq!(folder.kvfuse(&["run", "app.fused.wasm"]).code, Some(134));
}
