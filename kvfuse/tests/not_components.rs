//! Files that are not components, or not whole: the exact error, and the exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use support::{Folder, draft2_consumer, module};

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
fn a_module_for_preview_1_with_a_world_is_refused_with_the_target_that_makes_a_component_as_well() {
    let folder = Folder::new();
    let import = "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))";
    let mut module = wat::parse_str(format!("(module {import} (func (export \"run\")))")).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("test.wit", "package test:it; world w { export run: func(); }").unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8).unwrap();
    folder.write("app.wasm", module);
    folder.refuses(
        &["inspect", "app.wasm"],
        1,
        "\
error: this is a core WebAssembly module, not a component
  --> app.wasm
   = note: only a component declares which key-value functions it imports
   = help: build it for a target that makes components, such as wasm32-wasip2 in Rust; or make one of it:
   = help: wasm-tools component new app.wasm --adapt wasi_snapshot_preview1.reactor.wasm -o app.component.wasm
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
