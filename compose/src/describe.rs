//! A component in words.

use crate::Interfaces;
use anyhow::Result;
use std::fmt::Write;
use wasm_metadata::{Metadata, Payload};

/// Imports, exports and producers metadata, those of nested components included, as text for people.
pub fn describe(component: &[u8]) -> Result<String> {
    let interfaces = Interfaces::of(component)?;
    let mut out = String::new();
    for (title, names) in [("imports", &interfaces.imports), ("exports", &interfaces.exports)] {
        writeln!(out, "{title}:")?;
        if names.is_empty() {
            writeln!(out, "  nothing")?;
        }
        for name in names {
            writeln!(out, "  {name}")?;
        }
    }
    writeln!(out, "metadata:")?;
    metadata(&Payload::from_binary(component)?, 1, &mut out)?;
    Ok(out)
}

fn metadata(payload: &Payload, depth: usize, out: &mut String) -> Result<()> {
    let (kind, data, children) = match payload {
        Payload::Component { metadata, children } => ("component", metadata, children.as_slice()),
        Payload::Module(metadata) => ("module", metadata, [].as_slice()),
    };
    let producers = producers(data);
    // Adapter modules without a word about themselves are wiring.
    if data.name.is_some() || !producers.is_empty() || !children.is_empty() {
        let name = data.name.as_deref().unwrap_or("(unnamed)");
        let size = data.range.end.saturating_sub(data.range.start);
        write!(out, "{:indent$}{kind} {name}, {size} bytes", "", indent = 2 * depth)?;
        if let Some(version) = &data.version {
            write!(out, ", version {version}")?;
        }
        writeln!(out)?;
        for line in data.description.iter().map(ToString::to_string).chain(producers) {
            writeln!(out, "{:indent$}{line}", "", indent = 2 * depth + 4)?;
        }
    }
    children.iter().try_for_each(|child| metadata(child, depth + 1, out))
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
