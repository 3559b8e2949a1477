//! Files that cannot be fused: the exact error, and the exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use support::{Folder, component, module, store_wit};

fn draft2_consumer() -> Vec<u8> {
    component(&format!(
        "package test:it; {} world w {{ import wasi:keyvalue/store@0.2.0-draft2; export run: func(); }}",
        store_wit("@0.2.0-draft2", "string")
    ))
}

#[test]
fn a_core_module_is_refused_with_how_to_make_it_a_component() {
    let folder = Folder::new();
    folder.write("app.wasm", module("package test:it; world w { export run: func(); }"));
    let message = "\
error: this is a core WebAssembly module, not a component
  --> app.wasm
   = note: only a component declares which key-value functions it imports
   = help: wasm-tools component new app.wasm -o app.component.wasm
";
    folder.refuses(&["fuse", "app.wasm"], 1, message);
    folder.refuses(&["inspect", "app.wasm"], 1, message);

    folder.write("bare.wasm", wat::parse_str("(module)").unwrap());
    folder.refuses(
        &["fuse", "bare.wasm"],
        1,
        "\
error: this is a core WebAssembly module, not a component
  --> bare.wasm
   = note: only a component declares which key-value functions it imports
   = note: it carries no WIT world, so it was not built against a key-value interface
   = help: build it for a target that makes components, such as wasm32-wasip2 in Rust
",
    );
}

#[test]
fn a_module_for_preview_1_is_refused_with_the_adapter_of_its_kind() {
    let folder = Folder::new();
    let module = |export: &str| {
        let import = "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))";
        wat::parse_str(format!("(module {import} (func (export \"{export}\")))")).unwrap()
    };
    folder.write("command.wasm", module("_start")).write("reactor.wasm", module("_initialize"));
    folder.refuses(
        &["fuse", "command.wasm"],
        1,
        "\
error: this is a core WebAssembly module, not a component
  --> command.wasm
   = note: only a component declares which key-value functions it imports
   = help: wasm-tools component new command.wasm --adapt wasi_snapshot_preview1.command.wasm -o command.component.wasm
           it imports WASI preview 1 and exports _start: that adapter is for a command, and is among the files of each
           wasmtime release, https://github.com/bytecodealliance/wasmtime/releases
",
    );
    folder.refuses(
        &["fuse", "reactor.wasm"],
        1,
        "\
error: this is a core WebAssembly module, not a component
  --> reactor.wasm
   = note: only a component declares which key-value functions it imports
   = help: wasm-tools component new reactor.wasm --adapt wasi_snapshot_preview1.reactor.wasm -o reactor.component.wasm
           it imports WASI preview 1 and does not export _start: that adapter is for a reactor, and is among the files of each
           wasmtime release, https://github.com/bytecodealliance/wasmtime/releases
",
    );
}

#[test]
fn a_file_that_is_not_webassembly_is_refused_by_its_first_bytes() {
    let folder = Folder::new();
    folder.write("app.wasm", "<!DOCTYPE html><title>Not found</title>");
    folder.refuses(
        &["fuse", "app.wasm"],
        1,
        "\
error: this is not WebAssembly
  --> app.wasm
   = note: a component begins with the bytes 00 61 73 6d 0d 00 01 00; this file begins with 3c 21 44 4f 43 54 59 50
   = help: kvfuse takes the output of compilers for wasm32-wasip2, of componentize-py and of jco componentize
",
    );
}

#[test]
fn the_text_format_is_refused_with_how_to_convert_it() {
    let folder = Folder::new();
    folder.write("app.wat", "(component)");
    folder.refuses(
        &["fuse", "app.wat"],
        1,
        "\
error: this is not WebAssembly
  --> app.wat
   = note: a component begins with the bytes 00 61 73 6d 0d 00 01 00; this file begins with 28 63 6f 6d 70 6f 6e 65
   = help: it looks like the text format; make it binary: wasm-tools parse app.wat -o app.wasm
",
    );
}

#[test]
fn a_gibibyte_of_zeros_is_refused_by_its_first_bytes() {
    let folder = Folder::new();
    let file = std::fs::File::create(folder.path("zeros.wasm")).unwrap();
    file.set_len(1 << 30).unwrap();
    folder.refuses(
        &["fuse", "zeros.wasm"],
        1,
        "\
error: this is not WebAssembly
  --> zeros.wasm
   = note: a component begins with the bytes 00 61 73 6d 0d 00 01 00; this file begins with 00 00 00 00 00 00 00 00
   = help: kvfuse takes the output of compilers for wasm32-wasip2, of componentize-py and of jco componentize
",
    );
}

#[test]
fn zeros_after_a_valid_header_are_refused_by_their_number() {
    let folder = Folder::new();
    folder.write("big.wasm", b"\0asm\x0d\0\x01\0");
    let file = std::fs::OpenOptions::new().write(true).open(folder.path("big.wasm")).unwrap();
    file.set_len((1 << 30) + 1).unwrap();
    folder.refuses(
        &["fuse", "big.wasm"],
        1,
        "\
error: this component has 1073741825 bytes; the limit is 1073741824
  --> big.wasm
   = help: strip its debugging information (wasm-tools strip), or keep large data in files
",
    );
}

#[test]
fn an_empty_file_and_a_directory_are_told_apart() {
    let folder = Folder::new();
    folder.write("empty.wasm", "");
    folder.refuses(
        &["inspect", "empty.wasm"],
        1,
        "\
error: this file is empty
  --> empty.wasm
   = help: build the component again
",
    );
    std::fs::create_dir(folder.path("release")).unwrap();
    folder.refuses(
        &["inspect", "release"],
        3,
        "\
error: cannot read the component: this is a directory
  --> release
   = help: name the file in it that your build made, such as target/wasm32-wasip2/release/app.wasm
",
    );
}

#[test]
fn a_component_that_was_cut_off_says_where_it_ends() {
    let folder = Folder::new();
    let whole = draft2_consumer();
    folder.write("app.wasm", &whole[..whole.len() - 10]);
    let end = whole.len() - 10;
    let ran = folder.kvfuse(&["fuse", "app.wasm"]);
    let mut lines = ran.stderr.lines();
    assert_eq!(lines.next(), Some("error: this component is cut off"));
    assert_eq!(lines.next(), Some(format!("  --> app.wasm: byte {end}, the end of the file").as_str()));
    assert_eq!(lines.next_back(), Some("   = help: build it again; if it came over a network, fetch it again"));
    assert_eq!(ran.code, Some(1));

    folder.write("start.wasm", &whole[..6]);
    folder.refuses(
        &["fuse", "start.wasm"],
        1,
        "\
error: this component is cut off
  --> start.wasm: byte 6, the end of the file
   = note: it ends within its first 8 bytes
   = help: build it again; if it came over a network, fetch it again
",
    );
}

#[test]
fn no_truncated_component_is_accepted_or_crashes_kvfuse() {
    let folder = Folder::new();
    let whole = draft2_consumer();
    for length in (0..whole.len()).step_by(7) {
        folder.write("app.wasm", &whole[..length]);
        let ran = folder.kvfuse(&["fuse", "app.wasm"]);
        // After the exports there are only custom sections, which do not change what it does.
        if ran.stdout.contains("exports     run\n") {
            continue;
        }
        assert_eq!(ran.code, Some(1), "{length}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.starts_with("error: this "), "{length}: {}", ran.stderr);
    }
}

#[test]
fn a_damaged_component_says_at_which_byte() {
    let folder = Folder::new();
    let mut bytes = draft2_consumer();
    bytes[8] = 0x7f; // no section has this number
    folder.write("app.wasm", bytes);
    folder.refuses(
        &["fuse", "app.wasm"],
        1,
        "\
error: this component is damaged
  --> app.wasm: byte 11
   = note: malformed section id: 127
   = help: build it again; if it came over a network, compare its checksum
",
    );
}

#[test]
fn a_missing_and_an_unreadable_file_say_why() {
    let folder = Folder::new();
    folder.refuses(
        &["fuse", "app.wasm"],
        3,
        "\
error: cannot read the component: there is no such file
  --> app.wasm
   = help: the first argument is the path of a component (*.wasm)
",
    );
    // Nobody can read address 0 of a process, not even root.
    #[cfg(target_os = "linux")]
    folder.refuses(
        &["fuse", "/proc/self/mem"],
        3,
        "\
error: cannot read the component: Input/output error
  --> /proc/self/mem
",
    );
}

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
    let wasmcloud = "package wasmcloud:keyvalue@0.2.0 {
        interface store { get: async func(key: string) -> option<list<u8>>; }
        interface atomics { increment: async func(key: string) -> s64; }
    }";
    let imports = "import wasmcloud:keyvalue/store@0.2.0; import wasmcloud:keyvalue/atomics@0.2.0;";
    let own = "wasmCloud's own interface: asynchronous, of WASI 0.3";
    refused(wasmcloud, imports, "wasmcloud:keyvalue@0.2.0", own);

    let spin = "package spin:key-value@3.0.0 { interface key-value { get: async func(key: string) -> string; } }";
    let own = "Spin's own interface: asynchronous, of WASI 0.3";
    refused(spin, "import spin:key-value/key-value@3.0.0;", "spin:key-value@3.0.0", own);

    let next = "package wasi:keyvalue@0.3.0 { interface store { get: async func(key: string) -> string; } }";
    let note = "an asynchronous interface, of WASI 0.3; the stores have the synchronous generations";
    refused(next, "import wasi:keyvalue/store@0.3.0;", "wasi:keyvalue@0.3.0", note);
}
