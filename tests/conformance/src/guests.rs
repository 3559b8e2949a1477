//! The generations and their guests.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::{About, Interfaces, componentize};
use std::borrow::Cow;
use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// One generation of the interface and the guest that checks it.
#[derive(Debug)]
pub struct Guest {
    /// Its name on the command line, and of its file in `guests/examples/`.
    pub name: &'static str,
    /// What people call the generation.
    pub title: &'static str,
    /// The package whose interfaces the guest may import, with a slash at its end.
    pub package: &'static str,
    /// The version of these interfaces with an `@` before it; empty for interfaces without a version.
    pub version: &'static str,
}

const fn guest(name: &'static str, title: &'static str, package: &'static str, version: &'static str) -> Guest {
    Guest { name, title, package, version }
}

/// From the newest to the oldest.
pub const GUESTS: &[Guest] = &[
    guest("draft2", "0.2.0-draft2", "wasi:keyvalue/", "@0.2.0-draft2"),
    guest("draft2_2024", "0.2.0-draft2, until 2026-08", "wasi:keyvalue/", "@0.2.0-draft2"),
    guest("draft", "0.2.0-draft", "wasi:keyvalue/", "@0.2.0-draft"),
    guest("wrpc", "wrpc:keyvalue 0.2.0-draft", "wrpc:keyvalue/", "@0.2.0-draft"),
    guest("draft_eventual", "0.2.0-draft, early 2024", "wasi:keyvalue/", "@0.2.0-draft"),
    guest("v0_1", "0.1.0", "wasi:keyvalue/", "@0.1.0"),
    guest("v0_1_methods", "0.1.0, until 2024-02-12", "wasi:keyvalue/", "@0.1.0"),
    guest("unversioned", "without a version", "wasi:keyvalue/", ""),
];

/// A guest's component: the one that is inside, or the core module or component of its name in `folder`.
///
/// # Errors
/// If it is not there, or imports more than its generation, wasi:cli, and the wasi:io that comes with these.
pub fn component(guest: &Guest, folder: Option<&Path>) -> Result<Cow<'static, [u8]>> {
    let component = match folder {
        Some(folder) => Cow::Owned(from_file(guest, &folder.join(format!("{}.wasm", guest.name)))?),
        None => {
            let inside = EMBEDDED.iter().find(|(name, _)| *name == guest.name).map(|(_, bytes)| Cow::Borrowed(*bytes));
            inside
                .with_context(|| format!("the guest {} is not inside: make conformance-guests builds it", guest.name))?
        }
    };
    for import in Interfaces::of(&component)?.imports {
        let its_own = import.starts_with(guest.package) && import.ends_with(guest.version);
        let allowed = its_own || import.starts_with("wasi:cli/") || import.starts_with("wasi:io/");
        ensure!(allowed, "the guest {} imports {import}, which is not what it checks", guest.name);
    }
    Ok(component)
}

fn from_file(guest: &Guest, path: &Path) -> Result<Vec<u8>> {
    let wasm = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let about = About {
        name: guest.name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        licenses: env!("CARGO_PKG_LICENSE").into(),
        ..About::default()
    };
    componentize(&wasm, &about).with_context(|| format!("the guest {}", guest.name))
}
