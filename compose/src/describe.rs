//! A description of a component as text.

use crate::error::Error;
use crate::{FlatParts, Interfaces, Memories};
use std::fmt;
use wasm_metadata::{Metadata, Payload};

/// Imports, exports and producers metadata, those of nested components included, as text for people. Sizes are in
/// bytes.
///
/// ```
/// let component = wat::parse_str(r#"(component (import "wasi:io/poll@0.2.6" (instance)))"#)?;
/// let text = kvfuse_compose::describe(&component)?;
/// assert!(text.starts_with("imports:\n  wasi:io/poll@0.2.6\nexports:\n  nothing\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`Interfaces::of`], and [`Error::Metadata`].
pub fn describe(component: &[u8]) -> Result<String, Error> {
    let interfaces = Interfaces::of(component)?;
    let payload = Payload::from_binary(component).map_err(|e| Error::Metadata(e.into()))?;
    Ok(Description { interfaces, payload, parts: FlatParts::inside(component)? }.to_string())
}

/// A component's own name, if its metadata has one.
pub(crate) fn name(component: &[u8]) -> Option<String> {
    Payload::from_binary(component).ok()?.metadata().name.clone()
}

struct Description {
    interfaces: Interfaces,
    payload: Payload,
    parts: Option<FlatParts>,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, names) in [("imports", &self.interfaces.imports), ("exports", &self.interfaces.exports)] {
            writeln!(f, "{title}:")?;
            if names.is_empty() {
                writeln!(f, "  nothing")?;
            }
            for name in names {
                writeln!(f, "  {name}")?;
            }
        }
        if let Some(parts) = &self.parts {
            let memories = match parts.memories {
                Memories::Two => "",
                Memories::One => " with one memory in each module",
            };
            writeln!(f, "flat{memories}, of:")?;
            for (which, part) in [("consumer", &parts.consumer), ("provider", &parts.provider)] {
                writeln!(f, "  {which} {}, {} bytes", part.name.as_deref().unwrap_or("(unnamed)"), part.size)?;
            }
        }
        writeln!(f, "metadata:")?;
        metadata(&self.payload, 1, f)
    }
}

fn metadata(payload: &Payload, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (kind, data, children) = match payload {
        Payload::Component { metadata, children } => ("component", metadata, children.as_slice()),
        Payload::Module(metadata) => ("module", metadata, [].as_slice()),
    };
    let producers = producers(data);
    // Modules without metadata are adapters: wiring.
    if data.name.is_some() || !producers.is_empty() || !children.is_empty() {
        let name = data.name.as_deref().unwrap_or("(unnamed)");
        let size = data.range.end.saturating_sub(data.range.start);
        write!(f, "{:indent$}{kind} {name}, {size} bytes", "", indent = 2 * depth)?;
        if let Some(version) = &data.version {
            write!(f, ", version {version}")?;
        }
        writeln!(f)?;
        for line in data.description.iter().map(ToString::to_string).chain(producers) {
            writeln!(f, "{:indent$}{line}", "", indent = 2 * depth + 4)?;
        }
    }
    children.iter().try_for_each(|child| metadata(child, depth + 1, f))
}

fn producers(data: &Metadata) -> Vec<String> {
    let fields = data.producers.iter().flat_map(|producers| producers.iter());
    fields
        .map(|(field, values)| {
            let values: Vec<_> = values.iter().map(|(name, version)| format!("{name} {version}")).collect();
            format!("{field}: {}", values.join(", ").replace(" ,", ","))
        })
        .collect()
}
