//! The components inside a component.

use crate::error::Error;
use std::ops::Range;
use wasmparser::{Parser, Payload};

/// A component inside another one, at any depth.
#[derive(Clone, Debug, Default)]
pub struct Nested {
    /// Where its bytes are within the outermost component, as offsets in bytes.
    pub range: Range<usize>,
    /// Its name, if its name section has one.
    pub name: Option<String>,
    /// The names of its exports, in its own order.
    pub exports: Vec<String>,
    /// Whether it has labelled imports (`import sessions: wasi:keyvalue/store@…`).
    pub labels: bool,
}

/// All components inside a component, outer ones before inner ones.
///
/// ```
/// let component = wat::parse_str("(component (component $inner) (component (component)))")?;
/// let nested = kvfuse_compose::nested(&component)?;
/// assert_eq!(nested.len(), 3);
/// assert_eq!(nested[0].name.as_deref(), Some("inner"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if the bytes are not WebAssembly, or damaged.
pub fn nested(component: &[u8]) -> Result<Vec<Nested>, Error> {
    let mut found: Vec<Nested> = Vec::new();
    // The components that are open at the moment; `None` is the outermost component or a core module.
    let mut open: Vec<Option<usize>> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::Version { .. } if open.is_empty() => open.push(None),
            Payload::ModuleSection { .. } => open.push(None),
            Payload::ComponentSection { unchecked_range: range, .. } => {
                open.push(Some(found.len()));
                let too_large = |_| Error::Invalid("a component is larger than the address space".into());
                let offset = |offset: u64| usize::try_from(offset).map_err(too_large);
                found.push(Nested { range: offset(range.start)?..offset(range.end)?, ..Nested::default() });
            }
            Payload::End(_) => drop(open.pop()),
            _ => {
                if let Some(nested) = open.last().copied().flatten().and_then(|index| found.get_mut(index)) {
                    nested.learn(payload)?;
                }
            }
        }
    }
    Ok(found)
}

impl Nested {
    fn learn(&mut self, payload: Payload) -> Result<(), Error> {
        match payload {
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.name.to_string());
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.labels |= import?.name.implements.is_some();
                }
            }
            Payload::CustomSection(section) if section.name() == "component-name" => {
                self.name = name(section.data(), section.data_offset());
            }
            _ => {}
        }
        Ok(())
    }
}

// Names are only informative: one that cannot be read is left out.
fn name(data: &[u8], offset: u64) -> Option<String> {
    let reader = wasmparser::ComponentNameSectionReader::new(wasmparser::BinaryReader::new(data, offset));
    reader.into_iter().find_map(|part| match part {
        Ok(wasmparser::ComponentName::Component { name, .. }) => Some(name.to_string()),
        _ => None,
    })
}
