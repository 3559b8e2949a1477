//! From a guest's core module to a component.

use crate::Interfaces;
use anyhow::{Context, Result, bail};
use wasi_preview1_component_adapter_provider as preview1;
use wasm_metadata::AddMetadata;
use wasmparser::Payload;
use wit_component::ComponentEncoder;

/// The interfaces that a component may import, each an exact name with its version.
///
/// As text: one name a line; blank lines and lines that begin with `#` say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<String>);

impl Allowed {
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(str::to_string).collect())
    }

    /// Compares a component's imports with the list. Both directions count: a list that allows what is never imported
    /// would hide the day when it is.
    pub fn check(&self, component: &[u8]) -> Result<()> {
        let imports = Interfaces::of(component)?.imports;
        let extra: Vec<_> = imports.iter().filter(|name| !self.0.contains(name)).cloned().collect();
        let unused: Vec<_> = self.0.iter().filter(|name| !imports.contains(name)).cloned().collect();
        if extra.is_empty() && unused.is_empty() {
            return Ok(());
        }
        let mut message = String::new();
        if !extra.is_empty() {
            message.push_str("the component imports what its list does not allow:");
            extra.iter().for_each(|name| message.push_str(&format!("\n  {name}")));
        }
        if !unused.is_empty() {
            message.push_str(if message.is_empty() { "" } else { "\n" });
            message.push_str("its list allows what the component does not import:");
            unused.iter().for_each(|name| message.push_str(&format!("\n  {name}")));
        }
        bail!(message)
    }
}

/// What a component says about itself in its metadata.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub name: String,
    pub description: String,
    pub version: String,
    pub licenses: String,
}

/// Makes a component from a core module that carries its world (as wit-bindgen leaves it), or takes a component as it
/// is; then adds the metadata.
pub fn componentize(wasm: &[u8], about: &About) -> Result<Vec<u8>> {
    let component = if wasmparser::Parser::is_component(wasm) {
        wasm.to_vec()
    } else {
        encode(&without(wasm, "name")?).context("the core module cannot be made a component")?
    };
    let component = without(&component, "component-name")?;
    let mut metadata = AddMetadata::default();
    metadata.name = wasm_metadata::AddMetadataField::Set(about.name.clone());
    metadata.description = wasm_metadata::AddMetadataField::Set(about.description.parse()?);
    metadata.licenses = wasm_metadata::AddMetadataField::Set(about.licenses.parse()?);
    metadata.version = wasm_metadata::AddMetadataField::Set(about.version.parse()?);
    metadata.to_wasm(&component)
}

/// Removes a custom section from the outermost level. Names, that is: those of a module's functions are a fifth of a
/// provider, those that the encoder gives a component's internals a twelfth, and a provider is in every consumer. (Cargo's
/// `strip = "symbols"` would take the producers along.)
fn without(wasm: &[u8], section_name: &str) -> Result<Vec<u8>> {
    let mut kept = Vec::with_capacity(wasm.len());
    let mut depth = 0usize;
    // The preamble, then each section from the end of the one before.
    let mut end = 0;
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let payload = payload.context("this is not valid WebAssembly")?;
        let nested = match &payload {
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                depth += 1;
                Some(unchecked_range.end)
            }
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                None
            }
            _ => None,
        };
        let section = match (&payload, nested) {
            (_, Some(end)) if depth == 1 => Some(end),
            (Payload::Version { range, .. }, _) if depth == 0 => Some(range.end),
            (payload, None) if depth == 0 => payload.as_section().map(|(_, range)| range.end),
            _ => None,
        };
        let Some(next) = section else { continue };
        let named = matches!(&payload, Payload::CustomSection(custom) if custom.name() == section_name);
        if !named {
            kept.extend_from_slice(
                wasm.get(end as usize..next as usize).context("a section does not end in the file")?,
            );
        }
        end = next;
    }
    Ok(kept)
}

fn encode(module: &[u8]) -> Result<Vec<u8>> {
    // A module built for WASI preview 1 (by a clang whose C library knows no other) calls functions that no component has.
    const PREVIEW1: &str = "wasi_snapshot_preview1";
    let (mut imports, mut command) = (false, false);
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        match payload? {
            wasmparser::Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports |= import?.module == PREVIEW1;
                }
            }
            wasmparser::Payload::ExportSection(section) => {
                for export in section {
                    command |= export?.name == "_start";
                }
            }
            _ => {}
        }
    }
    let mut encoder = ComponentEncoder::default();
    encoder.module(module)?;
    if imports {
        let for_commands = preview1::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
        encoder
            .adapter(PREVIEW1, if command { for_commands } else { preview1::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER })?;
    }
    encoder.validate(true).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn importing(names: &[&str]) -> Vec<u8> {
        let mut component = wasm_encoder_component();
        for name in names {
            component = add_import(component, name);
        }
        component
    }

    // A component that imports empty instances, written out by hand: preamble, then a type and an import section each.
    fn wasm_encoder_component() -> Vec<u8> {
        b"\0asm\x0d\0\x01\0".to_vec()
    }

    fn add_import(mut component: Vec<u8>, name: &str) -> Vec<u8> {
        let index = component.windows(2).filter(|w| w == b"\x07\x03").count() as u8;
        component.extend([7, 3, 1, 0x42, 0]); // type section: one instance type without declarations
        let mut body = vec![1, 0, name.len() as u8];
        body.extend(name.as_bytes());
        body.extend([5, index]); // an instance of that type
        component.extend([10, body.len() as u8]);
        component.extend(body);
        component
    }

    #[test]
    fn an_import_that_is_not_on_the_list_is_named() {
        let component = importing(&["wasi:io/poll@0.2.12", "wasi:cli/stdout@0.2.12"]);
        let allowed = Allowed::parse("# what it reads\nwasi:io/poll@0.2.12\n\n");
        let error = allowed.check(&component).unwrap_err().to_string();
        assert!(error.contains("does not allow:\n  wasi:cli/stdout@0.2.12"), "{error}");
        assert!(Allowed::parse("wasi:io/poll@0.2.12\nwasi:cli/stdout@0.2.12").check(&component).is_ok());
    }

    #[test]
    fn a_list_that_allows_too_much_is_refused_as_well() {
        let component = importing(&["wasi:io/poll@0.2.12"]);
        let error = Allowed::parse("wasi:io/poll@0.2.12\nwasi:random/random@0.2.12").check(&component).unwrap_err();
        assert!(error.to_string().contains("does not import:\n  wasi:random/random@0.2.12"), "{error}");
    }

    #[test]
    fn names_are_dropped_and_everything_else_stays() {
        let custom = |name: &str| [&[0, name.len() as u8 + 3, name.len() as u8][..], name.as_bytes(), b"xy"].concat();
        let header = b"\0asm\x01\0\0\0";
        let module = [&header[..], &custom("first"), &custom("name"), &[1, 1, 0], &custom("producers")].concat();
        let expected = [&header[..], &custom("first"), &[1, 1, 0], &custom("producers")].concat();
        assert_eq!(without(&module, "name").unwrap(), expected);
        assert!(without(b"not wasm", "name").is_err());
    }

    #[test]
    fn a_core_module_without_a_world_is_no_component() {
        assert!(Interfaces::of(b"\0asm\x01\0\0\0").is_err());
        assert!(Interfaces::of(b"not wasm").is_err());
    }
}
