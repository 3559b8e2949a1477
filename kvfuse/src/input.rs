//! Reads a file that should be a component. If it is something else, the user is told what, and quickly: only the first
//! bytes are read until they look right.

use crate::refusal::{Refusal, Result, chain};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

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
    if version == MODULE {
        return Refusal::new(place, "this is a core WebAssembly module, not a component")
            .note("only a component declares which key-value functions it imports")
            .help(
                "Rust: build with --target wasm32-wasip2\n\
                 a module that wit-bindgen made: wasm-tools component new app.wasm -o app.component.wasm\n\
                 a module for WASI preview 1: the same with --adapt wasi_snapshot_preview1.command.wasm",
            )
            .err();
    }
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

fn validate(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
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

// The validator accepts a custom section at the end whose content is incomplete; fusing would move it into the middle of
// another file.
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

/// What the component imports and exports, or why WIT cannot express it.
pub fn read_world(path: &Path, bytes: &[u8]) -> Result<kvfuse_compose::World> {
    kvfuse_compose::World::of(bytes).map_err(|e| {
        Box::new(
            Refusal::new(path.display(), "the imports and exports of this component cannot be read")
                .note(chain(&e))
                .help("kvfuse supports components whose imports and exports are interfaces, functions and types"),
        )
    })
}
