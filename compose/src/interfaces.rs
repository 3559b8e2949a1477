//! The names of what a component imports and exports.

use crate::error::Error;
use crate::sections::sections;
use wasmparser::{Parser, Payload};

/// The names of what a component imports and exports, such as `wasi:keyvalue/store@0.2.0-draft2`, in the order of the
/// component. [`World`](crate::World) has the functions as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// The imports.
    pub imports: Vec<String>,
    /// The exports.
    pub exports: Vec<String>,
}

impl Interfaces {
    /// Reads them from a component's outermost level.
    ///
    /// ```
    /// let component = wat::parse_str(r#"(component (import "wasi:io/poll@0.2.6" (instance)))"#)?;
    /// let interfaces = kvfuse_compose::Interfaces::of(&component)?;
    /// assert_eq!(interfaces.imports, ["wasi:io/poll@0.2.6"]);
    /// assert!(interfaces.exports.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CoreModule`], or [`Error::Invalid`] if the bytes are not WebAssembly, or damaged.
    pub fn of(component: &[u8]) -> Result<Self, Error> {
        if Parser::is_core_wasm(component) {
            return Err(Error::CoreModule);
        }
        let mut found = Self::default();
        for section in sections(component)? {
            match section.payload {
                Payload::ComponentImportSection(section) => {
                    for import in section {
                        found.imports.push(import?.name.name.to_string());
                    }
                }
                Payload::ComponentExportSection(section) => {
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
