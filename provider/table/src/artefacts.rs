//! The artefacts: each store once with every generation whose functions are plain, once more for each shape that takes another's
//! place, and once more with the asynchronous ones beside the plain ones. The same for all stores together.

use crate::{COMMON_IMPORTS, GENERATIONS, Generation, STORES, Store, TOGETHER};

/// A provider component that is built and shipped.
///
/// ```
/// let shape = kvfuse_table::artefacts().find(|artefact| artefact.name() == "keyvalue-draft2-optional-pairs").unwrap();
/// let exported: Vec<_> = shape.generations().iter().map(|generation| generation.name).collect();
/// assert!(exported.contains(&"draft2_optional_pairs") && !exported.contains(&"draft2"));
/// assert!(shape.imports().contains(&"wasi:filesystem/types@0.2.12"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Artefact {
    /// Its store.
    pub store: &'static Store,
    /// The shape that it exports in place of another; otherwise it is identical to the store's first artefact.
    pub shape: Option<&'static Generation>,
    /// Whether it exports the asynchronous generations as well.
    pub asynchronous: bool,
}

impl Artefact {
    /// The name of its file without the ending, in kebab case.
    pub fn name(&self) -> String {
        match self.suffix() {
            Some(suffix) => format!("{}-{suffix}", self.store.artefact),
            None => self.store.artefact.into(),
        }
    }

    /// What it is called beside its store, in kebab case. `None` for the store's first artefact.
    pub fn suffix(&self) -> Option<String> {
        self.shape.map(Generation::kebab).or(self.asynchronous.then(|| "async".into()))
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.wasm", self.name())
    }

    /// The generations that it exports.
    pub fn generations(&self) -> Vec<&'static Generation> {
        let shape = self.shape.map(|shape| shape.name);
        let replaced = self.shape.and_then(|shape| shape.instead_of);
        let exported = |generation: &&Generation| match generation.instead_of {
            Some(_) => Some(generation.name) == shape,
            None => Some(generation.name) != replaced,
        };
        let runs = |generation: &&Generation| self.asynchronous || !generation.asynchronous;
        GENERATIONS.iter().filter(runs).filter(exported).collect()
    }

    /// Whether it contains every store instead of one.
    pub fn is_together(&self) -> bool {
        self.store.artefact == TOGETHER.artefact
    }

    /// Whether its asynchronous functions wait beside each other.
    pub fn waits(&self) -> bool {
        self.asynchronous && self.store.waiting.is_some()
    }

    /// The interfaces that it imports: no more and no fewer.
    pub fn imports(&self) -> Vec<&'static str> {
        let stores = if self.is_together() { STORES } else { std::slice::from_ref(self.store) };
        let inside = stores.iter().filter(|store| !self.is_together() || store.is_in_together());
        let waiting = self.store.waiting.filter(|_| self.waits()).unwrap_or_default();
        let mut imports: Vec<&str> = Vec::new();
        for import in inside.flat_map(|store| store.imports).chain(COMMON_IMPORTS).chain(waiting) {
            if !imports.contains(import) {
                imports.push(import);
            }
        }
        imports
    }

    /// A description of it, for its metadata.
    pub fn about(&self) -> String {
        let shape = self.shape.map(|shape| format!(", with {}", shape.title)).unwrap_or_default();
        let more = if self.asynchronous { ", with the asynchronous interfaces" } else { "" };
        format!("wasi:keyvalue over {}{shape}{more}", self.store.about)
    }
}

impl Store {
    /// Its artefacts, in the order in which they are tried on a consumer.
    pub fn artefacts(&'static self) -> impl Iterator<Item = Artefact> {
        let shapes = GENERATIONS.iter().filter(|generation| generation.instead_of.is_some());
        let first = Artefact { store: self, shape: None, asynchronous: false };
        let shapes = shapes.map(move |shape| Artefact { shape: Some(shape), ..first });
        std::iter::once(first).chain(shapes).chain([Artefact { asynchronous: true, ..first }])
    }
}

/// All artefacts of all stores, store by store, each with one store.
///
/// ```
/// assert_eq!(kvfuse_table::artefacts().next().unwrap().file(), "keyvalue.wasm");
/// ```
pub fn artefacts() -> impl Iterator<Item = Artefact> {
    STORES.iter().flat_map(Store::artefacts)
}

/// All artefacts that are built and shipped: those of single stores, and the ones that contain every store.
pub fn shipped() -> impl Iterator<Item = Artefact> {
    artefacts().chain(TOGETHER.artefacts())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_artefact_exports_two_shapes_of_one_version_and_every_generation_is_in_one() {
        for store in STORES {
            let mut exported = BTreeSet::new();
            for artefact in store.artefacts() {
                let names: Vec<_> = artefact.generations().iter().map(|g| (g.package, g.interface)).collect();
                let distinct: BTreeSet<_> = names.iter().collect();
                assert_eq!(distinct.len(), names.len(), "{}", artefact.name());
                exported.extend(artefact.generations().iter().map(|g| g.name));
            }
            assert_eq!(exported, GENERATIONS.iter().map(|g| g.name).collect(), "{}", store.name);
        }
    }

    #[test]
    fn what_is_asynchronous_is_only_in_the_artefact_that_is_named_for_it_and_tried_last() {
        for store in STORES.iter().chain([&TOGETHER]) {
            let artefacts: Vec<_> = store.artefacts().collect();
            let (last, others) = artefacts.split_last().unwrap();
            assert_eq!(last.name(), format!("{}-async", store.artefact));
            let has = |artefact: &Artefact| artefact.generations().iter().any(|generation| generation.asynchronous);
            assert!(has(last) && !others.iter().any(has));
            let first = others.first().unwrap().generations();
            assert!(first.iter().all(|plain| last.generations().iter().any(|exported| exported.name == plain.name)));
        }
    }

    #[test]
    fn names_are_unique_and_what_a_shape_replaces_exists() {
        let all: Vec<_> = shipped().map(|artefact| artefact.name()).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        for generation in GENERATIONS {
            let Some(replaced) = generation.instead_of else { continue };
            let of = GENERATIONS.iter().find(|g| g.name == replaced).map(|g| (g.package, g.interface));
            assert_eq!(of, Some((generation.package, generation.interface)), "{}", generation.name);
        }
    }
}
