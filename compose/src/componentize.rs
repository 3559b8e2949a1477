//! From a guest's core module to a component.

use crate::Interfaces;
use crate::error::Error;
use crate::sections::{Rebuilt, sections};
use wasi_preview1_component_adapter_provider as preview1;
use wasm_metadata::{AddMetadata, AddMetadataField};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// The interfaces that a component may import, each an exact name with its version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<String>);

impl Allowed {
    /// Reads a list with one name per line. Blank lines and lines that begin with `#` are ignored.
    ///
    /// ```
    /// # let component = wat::parse_str(r#"(component (import "wasi:io/poll@0.2.6" (instance)))"#)?;
    /// let allowed = kvfuse_compose::Allowed::parse("# what it waits with\nwasi:io/poll@0.2.6\n");
    /// allowed.check(&component)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(str::to_string).collect())
    }

    /// Compares a component's imports with the list, in both directions: if the list allowed an interface that is not
    /// imported, nobody would notice when it is one day.
    ///
    /// # Errors
    /// [`Error::Imports`] if they differ, and those of [`Interfaces::of`].
    pub fn check(&self, component: &[u8]) -> Result<(), Error> {
        let imports = Interfaces::of(component)?.imports;
        let extra: Vec<_> = imports.iter().filter(|name| !self.0.contains(name)).cloned().collect();
        let unused: Vec<_> = self.0.iter().filter(|name| !imports.contains(name)).cloned().collect();
        if extra.is_empty() && unused.is_empty() { Ok(()) } else { Err(Error::Imports { extra, unused }) }
    }
}

/// The metadata of a component.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The component's name.
    pub name: String,
    /// One sentence on what it does.
    pub description: String,
    /// Its version, such as `0.1.0`.
    pub version: String,
    /// An SPDX expression.
    pub licenses: String,
}

/// Makes a component from a core module that carries its world (as wit-bindgen leaves it), or takes a component as it
/// is; then sets the metadata. Imports of WASI preview 1 are satisfied by the adapter that wasmtime publishes.
///
/// Function names are dropped, because they would be a fifth of a small component.
///
/// ```
/// use kvfuse_compose::{About, Interfaces, componentize};
/// # use wit_component::{StringEncoding, embed_component_metadata};
/// # let mut resolve = wit_parser::Resolve::default();
/// # let package = resolve.push_str("app.wit", "package acme:app; world app {}")?;
/// # let world = resolve.select_world(&[package], None)?;
/// # let mut module = b"\0asm\x01\0\0\0".to_vec();
/// # embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
/// let about = About {
///     name: "app".into(),
///     description: "Does nothing".into(),
///     version: "0.1.0".into(),
///     licenses: "Apache-2.0".into(),
/// };
/// let component = componentize(&module, &about)?;
/// assert_eq!(Interfaces::of(&component)?, Interfaces::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if the bytes are not WebAssembly, or damaged, [`Error::Componentize`] if the module carries no
/// world or does not match it, [`Error::Metadata`] if a version or licence is malformed.
pub fn componentize(wasm: &[u8], about: &About) -> Result<Vec<u8>, Error> {
    let component = if Parser::is_component(wasm) { wasm.to_vec() } else { encode(&without(wasm, "name")?)? };
    let component = without(&component, "component-name")?;
    set_metadata(&component, about).map_err(Error::Metadata)
}

fn set_metadata(component: &[u8], about: &About) -> Result<Vec<u8>, crate::error::Source> {
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(about.name.clone());
    metadata.description = AddMetadataField::Set(about.description.parse()?);
    metadata.licenses = AddMetadataField::Set(about.licenses.parse()?);
    metadata.version = AddMetadataField::Set(about.version.parse()?);
    Ok(metadata.to_wasm(component)?)
}

/// Removes a custom section from the outermost level. This is for names: those of a module's functions take a fifth of
/// a provider, and those that the encoder gives to a component's internals a twelfth. Every consumer carries a
/// provider, so its size matters. (Cargo's `strip = "symbols"` would also remove the producers.)
fn without(wasm: &[u8], section_name: &str) -> Result<Vec<u8>, Error> {
    let mut kept = Rebuilt::like(wasm);
    for section in sections(wasm)? {
        if !matches!(&section.payload, Payload::CustomSection(custom) if custom.name() == section_name) {
            kept.keep(&section);
        }
    }
    Ok(kept.finish())
}

fn encode(module: &[u8]) -> Result<Vec<u8>, Error> {
    // The module of WASI preview 1. A C library from before components imports its functions.
    const PREVIEW1: &str = "wasi_snapshot_preview1";
    let (mut imports, mut command) = (false, false);
    for section in sections(module)? {
        match section.payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports |= import?.module == PREVIEW1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    command |= export?.name == "_start";
                }
            }
            _ => {}
        }
    }
    let encoded = || {
        let mut encoder = ComponentEncoder::default();
        encoder.module(module)?;
        if imports {
            let for_commands = preview1::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
            let adapter = if command { for_commands } else { preview1::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER };
            encoder.adapter(PREVIEW1, adapter)?;
        }
        encoder.validate(true).encode()
    };
    encoded().map_err(|e| Error::Componentize(e.into()))
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
    fn a_core_module_without_a_world_is_not_a_component() {
        let module = wat::parse_str(r#"(module (import "a" "b" (func)))"#).unwrap();
        assert!(matches!(Interfaces::of(&module), Err(Error::CoreModule)));
        assert!(matches!(componentize(&module, &About::default()), Err(Error::Componentize(_))));
        assert!(matches!(Interfaces::of(b"not wasm"), Err(Error::Invalid(_))));
    }
}
