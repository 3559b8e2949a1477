//! The user's component.

use crate::catalogue::{self, Provider};
use crate::cli::Chosen;
use crate::host::{Provided, provided};
use crate::input;
use crate::refusal::{Refusal, Result, chain};
use crate::table::{STORES, Store};
use kvfuse_compose::{
    FlatPart, FlatParts, Item, ItemKind, Nested, Settings, World, is_keyvalue, nested, split_name, without_imports,
};
use kvfuse_core::settings::{FUSED_STORES, LABEL, LABELS};
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
    /// Reads it as the command line says.
    pub fn read(path: &Path, chosen: &Chosen) -> Result<Self> {
        let bytes = input::read_component(path)?;
        let subject = Self::new(path, bytes)?;
        if chosen.unknown_imports_trap { subject.trapping() } else { Ok(subject) }
    }

    /// The same with functions that trap in place of imports that wasmtime does not provide. Those that a store can provide
    /// stay.
    fn trapping(self) -> Result<Self> {
        let serve = self.kind == Kind::Handler;
        let unknown = self.world.imports.iter().filter(|item| {
            item.kind == ItemKind::Interface
                && !is_keyvalue(item.interface())
                && provided(item, serve) == Provided::Never
        });
        let unknown: Vec<_> = unknown.map(|item| item.name.clone()).collect();
        let bytes = without_imports(&self.bytes, &unknown).map_err(|e| {
            Refusal::new(self.path.display(), "the imports that wasmtime does not provide cannot be replaced")
                .note(chain(&e))
        })?;
        Self::new(&self.path, bytes)
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

    /// What a provider with these exports should satisfy: key-value interfaces, and other imports that it exports by
    /// name.
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

/// The components inside that export key-value interfaces, as one. They were fused in by this program or by another
/// composer: both keep the parts unchanged.
fn provider_inside(bytes: &[u8]) -> Option<Provider> {
    if let Ok(Some(parts)) = FlatParts::inside(bytes) {
        return Some(provider_of_flat(bytes, parts.provider));
    }
    let parts = nested(bytes).ok()?;
    let exporting: Vec<_> = parts.iter().filter(|part| part.exports.iter().any(|name| is_keyvalue(name))).collect();
    // A component that was made of others is described by them.
    let holds = |part: &Nested| {
        exporting.iter().any(|other| {
            other.range != part.range && part.range.start <= other.range.start && other.range.end <= part.range.end
        })
    };
    let innermost: Vec<_> = exporting.iter().filter(|part| !holds(part)).collect();
    let read = |part: &Nested| {
        let bytes = bytes.get(part.range.clone())?.to_vec();
        let world = World::of(&bytes).ok()?;
        let known = catalogue::recognise(&bytes);
        // A provider from another version of kvfuse, or one whose imports follow the consumer's version of WASI, is
        // recognised by its name.
        let named = |name: &String| kvfuse_table::shipped().find(|artefact| artefact.name() == *name);
        let known = known.or(part.name.as_ref().and_then(named));
        Some(match known {
            Some(artefact) => {
                Provider { file: artefact.file(), stores: vec![artefact.store], labels: Vec::new(), bytes, world }
            }
            None => {
                let file = part.name.clone().unwrap_or_else(|| "a provider without a name".into());
                Provider { file, stores: Vec::new(), labels: Vec::new(), bytes, world }
            }
        })
    };
    let found: Vec<Provider> = innermost.iter().filter_map(|part| read(part)).collect();
    let known = found.iter().any(|provider| !provider.stores.is_empty());
    let taken = match known {
        true => found.into_iter().filter(|provider| !provider.stores.is_empty()).collect(),
        false => found.into_iter().take(1).collect::<Vec<_>>(),
    };
    let settings = Settings::inside(bytes).unwrap_or_default();
    let labels = |name| settings.iter().filter_map(move |settings| settings.get(name)).flat_map(|all| all.split(','));
    let labels = labels(LABEL).chain(labels(LABELS)).map(str::to_string).collect();
    let only = |provider: Provider| if provider.routes() { provider.only(fused_stores(&settings)) } else { provider };
    let all = Provider::union(taken.into_iter().map(only))?;
    Some(Provider { labels, ..all })
}

/// The provider of a flat component. It is no longer a component inside, and is recognised by its name.
fn provider_of_flat(fused: &[u8], part: FlatPart) -> Provider {
    let named = |names: Vec<String>| names.into_iter().map(|name| Item { name, ..Item::default() }).collect();
    let world = World { imports: named(part.imports), exports: named(part.exports) };
    let name = part.name.unwrap_or_else(|| "a provider without a name".into());
    let known = kvfuse_table::shipped().find(|artefact| artefact.name() == name);
    let (file, stores) = match known {
        Some(artefact) => (artefact.file(), vec![artefact.store]),
        None => (name, Vec::new()),
    };
    let provider = Provider { file, stores, labels: Vec::new(), bytes: fused.to_vec(), world };
    let settings = Settings::inside(fused).unwrap_or_default();
    if provider.routes() { provider.only(fused_stores(&settings)) } else { provider }
}

/// The stores that a provider of every store was fused with; all of them if nothing says which.
fn fused_stores(settings: &[Settings]) -> Vec<&'static Store> {
    let find = |name: &str| STORES.iter().find(|store| store.name == name);
    match settings.iter().find_map(|settings| settings.get(FUSED_STORES)) {
        Some(names) => names.split(',').filter_map(find).collect(),
        None => STORES.iter().filter(|store| store.is_in_together()).collect(),
    }
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
