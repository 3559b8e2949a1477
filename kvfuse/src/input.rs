//! Reads a file that should be a component. If it is something else, the error says what it is, and quickly: only the
//! first bytes are read until they look right.

use crate::refusal::{Refusal, Result, chain};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use wasmparser::{Payload, Validator, WasmFeatures};

/// Larger than any component a compiler makes (those that carry a Python interpreter have 20 to 60 MB).
const LARGEST: u64 = 1 << 30;

const MAGIC: &[u8] = b"\0asm";
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
const MODULE: &[u8] = &[1, 0, 0, 0];

pub fn read_component(path: &Path) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| {
        let refusal = Refusal::file(path, format!("cannot read the component: {}", reason(&e)));
        Box::new(match e.kind() {
            ErrorKind::NotFound => refusal.help("the first argument is the path of a component (*.wasm)"),
            _ => refusal,
        })
    };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Refusal::file(path, "cannot read the component: this is a directory")
            .help("name the file in it that your build made, such as target/wasm32-wasip2/release/app.wasm")
            .err();
    }

    let mut bytes = Vec::new();
    (&mut file).take(8).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.strip_prefix(MAGIC) == Some(MODULE) {
        file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        return core_module(path, &bytes).err();
    }
    recognise(path, &bytes)?;
    if metadata.len() > LARGEST {
        return Refusal::new(
            path.display(),
            format!("this component has {} bytes; the limit is {LARGEST}", metadata.len()),
        )
        .help("strip its debugging information (wasm-tools strip), or keep large data in files")
        .err();
    }
    file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
    validate(path, &bytes)?;
    Ok(bytes)
}

fn recognise(path: &Path, start: &[u8]) -> Result<()> {
    let place = path.display();
    if start.is_empty() {
        return Refusal::new(place, "this file is empty").help("build the component again").err();
    }
    if MAGIC.starts_with(start) {
        return truncated(path, start.len() as u64, "it ends within its first 8 bytes");
    }
    let Some(version) = start.strip_prefix(MAGIC) else {
        let refusal = Refusal::new(place, "this is not WebAssembly").note(format!(
            "a component begins with the bytes 00 61 73 6d 0d 00 01 00; this file begins with {}",
            hex(start)
        ));
        return match start.trim_ascii_start().first() {
            Some(b'(') => {
                refusal.help("it looks like the text format; make it binary: wasm-tools parse app.wat -o app.wasm")
            }
            _ => refusal.help(
                "kvfuse takes the output of compilers for wasm32-wasip2, of componentize-py and of jco componentize",
            ),
        }
        .err();
    };
    if version == COMPONENT {
        return Ok(());
    }
    if version.len() < COMPONENT.len() {
        return truncated(path, start.len() as u64, "it ends within its first 8 bytes");
    }
    Refusal::new(place, "this is an unknown version of WebAssembly")
        .note(format!("the version bytes of a component are 0d 00 01 00; here they are {}", hex(version)))
        .help("build it with current tools")
        .err()
}

/// How a core module becomes a component.
fn core_module(path: &Path, module: &[u8]) -> Refusal {
    let refusal = Refusal::new(path.display(), "this is a core WebAssembly module, not a component")
        .note("only a component declares which key-value functions it imports");
    let (mut world, mut preview1, mut command) = (false, false, false);
    // A module that cannot be parsed is not examined: the tool that makes a component of it says what is wrong.
    for payload in wasmparser::Parser::new(0).parse_all(module).map_while(Result::ok) {
        match payload {
            Payload::CustomSection(section) => world |= section.name().starts_with("component-type"),
            Payload::ImportSection(section) => {
                let mut imports = section.into_imports().map_while(Result::ok);
                preview1 |= imports.any(|import| import.module == "wasi_snapshot_preview1");
            }
            Payload::ExportSection(section) => {
                command |= section.into_iter().map_while(Result::ok).any(|export| export.name == "_start");
            }
            _ => {}
        }
    }
    let (file, new) = (path.display().to_string(), path.with_extension("component.wasm").display().to_string());
    let (file, new) = (crate::needs::quote(&file), crate::needs::quote(&new));
    if preview1 {
        let (kind, reason) = if command { ("command", "exports") } else { ("reactor", "does not export") };
        // An application for Spin 2 or 3, for example.
        let refusal = match world {
            true => refusal
                .help("build it for a target that makes components, such as wasm32-wasip2 in Rust; or make one of it:"),
            false => refusal,
        };
        return refusal.help(format!(
            "wasm-tools component new {file} --adapt wasi_snapshot_preview1.{kind}.wasm -o {new}\n\
             it imports WASI preview 1 and {reason} _start: that adapter is for a {kind}, and is among the files of each\n\
             wasmtime release, https://github.com/bytecodealliance/wasmtime/releases"
        ));
    }
    match world {
        true => refusal.help(format!("wasm-tools component new {file} -o {new}")),
        false => refusal
            .note("it carries no WIT world, so it was not built against a key-value interface")
            .help("build it for a target that makes components, such as wasm32-wasip2 in Rust"),
    }
}

fn validate(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    match validator.validate_all(bytes) {
        Ok(_) => last_section(path, bytes),
        Err(e) if e.offset() >= bytes.len() as u64 || e.message().contains("unexpected end") => {
            truncated(path, bytes.len() as u64, e.message())
        }
        Err(e) => Refusal::new(format!("{}: byte {}", path.display(), e.offset()), "this component is damaged")
            .note(e.message())
            .help("build it again; if it came over a network, compare its checksum")
            .err(),
    }
}

/// Whether anything in a valid component, at any depth, needs the asynchronous part of the component model: without it,
/// it would not be valid.
pub fn is_asynchronous(component: &[u8]) -> bool {
    let asynchronous = WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_ASYNC_STACKFUL
        | WasmFeatures::CM_MORE_ASYNC_BUILTINS
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_ERROR_CONTEXT;
    Validator::new_with_features(WasmFeatures::all() - asynchronous).validate_all(component).is_err()
}

// The validator accepts a custom section at the end whose content is incomplete; fusing would move it into the middle
// of another file.
fn last_section(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut at = 8;
    while at < bytes.len() {
        let mut reader = wasmparser::BinaryReader::new(bytes.get(at + 1..).unwrap_or_default(), 0);
        let end = reader.read_var_u32().ok().map(|size| at + 1 + reader.original_position() as usize + size as usize);
        match end {
            Some(end) if end <= bytes.len() => at = end,
            _ => return truncated(path, bytes.len() as u64, "its last section is incomplete"),
        }
    }
    Ok(())
}

fn truncated(path: &Path, length: u64, detail: &str) -> Result<()> {
    Refusal::new(format!("{}: byte {length}, the end of the file", path.display()), "this component is cut off")
        .note(detail)
        .help("build it again; if it came over a network, fetch it again")
        .err()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The operating system's message without its error number; in the common cases, the same on every platform.
pub fn reason(e: &std::io::Error) -> String {
    match e.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        _ => {
            let text = e.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_string()
        }
    }
}

/// The component's imports and exports, or why WIT cannot express them.
pub fn read_world(path: &Path, bytes: &[u8]) -> Result<kvfuse_compose::World> {
    kvfuse_compose::World::of(bytes).map_err(|e| {
        Box::new(
            Refusal::new(path.display(), "the imports and exports of this component cannot be read")
                .note(chain(&e))
                .help("kvfuse supports components whose imports and exports are interfaces, functions and types"),
        )
    })
}
