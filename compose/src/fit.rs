//! Whether a provider's exports meet a consumer's imports, and where they do not.

use crate::world::{Functions, Item, split_name};
use std::collections::BTreeMap;

/// One connection between a consumer and a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The consumer's import, by its name or label.
    pub import: String,
    /// The provider's export, by its name.
    pub export: String,
}

/// A package of interfaces that a consumer imports and a provider does not have, beside the provider's package that
/// comes nearest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The package that is missing: `wasi:keyvalue@0.3.0`.
    pub wanted: String,
    /// The package that comes nearest. `None` if the provider has no interface of these names.
    pub nearest: Option<String>,
    /// Where the two differ; if no package is near, all functions that are missing.
    pub differences: Vec<Difference>,
}

/// A function that a consumer imports and a provider has differently or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The interface without its package: `store`.
    pub interface: String,
    /// The function as the consumer imports it: `get: func(key: string) -> option<string>`.
    pub wanted: String,
    /// The function as the provider exports it. `None` if it has no such function, or no such interface.
    pub offered: Option<String>,
}

/// Whether an import is of a key-value interface, no matter who published it: its package is called `keyvalue`, or the
/// interface is called `key-value`, as in Spin's.
///
/// ```
/// use kvfuse_compose::is_keyvalue;
/// assert!(is_keyvalue("wasi:keyvalue/store@0.2.0-draft2") && is_keyvalue("acme:keyvalue/things"));
/// assert!(is_keyvalue("fermyon:spin/key-value@2.0.0") && !is_keyvalue("fermyon:spin/llm@2.0.0"));
/// assert!(!is_keyvalue("wasi:io/poll@0.2.6"));
/// ```
pub fn is_keyvalue(interface: &str) -> bool {
    split_name(interface).is_some_and(|(package, name)| package_name(&package) == "keyvalue" || name == "key-value")
}

fn package_name(package: &str) -> &str {
    let path = package.split('@').next().unwrap_or(package);
    path.split(':').next_back().unwrap_or(path)
}

/// The connections that satisfy all of `wanted` from `offered`.
///
/// The shape of the functions decides. Interfaces of one package are connected to one package, because they share their
/// types; the package of the same name and version is tried first, and another one serves if every function is the
/// same. A labelled import is connected to the export with its label, or else to the one that has no label.
///
/// [`connect`](crate::connect) has an example of a provider that fits. This one does not:
///
/// ```
/// use kvfuse_compose::{World, fit};
///
/// let wanted = World::of(&wat::parse_str(r#"(component
///     (import "acme:store/counter@0.2.0" (instance (export "next" (func (param "by" u32) (result u32))))))"#)?)?;
/// let offered = World::of(&wat::parse_str(r#"(component
///     (import "acme:store/counter@0.1.0" (instance (export "next" (func (result u32))))))"#)?)?;
///
/// let misfits = fit(&wanted.imports.iter().collect::<Vec<_>>(), &offered.imports).unwrap_err();
/// assert_eq!(misfits[0].nearest.as_deref(), Some("acme:store@0.1.0"));
/// assert_eq!(misfits[0].differences[0].wanted, "next: func(by: u32) -> u32");
/// assert_eq!(misfits[0].differences[0].offered.as_deref(), Some("next: func() -> u32"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// One [`Misfit`] for each package of the consumer that no package of the provider satisfies.
pub fn fit(wanted: &[&Item], offered: &[Item]) -> Result<Vec<Wire>, Vec<Misfit>> {
    let offered = by_package(offered.iter());
    let mut wires = Vec::new();
    let mut misfits = Vec::new();
    for (package, items) in by_package(wanted.iter().copied()) {
        let same_name = |candidate: &str| package_name(candidate) == package_name(&package);
        let mut candidates: Vec<_> = offered.iter().filter(|(name, _)| same_name(name)).collect();
        candidates.sort_by_key(|(name, _)| **name != package);
        let judged = candidates.into_iter().map(|(name, exports)| (name, judge(&items, exports)));
        match judged.min_by_key(|(_, (_, differences))| differences.len()) {
            Some((_, (found, differences))) if differences.is_empty() => wires.extend(found),
            // Only what has something in common is near.
            Some((name, (found, differences)))
                if !found.is_empty() || differences.iter().any(|d| d.offered.is_some()) =>
            {
                misfits.push(Misfit { wanted: package, nearest: Some(name.clone()), differences });
            }
            _ => {
                let differences = items.iter().flat_map(|item| absent(item)).collect();
                misfits.push(Misfit { wanted: package, nearest: None, differences });
            }
        }
    }
    if misfits.is_empty() { Ok(wires) } else { Err(misfits) }
}

fn by_package<'a>(items: impl Iterator<Item = &'a Item>) -> BTreeMap<String, Vec<&'a Item>> {
    let mut packages: BTreeMap<String, Vec<&Item>> = BTreeMap::new();
    for item in items {
        if let Some((package, _)) = split_name(item.interface()) {
            packages.entry(package).or_default().push(item);
        }
    }
    packages
}

fn judge(wanted: &[&Item], offered: &[&Item]) -> (Vec<Wire>, Vec<Difference>) {
    let mut wires = Vec::new();
    let mut differences = Vec::new();
    for item in wanted {
        let name = interface_name(item);
        let same = |export: &&&Item| interface_name(export) == name;
        let labelled = |export: &&&Item| same(export) && export.implements.is_some() && export.name == item.name;
        let plain = |export: &&&Item| same(export) && export.implements.is_none();
        let export = offered.iter().filter(|_| item.implements.is_some()).find(labelled);
        match export.or_else(|| offered.iter().find(plain)) {
            Some(export) => {
                let found = differing(name, &item.functions, &export.functions);
                if found.is_empty() {
                    wires.push(Wire { import: item.name.clone(), export: export.name.clone() });
                }
                differences.extend(found);
            }
            None => differences.extend(absent(item)),
        }
    }
    (wires, differences)
}

fn interface_name(item: &Item) -> &str {
    split_name(item.interface()).map_or("", |(_, name)| name)
}

fn differing(interface: &str, wanted: &Functions, offered: &Functions) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, function) in wanted {
        let counterpart = offered.get(name);
        if counterpart.is_some_and(|other| other.shape == function.shape) {
            continue;
        }
        // If the names of the types hide the difference, the types are written out.
        let hidden = counterpart.is_some_and(|other| other.text == function.text);
        let text = |f: &crate::world::Signature| if hidden { f.shape.clone() } else { f.text.clone() };
        differences.push(Difference {
            interface: interface.into(),
            wanted: text(function),
            offered: counterpart.map(text),
        });
    }
    differences
}

fn absent(item: &Item) -> Vec<Difference> {
    let interface = interface_name(item);
    let one = |wanted: String| Difference { interface: interface.into(), wanted, offered: None };
    if item.functions.is_empty() {
        return vec![one("its types".into())];
    }
    item.functions.values().map(|function| one(function.text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Signature;

    fn item(name: &str, functions: &[&str]) -> Item {
        let functions = functions.iter().map(|text| {
            let name = text.split(':').next().unwrap().to_string();
            (name, Signature { text: text.to_string(), shape: text.to_string() })
        });
        Item { name: name.into(), functions: functions.collect(), ..Item::default() }
    }

    fn offered() -> Vec<Item> {
        vec![
            item("wasi:keyvalue/store@0.2.0-draft", &["open: func(identifier: string)", "get: func(k: u64)"]),
            item("wasi:keyvalue/store@0.2.0-draft2", &["open: func(identifier: string)", "get: func(k: string)"]),
            item("wasi:keyvalue/batch@0.2.0-draft2", &["get-many: func()"]),
        ]
    }

    #[test]
    fn the_generation_of_the_same_name_is_taken_when_its_functions_are_the_same() {
        let wanted = item("wasi:keyvalue/store@0.2.0-draft2", &["get: func(k: string)"]);
        let wires = fit(&[&wanted], &offered()).unwrap();
        assert_eq!(wires, [Wire { import: wanted.name.clone(), export: wanted.name }]);
    }

    #[test]
    fn a_version_nobody_published_is_served_when_every_function_is_the_same() {
        let wanted = item("wasi:keyvalue/store@0.2.0", &["get: func(k: u64)"]);
        let wires = fit(&[&wanted], &offered()).unwrap();
        assert_eq!(wires[0].export, "wasi:keyvalue/store@0.2.0-draft");
    }

    #[test]
    fn interfaces_of_one_package_are_never_spread_over_two() {
        let store = item("wasi:keyvalue/store@0.2.0", &["get: func(k: u64)"]);
        let batch = item("wasi:keyvalue/batch@0.2.0", &["get-many: func()"]);
        let misfits = fit(&[&store, &batch], &offered()).unwrap_err();
        assert_eq!(misfits[0].differences.len(), 1);
    }

    #[test]
    fn a_label_is_connected_by_its_own_name() {
        let mut wanted = item("wasi:keyvalue/store@0.2.0-draft2", &["get: func(k: string)"]);
        wanted.implements = Some(std::mem::replace(&mut wanted.name, "sessions".into()));
        let wires = fit(&[&wanted], &offered()).unwrap();
        assert_eq!(wires, [Wire { import: "sessions".into(), export: "wasi:keyvalue/store@0.2.0-draft2".into() }]);
    }

    #[test]
    fn a_label_is_connected_to_the_export_of_that_label_and_to_no_other_one() {
        let labelled = |label: &str| Item {
            name: label.into(),
            implements: Some("wasi:keyvalue/store@0.2.0-draft2".into()),
            ..item("", &["get: func(k: string)"])
        };
        let (carts, plain) = (labelled("carts"), item("wasi:keyvalue/store@0.2.0-draft2", &["get: func(k: string)"]));
        let offered = [labelled("sessions"), labelled("carts")];
        assert_eq!(fit(&[&carts], &offered).unwrap(), [Wire { import: "carts".into(), export: "carts".into() }]);
        assert!(fit(&[&labelled("baskets")], &offered).is_err());
        assert!(fit(&[&plain], &offered).is_err());
        let offered = [labelled("sessions"), plain.clone()];
        let wire = Wire { import: "carts".into(), export: plain.name };
        assert_eq!(fit(&[&carts], &offered).unwrap(), [wire]);
    }

    #[test]
    fn a_function_that_differs_is_shown_beside_the_nearest() {
        let wanted = item("wasi:keyvalue/store@0.9.0", &["open: func(identifier: string)", "get: func(k: s8)"]);
        let misfits = fit(&[&wanted], &offered()).unwrap_err();
        assert_eq!(misfits[0].wanted, "wasi:keyvalue@0.9.0");
        assert_eq!(misfits[0].differences[0].wanted, "get: func(k: s8)");
        assert!(misfits[0].differences[0].offered.is_some());
    }

    #[test]
    fn a_package_with_nothing_in_common_is_not_near() {
        let wanted = item("acme:keyvalue/things", &["frob: func()"]);
        let misfits = fit(&[&wanted], &offered()).unwrap_err();
        assert_eq!(misfits[0].nearest, None);
        assert_eq!(misfits[0].differences[0].offered, None);
        assert!(is_keyvalue("acme:keyvalue/things") && !is_keyvalue("wasi:io/poll@0.2.0") && !is_keyvalue("sessions"));
    }
}
