//! The stores that this program carries, and what their providers export.

use crate::refusal::{Refusal, Result, chain};
use crate::table::{COMMON, ROUTING, RUNNERS, Runner, STORES, Store, TOGETHER, Variable};
use kvfuse_compose::{Item, World};
use kvfuse_core::settings::{LABEL, label_prefix};
use kvfuse_table::Artefact;
use std::path::PathBuf;

include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// A provider component: a built-in one, or the user's own. Or several of them together, as in a fused component.
#[derive(Clone)]
pub struct Provider {
    /// The name of its file.
    pub file: String,
    /// The stores that it is used for. Empty for the user's own.
    pub stores: Vec<&'static Store>,
    /// The labels that it is used for, if any.
    pub labels: Vec<String>,
    pub bytes: Vec<u8>,
    /// Its exports, and the imports that are left to the host.
    pub world: World,
}

impl Provider {
    /// The environment variables that it is known to read.
    pub fn variables(&self) -> Vec<&'static Variable> {
        let mut variables: Vec<&Variable> = Vec::new();
        let routing = if self.routes() { ROUTING } else { &[] };
        let common = if self.stores.is_empty() { &[] } else { COMMON };
        for variable in self.stores.iter().flat_map(|store| store.variables).chain(routing).chain(common) {
            if !variables.iter().any(|known| known.name == variable.name) {
                variables.push(variable);
            }
        }
        variables
    }

    /// The same variables for one label each, by their names. A component that has labels takes these before the
    /// others.
    pub fn of_labels(&self) -> Vec<(String, &'static Variable)> {
        let of_label = |label: &String| {
            let prefix = label_prefix(label);
            let named = |known: &'static Variable| (format!("{prefix}{}", known.name), known);
            self.variables().into_iter().filter(|known| known.name != LABEL).map(named).collect::<Vec<_>>()
        };
        self.labels.iter().flat_map(of_label).collect()
    }

    /// Its store, if it is used for one.
    pub fn store(&self) -> Option<&'static Store> {
        match self.stores.as_slice() {
            [store] => Some(store),
            _ => None,
        }
    }

    /// Whether it contains several stores, and chooses one by the bucket's name.
    pub fn routes(&self) -> bool {
        self.file.split(", ").any(|file| file.starts_with(TOGETHER.artefact))
    }

    /// Whether it needs the asynchronous part of the component model. Of the built-in ones the table knows.
    pub fn asynchronous(&self) -> bool {
        if self.stores.is_empty() {
            return crate::input::is_asynchronous(&self.bytes);
        }
        let named = |file: &str| kvfuse_table::shipped().any(|known| known.asynchronous && known.file() == file);
        self.file.split(", ").any(named)
    }

    /// Its name in a sentence.
    pub fn title(&self) -> String {
        let names: Vec<_> = self.stores.iter().map(|store| store.name).collect();
        match names.as_slice() {
            [] => self.file.clone(),
            [name] => format!("the store {name} ({})", self.file),
            [first @ .., last] => format!("the stores {} and {last} ({})", first.join(", "), self.file),
        }
    }

    /// The same provider restricted to these of its stores. The host need not provide what the others import.
    pub fn only(mut self, stores: Vec<&'static Store>) -> Self {
        let wanted = |name: &str| {
            let named = |imports: &[&str]| imports.contains(&name);
            stores.iter().any(|store| named(store.imports)) || !STORES.iter().any(|store| named(store.imports))
        };
        self.world.imports.retain(|item| wanted(&item.name));
        Self { stores, ..self }
    }

    /// Several of them together. `None` if there are none.
    pub fn union(providers: impl IntoIterator<Item = Self>) -> Option<Self> {
        providers.into_iter().reduce(|mut all, one| {
            if !all.file.split(", ").any(|file| file == one.file) {
                all.file = format!("{}, {}", all.file, one.file);
            }
            for store in one.stores {
                if !all.stores.iter().any(|known| known.name == store.name) {
                    all.stores.push(store);
                }
            }
            for label in one.labels {
                if !all.labels.contains(&label) {
                    all.labels.push(label);
                }
            }
            for (all, one) in [(&mut all.world.imports, one.world.imports), (&mut all.world.exports, one.world.exports)]
            {
                for item in one {
                    if !all.iter().any(|known| known.name == item.name) {
                        all.push(item);
                    }
                }
            }
            all
        })
    }

    /// Reads the user's own.
    pub fn from_file(path: &std::path::Path) -> Result<Self> {
        let bytes = crate::input::read_component(path)?;
        let world = crate::input::read_world(path, &bytes)?;
        let exports: Vec<_> = world.exports.iter().map(|item| item.name.as_str()).collect();
        if !world.exports.iter().any(|item| item.interface().contains('/')) {
            return Refusal::new(path.display(), "this provider exports no interface")
                .note(format!("it exports {}", if exports.is_empty() { "nothing".into() } else { exports.join(", ") }))
                .help("--provider takes a component that exports key-value interfaces")
                .err();
        }
        let file =
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Ok(Self { file, stores: Vec::new(), labels: Vec::new(), bytes, world })
    }
}

/// A store by its name, as given in an option of the command line.
pub fn store(option: &str, name: &str) -> Result<&'static Store> {
    STORES.iter().find(|store| store.name == name).ok_or_else(|| {
        let names: Vec<_> = STORES.iter().map(|store| store.name).collect();
        Box::new(
            Refusal::new(option, format!("there is no store called {name:?}"))
                .note(format!("the stores are: {}", names.join(", ")))
                .help("kvfuse stores describes them; --provider takes a provider component of your own"),
        )
    })
}

/// The providers of a store, in the order in which they are tried.
pub fn providers(store: &'static Store) -> Result<Vec<Provider>> {
    store.artefacts().map(|artefact| provider(store, &artefact.file())).collect()
}

/// The providers that contain every store, restricted to these stores, in the order in which they are tried.
pub fn together(stores: &[&'static Store]) -> Result<Vec<Provider>> {
    Ok(providers(&TOGETHER)?.into_iter().map(|provider| provider.only(stores.to_vec())).collect())
}

fn provider(store: &'static Store, file: &str) -> Result<Provider> {
    let bytes = embedded(FILES, store, file)?.to_vec();
    match World::of(&bytes) {
        Ok(world) => Ok(Provider { file: file.into(), stores: vec![store], labels: Vec::new(), bytes, world }),
        Err(e) => Refusal::new(PathBuf::from(file).display(), "a built-in provider cannot be read")
            .note(chain(&e))
            .help("this build of kvfuse is broken: build it again")
            .err(),
    }
}

/// The file of the explorer.
#[cfg(feature = "run")]
pub const EXPLORER: &str = "explorer.wasm";

/// The explorer: a handler of wasi:http that imports wasi:keyvalue.
#[cfg(feature = "run")]
pub fn explorer() -> &'static [u8] {
    FILES.iter().find(|(name, _)| *name == EXPLORER).map_or(&[], |(_, bytes)| bytes)
}

/// The build script embeds every file of the table or fails, so a file is only missing if something else made the list.
fn embedded<'a>(files: &[(&str, &'a [u8])], store: &Store, file: &str) -> Result<&'a [u8]> {
    match files.iter().find(|(name, _)| *name == file) {
        Some((_, bytes)) => Ok(bytes),
        None => Refusal::new(file, format!("this build of kvfuse lacks the provider of the store {}", store.name))
            .note(format!("it includes {} providers", files.len()))
            .help("make providers, and build kvfuse again")
            .err(),
    }
}

/// The built-in provider with these bytes.
pub fn recognise(bytes: &[u8]) -> Option<Artefact> {
    let (file, _) = FILES.iter().find(|(_, ours)| *ours == bytes)?;
    kvfuse_table::shipped().find(|artefact| artefact.file() == *file)
}

/// The runner that can call a component, if the component exports a watch interface.
pub fn runner(exports: &[Item]) -> Option<(&'static Runner, &'static [u8])> {
    let runner = RUNNERS.iter().find(|runner| exports.iter().any(|item| item.name == runner.calls))?;
    runner_files().find(|(file, _)| *file == runner.file()).map(|(_, bytes)| (runner, bytes))
}

/// Whether a component has a runner of this version inside.
#[cfg(feature = "run")]
pub fn has_runner(component: &[u8]) -> bool {
    let parts = kvfuse_compose::nested(component).unwrap_or_default();
    parts.iter().any(|part| runner_files().any(|(_, ours)| component.get(part.range.clone()) == Some(ours)))
}

fn runner_files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    RUNNER_FILES.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_is_inside_with_all_its_artefacts() {
        for store in STORES.iter().chain([&TOGETHER]) {
            let providers = providers(store).unwrap_or_else(|refusal| panic!("{refusal}"));
            let files: Vec<_> = providers.iter().map(|provider| provider.file.clone()).collect();
            assert_eq!(files, store.artefacts().map(|artefact| artefact.file()).collect::<Vec<_>>());
            assert!(providers.iter().all(|provider| !provider.world.exports.is_empty()));
        }
    }

    #[test]
    fn a_build_without_a_provider_says_so_and_not_that_there_is_no_such_store() {
        let (files, redis) = ([("keyvalue.wasm", &b"wasm"[..])], store("--store", "redis"));
        let redis = redis.unwrap_or_else(|refusal| panic!("{refusal}"));
        let Err(refusal) = embedded(&files, redis, "keyvalue-redis.wasm") else { panic!("it is not inside") };
        let said = refusal.to_string();
        assert!(said.contains("this build of kvfuse lacks the provider of the store redis"), "{said}");
        assert!(said.contains("keyvalue-redis.wasm") && said.contains("make providers"), "{said}");
        assert!(embedded(&files, redis, "keyvalue.wasm").is_ok());
    }
}
