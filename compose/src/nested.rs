//! The components inside a component.

use anyhow::{Context, Result};
use std::ops::Range;
use wasmparser::{Parser, Payload};

/// A component that another one carries, at any depth.
#[derive(Clone, Debug, Default)]
pub struct Nested {
    /// Its bytes within the outermost component.
    pub range: Range<usize>,
    /// What it is called in its name section.
    pub name: Option<String>,
    pub exports: Vec<String>,
    /// It has labelled imports (`implements`).
    pub labels: bool,
}

/// All of them, outer ones before those they carry.
pub fn nested(component: &[u8]) -> Result<Vec<Nested>> {
    let mut found: Vec<Nested> = Vec::new();
    // What is open at the moment; `None` is the outermost component or a core module.
    let mut open: Vec<Option<usize>> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.context("this is not a valid WebAssembly component")? {
            Payload::Version { .. } if open.is_empty() => open.push(None),
            Payload::ModuleSection { .. } => open.push(None),
            Payload::ComponentSection { unchecked_range, .. } => {
                open.push(Some(found.len()));
                let range = usize::try_from(unchecked_range.start)?..usize::try_from(unchecked_range.end)?;
                found.push(Nested { range, ..Nested::default() });
            }
            Payload::End(_) => drop(open.pop()),
            Payload::ComponentExportSection(section) => {
                if let Some(nested) = open.last().copied().flatten().and_then(|index| found.get_mut(index)) {
                    for export in section {
                        nested.exports.push(export?.name.name.to_string());
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                if let Some(nested) = open.last().copied().flatten().and_then(|index| found.get_mut(index)) {
                    for import in section {
                        nested.labels |= import?.name.implements.is_some();
                    }
                }
            }
            Payload::CustomSection(section) if section.name() == "component-name" => {
                if let Some(nested) = open.last().copied().flatten().and_then(|index| found.get_mut(index)) {
                    nested.name = name(section.data(), section.data_offset());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

// Names are decoration: one that cannot be read is none.
fn name(data: &[u8], offset: u64) -> Option<String> {
    let reader = wasmparser::ComponentNameSectionReader::new(wasmparser::BinaryReader::new(data, offset));
    reader.into_iter().find_map(|part| match part {
        Ok(wasmparser::ComponentName::Component { name, .. }) => Some(name.to_string()),
        _ => None,
    })
}
