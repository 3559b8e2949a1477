//! Renames a provider's WASI imports to its consumer's version where the two share resources.
//!
//! Some generations pass streams and pollables of `wasi:io`. To a composer `wasi:io/streams@0.2.0` and
//! `wasi:io/streams@0.2.12` are different interfaces with different resources, although every host treats them as one.
//! So the provider's imports are renamed to the version that the consumer was built against.

use crate::error::Error;
use crate::fit::Wire;
use crate::sections::{Rebuilt, sections};
use crate::world::{Item, World, split_name};
use std::convert::Infallible;
use wasm_encoder::reencode::{ReencodeComponent, RoundtripReencoder};
use wasm_encoder::{ComponentExportSection, ComponentExternName, ComponentImportSection};
use wasmparser::Payload;

/// The imports of the provider that [`connect`](crate::connect) renames for these connections, each as its old and its
/// new name, such as `wasi:io/streams@0.2.12` and `wasi:io/streams@0.2.0`.
///
/// This concerns only packages whose types both sides use, and only versions that hosts treat as one.
///
/// ```
/// # use kvfuse_compose::{Item, Wire, World, renames};
/// # let item = |name: &str, uses: &[&str]| Item {
/// #     name: name.into(),
/// #     uses: uses.iter().map(|name| name.to_string()).collect(),
/// #     ..Item::default()
/// # };
/// // Both pass streams, of two versions of wasi:io.
/// let consumer = World {
///     imports: vec![item("wasi:keyvalue/types@0.1.0", &["wasi:io/streams@0.2.0"])],
///     ..World::default()
/// };
/// let provider = World {
///     imports: vec![item("wasi:io/streams@0.2.12", &[]), item("wasi:random/random@0.2.12", &[])],
///     exports: vec![item("wasi:keyvalue/types@0.1.0", &["wasi:io/streams@0.2.12"])],
/// };
/// let name = "wasi:keyvalue/types@0.1.0".to_string();
/// let wires = [Wire { import: name.clone(), export: name }];
/// let expected = [("wasi:io/streams@0.2.12".to_string(), "wasi:io/streams@0.2.0".to_string())];
/// assert_eq!(renames(&consumer, &provider, &wires)?, expected);
/// # Ok::<(), kvfuse_compose::Error>(())
/// ```
///
/// # Errors
/// [`Error::TwoVersions`] if the consumer itself uses one package in two versions: its resources then have two types,
/// and the provider's functions only one.
pub fn renames(consumer: &World, provider: &World, wires: &[Wire]) -> Result<Vec<(String, String)>, Error> {
    let mut packages: Vec<(String, String)> = Vec::new();
    for wire in wires {
        let import = consumer.imports.iter().find(|item| item.name == wire.import);
        let export = provider.exports.iter().find(|item| item.name == wire.export);
        let (Some(import), Some(export)) = (import, export) else { continue };
        for (to, from) in shared(import, export) {
            match packages.iter().find(|(f, _)| *f == from) {
                Some((_, other)) if *other != to => {
                    return Err(Error::TwoVersions { one: other.clone(), other: to });
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

/// The packages whose types both interfaces use, each as the consumer and as the provider names it.
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

/// The track of a version, which hosts treat as one: `wasi:io@0.2.6` belongs to the track `wasi:io@0.2`.
pub(crate) fn track(package: &str) -> Option<String> {
    let (path, version) = package.split_once('@')?;
    // A pre-release is compatible with itself only.
    if version.contains(['-', '+']) {
        return None;
    }
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    Some(if major == "0" { format!("{path}@0.{minor}") } else { format!("{path}@{major}") })
}

/// The component with these imports renamed, and every other section unchanged.
pub(crate) fn rename_imports(component: &[u8], renames: &[(String, String)]) -> Result<Vec<u8>, Error> {
    with_names(component, false, |name| {
        if let Some((_, to)) = renames.iter().find(|(from, _)| *from == name.name) {
            name.name = to.clone().into();
        }
    })
}

/// The component with the interfaces of this world's labels: a composer only keeps the labels' names.
pub(crate) fn relabel(component: &[u8], world: &World) -> Result<Vec<u8>, Error> {
    with_names(component, true, |name| {
        let labelled = world.imports.iter().chain(&world.exports).find(|item| item.name == name.name);
        if let Some(interface) = labelled.and_then(|item| item.implements.clone()) {
            name.implements = Some(interface.into());
        }
    })
}

/// The component with the names of its imports, and on request those of its exports, changed, and every other section
/// unchanged.
fn with_names(
    component: &[u8],
    exports_too: bool,
    change: impl Fn(&mut ComponentExternName),
) -> Result<Vec<u8>, Error> {
    let mut renamed = Rebuilt::like(component);
    let invalid = |e: wasm_encoder::reencode::Error<Infallible>| Error::Invalid(e.into());
    for section in sections(component)? {
        match &section.payload {
            Payload::ComponentImportSection(imports) => {
                let mut new = ComponentImportSection::new();
                for import in imports.clone() {
                    let import = import?;
                    let mut name = ComponentExternName::from(import.name);
                    change(&mut name);
                    new.import(name, RoundtripReencoder.component_type_ref(import.ty).map_err(invalid)?);
                }
                renamed.add(&new);
            }
            Payload::ComponentExportSection(exports) if exports_too => {
                let mut new = ComponentExportSection::new();
                for export in exports.clone() {
                    let export = export?;
                    let mut name = ComponentExternName::from(export.name);
                    change(&mut name);
                    let ty =
                        export.ty.map(|ty| RoundtripReencoder.component_type_ref(ty)).transpose().map_err(invalid)?;
                    new.export(name, export.kind.into(), export.index, ty);
                }
                renamed.add(&new);
            }
            _ => renamed.keep(&section),
        }
    }
    Ok(renamed.finish())
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
    fn only_the_names_that_are_listed_change() {
        let text = |version: &str| {
            format!(
                r#"(component $outer
                    (import "wasi:io/poll@{version}" (instance $poll (export "pollable" (type (sub resource)))))
                    (import "wasi:random/random@0.2.12" (instance))
                    (core module)
                    (component (import "wasi:io/poll@0.2.12" (instance)))
                    (export "poll" (instance $poll)))"#
            )
        };
        let renames = [("wasi:io/poll@0.2.12".to_string(), "wasi:io/poll@0.2.0".to_string())];
        let renamed = rename_imports(&wat::parse_str(text("0.2.12")).unwrap(), &renames).unwrap();
        assert_eq!(renamed, wat::parse_str(text("0.2.0")).unwrap());
    }
}
