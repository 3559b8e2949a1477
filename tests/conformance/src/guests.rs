//! The generations and their guests.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::{About, Interfaces, componentize};
use std::borrow::Cow;
use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The generations of the interface, from the newest to the oldest; each one's guest has its name.
pub use kvfuse_table::{GENERATIONS as GUESTS, Generation as Guest};

/// A guest's component: the one that is inside, or the core module or component of its name in `folder`.
///
/// # Errors
/// If it is not there, or imports more than its generation, wasi:cli, a clock, and the wasi:io that comes with these.
pub fn component(guest: &Guest, folder: Option<&Path>) -> Result<Cow<'static, [u8]>> {
    let component = match folder {
        Some(folder) => Cow::Owned(from_file(guest, &folder.join(format!("{}.wasm", guest.name)))?),
        None => {
            let inside = EMBEDDED.iter().find(|(name, _)| *name == guest.name).map(|(_, bytes)| Cow::Borrowed(*bytes));
            inside.with_context(|| {
                format!("the guest {} is not included: make conformance-guests builds it", guest.name)
            })?
        }
    };
    let (package, version) = guest.package.split_once('@').unwrap_or((guest.package, ""));
    for import in Interfaces::of(&component)?.imports {
        let own = import.strip_prefix(package).is_some_and(|rest| rest.starts_with('/'));
        let its_own = own && import.split_once('@').map_or("", |(_, version)| version) == version;
        let allowed = its_own || ["wasi:cli/", "wasi:io/", "wasi:clocks/"].iter().any(|own| import.starts_with(own));
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
