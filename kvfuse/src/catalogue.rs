//! The stores that this program carries, and what their providers export.

use crate::refusal::{Refusal, Result, chain};
use crate::table::{COMMON, STORES, Store, Variable};
use kvfuse_compose::World;
use kvfuse_table::Artefact;
use std::path::PathBuf;

include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// A provider component: a built-in one, or one of the user's.
pub struct Provider {
    /// The name of its file.
    pub file: String,
    /// `None` for one of the user's.
    pub store: Option<&'static Store>,
    pub bytes: Vec<u8>,
    pub world: World,
}

impl Provider {
    /// The environment variables that it is known to read.
    pub fn variables(&self) -> Vec<&'static Variable> {
        self.store.map(|store| store.variables.iter().chain(COMMON).collect()).unwrap_or_default()
    }

    /// Whether it needs the asynchronous part of the component model. The built-in ones do not.
    pub fn asynchronous(&self) -> bool {
        self.store.is_none() && crate::input::is_asynchronous(&self.bytes)
    }

    /// Its name in a sentence.
    pub fn title(&self) -> String {
        match self.store {
            Some(store) => format!("the store {} ({})", store.name, self.file),
            None => self.file.clone(),
        }
    }

    /// Reads one of the user's.
    pub fn from_file(path: &std::path::Path) -> Result<Self> {
        let bytes = crate::input::read_component(path)?;
        let world = crate::input::read_world(path, &bytes)?;
        let exports: Vec<_> = world.exports.iter().map(|item| item.name.as_str()).collect();
        if !exports.iter().any(|name| name.contains('/')) {
            return Refusal::new(path.display(), "this provider exports no interface")
                .note(format!("it exports {}", if exports.is_empty() { "nothing".into() } else { exports.join(", ") }))
                .help("--provider takes a component that exports key-value interfaces")
                .err();
        }
        let file =
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Ok(Self { file, store: None, bytes, world })
    }
}

/// A store by its name.
pub fn store(name: &str) -> Result<&'static Store> {
    STORES.iter().find(|store| store.name == name).ok_or_else(|| {
        let names: Vec<_> = STORES.iter().map(|store| store.name).collect();
        Box::new(
            Refusal::new("--store", format!("there is no store called {name:?}"))
                .note(format!("the stores are: {}", names.join(", ")))
                .help("kvfuse stores describes them; --provider takes a provider component of your own"),
        )
    })
}

/// The providers of a store, in the order in which they are tried.
pub fn providers(store: &'static Store) -> Result<Vec<Provider>> {
    store.artefacts().map(|artefact| provider(store, &artefact.file())).collect()
}

fn provider(store: &'static Store, file: &str) -> Result<Provider> {
    let bytes = FILES.iter().find(|(name, _)| *name == file).map(|(_, bytes)| bytes.to_vec()).unwrap_or_default();
    match World::of(&bytes) {
        Ok(world) => Ok(Provider { file: file.into(), store: Some(store), bytes, world }),
        Err(e) => Refusal::new(PathBuf::from(file).display(), "a built-in provider cannot be read")
            .note(chain(&e))
            .help("this build of kvfuse is broken: build it again")
            .err(),
    }
}

/// The built-in provider that has these bytes.
pub fn recognise(bytes: &[u8]) -> Option<Artefact> {
    let (file, _) = FILES.iter().find(|(_, ours)| *ours == bytes)?;
    kvfuse_table::artefacts().find(|artefact| artefact.file() == *file)
}
