//! The names of what a component imports and exports.

use anyhow::{Context, Result, bail};
use wasmparser::{Encoding, Parser, Payload};

/// Names as they stand in the component, such as `wasi:keyvalue/store@0.2.0-draft2`, in the order of the component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

impl Interfaces {
    /// Reads them from a component's outermost level.
    pub fn of(component: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.context("this is not a valid WebAssembly component")? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    bail!("this is a core WebAssembly module, not a component")
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        found.imports.push(import?.name.name.to_string());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        found.exports.push(export?.name.name.to_string());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}
