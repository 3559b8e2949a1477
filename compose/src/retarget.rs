//! Making a provider speak of the same WASI version as its consumer where the two share resources.
//!
//! Some generations pass streams and pollables of `wasi:io`. To a composer `wasi:io/streams@0.2.0` and
//! `wasi:io/streams@0.2.12` are different interfaces with different resources, although every host treats them as one.
//! So the provider's imports are renamed to the version that the consumer was built against.

use crate::fit::Wire;
use crate::world::{Item, World, split_name};
use anyhow::{Result, bail};
use wasmparser::{Encoding, Parser, Payload};

/// The imports of the provider that have to be renamed for these connections, from and to.
///
/// # Errors
/// If the consumer itself uses one package in two versions: its resources then have two types, and the provider's
/// functions only one.
pub fn renames(consumer: &World, provider: &World, wires: &[Wire]) -> Result<Vec<(String, String)>> {
    let mut packages: Vec<(String, String)> = Vec::new();
    for wire in wires {
        let import = consumer.imports.iter().find(|item| item.name == wire.import);
        let export = provider.exports.iter().find(|item| item.name == wire.export);
        let (Some(import), Some(export)) = (import, export) else { continue };
        for (to, from) in shared(import, export) {
            match packages.iter().find(|(f, _)| *f == from) {
                Some((_, other)) if *other != to => {
                    bail!("its key-value imports pass resources of both {other} and {to}: build it against one of them")
                }
                Some(_) => {}
                None => packages.push((from, to)),
            }
        }
    }
    packages.retain(|(from, to)| from != to);
    let rename = |item: &Item| {
        let (package, interface) = split_name(&item.name)?;
        let (_, to) = packages.iter().find(|(from, _)| *from == package)?;
        let (path, version) = to.split_once('@')?;
        Some((item.name.clone(), format!("{path}/{interface}@{version}")))
    };
    Ok(provider.imports.iter().filter_map(rename).collect())
}

/// The packages of which both interfaces use types, as the consumer and as the provider names them.
fn shared(import: &Item, export: &Item) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for wanted in &import.uses {
        for offered in &export.uses {
            let (Some((to, name)), Some((from, other))) = (split_name(wanted), split_name(offered)) else { continue };
            if name == other && track(&to).is_some() && track(&to) == track(&from) {
                pairs.push((to, from));
            }
        }
    }
    pairs
}

/// What versions of a package have in common that hosts treat as one: `wasi:io@0.2.6` is of the track `wasi:io@0.2`.
fn track(package: &str) -> Option<String> {
    let (path, version) = package.split_once('@')?;
    // A pre-release is compatible with itself only.
    if version.contains(['-', '+']) {
        return None;
    }
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    Some(if major == "0" { format!("{path}@0.{minor}") } else { format!("{path}@{major}") })
}

/// The component with these imports renamed, and nothing else changed.
pub fn rename_imports(component: &[u8], renames: &[(String, String)]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(component.len());
    let mut copied = 0;
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => bail!("this is not a component"),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                let range = usize::try_from(section.range().start)?..usize::try_from(section.range().end)?;
                let mut content = Vec::new();
                let mut done = range.start;
                for import in section {
                    let old = import?.name.name;
                    let Some((_, new)) = renames.iter().find(|(from, _)| from == old) else { continue };
                    // The name is a slice of the component, with its length before it.
                    let at = (old.as_ptr() as usize).saturating_sub(component.as_ptr() as usize);
                    let length_at = at.saturating_sub(leb128(old.len()).len());
                    content.extend_from_slice(component.get(done..length_at).unwrap_or_default());
                    content.extend(leb128(new.len()));
                    content.extend_from_slice(new.as_bytes());
                    done = at + old.len();
                }
                content.extend_from_slice(component.get(done..range.end).unwrap_or_default());
                // Before the section's content stand its number and its size.
                let header = range.start.saturating_sub(1 + leb128(range.len()).len());
                out.extend_from_slice(component.get(copied..=header).unwrap_or_default());
                out.extend(leb128(content.len()));
                out.extend(content);
                copied = range.end;
            }
            _ => {}
        }
    }
    out.extend_from_slice(component.get(copied..).unwrap_or_default());
    // Lengths may be written with more bytes than they need; then the arithmetic above was wrong.
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&out)?;
    Ok(out)
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_track_are_one_to_a_host() {
        assert_eq!(track("wasi:io@0.2.0"), track("wasi:io@0.2.12"));
        assert_eq!(track("a:b@1.2.3"), track("a:b@1.9.0"));
        assert_ne!(track("wasi:io@0.2.0"), track("wasi:io@0.3.0"));
        assert_ne!(track("wasi:io@0.2.0"), track("wasi:cli@0.2.0"));
        assert_eq!(track("wasi:io@0.2.0-rc-2023-11-10"), None);
        assert_eq!(track("wasi:io"), None);
    }

    #[test]
    fn lengths_are_written_as_the_format_wants_them() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(127), [127]);
        assert_eq!(leb128(128), [0x80, 1]);
        assert_eq!(leb128(300), [0xac, 2]);
    }
}
