//! The user's component.

use crate::catalogue::{self, Provider};
use crate::input;
use crate::refusal::Result;
use kvfuse_compose::{Item, World, is_keyvalue, nested, split_name};
use std::path::{Path, PathBuf};

pub struct Subject {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub world: World,
    pub kind: Kind,
    /// Whether anything in it needs the asynchronous part of the component model.
    pub asynchronous: bool,
    /// The provider inside, if it was fused already.
    pub inside: Option<Provider>,
}

/// How a component is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Command,
    Handler,
    Library,
}

impl Kind {
    fn of(world: &World) -> Self {
        let exports = |interface: &str| {
            world.exports.iter().any(|item| item.name == interface || item.name.starts_with(&format!("{interface}@")))
        };
        if exports("wasi:http/incoming-handler") || exports("wasi:http/handler") {
            Self::Handler
        } else if exports("wasi:cli/run") {
            Self::Command
        } else {
            Self::Library
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Command => "a command",
            Self::Handler => "an HTTP handler",
            Self::Library => "a library",
        }
    }

    pub fn key(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Handler => "http-handler",
            Self::Library => "library",
        }
    }
}

impl Subject {
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = input::read_component(path)?;
        Self::new(path, bytes)
    }

    /// From bytes that are known to be a valid component.
    pub fn new(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let world = input::read_world(path, &bytes)?;
        let kind = Kind::of(&world);
        let inside = provider_inside(&bytes);
        let asynchronous = input::is_asynchronous(&bytes);
        Ok(Self { path: path.into(), bytes, world, kind, asynchronous, inside })
    }

    /// The key-value interfaces that it imports, no matter who published them.
    pub fn keyvalue(&self) -> Vec<&Item> {
        self.world.imports.iter().filter(|item| is_keyvalue(item.interface())).collect()
    }

    /// What a provider with these exports should satisfy: key-value interfaces, and other imports that it exports by name.
    pub fn wanted(&self, offered: &[Item]) -> Vec<&Item> {
        let named = |item: &Item| offered.iter().any(|export| export.name == item.interface());
        self.world.imports.iter().filter(|item| is_keyvalue(item.interface()) || named(item)).collect()
    }

    /// Whether it exports what WASI 0.3 runs or serves.
    pub fn third(&self) -> bool {
        let entry = |name: &str| name.starts_with("wasi:http/handler@") || name.starts_with("wasi:cli/run@");
        self.world.exports.iter().any(|item| entry(&item.name) && crate::host::is_third(&item.name))
    }

    pub fn labelled(&self) -> bool {
        self.world.imports.iter().chain(&self.world.exports).any(|item| item.implements.is_some())
    }
}

/// The first component inside that exports a key-value interface. It was fused in by this program or by another
/// composer: both keep the parts as they were.
fn provider_inside(bytes: &[u8]) -> Option<Provider> {
    let parts = nested(bytes).ok()?;
    let part = parts.into_iter().find(|part| part.exports.iter().any(|name| is_keyvalue(name)))?;
    let bytes = bytes.get(part.range)?.to_vec();
    let world = World::of(&bytes).ok()?;
    let known = catalogue::recognise(&bytes);
    // A provider from another version of kvfuse, or one whose imports follow the consumer's version of WASI, is recognised
    // by its name.
    let named = |name: &String| kvfuse_table::artefacts().find(|artefact| artefact.name() == *name);
    let known = known.or(part.name.as_ref().and_then(named));
    let (store, file) = match known {
        Some(artefact) => (Some(artefact.store), artefact.file()),
        None => (None, part.name.unwrap_or_else(|| "a provider without a name".into())),
    };
    Some(Provider { file, store, bytes, world })
}

/// The packages of some interfaces, each once, in order.
pub fn packages(items: &[&Item]) -> Vec<String> {
    let mut packages: Vec<String> = Vec::new();
    for (package, _) in items.iter().filter_map(|item| split_name(item.interface())) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}
