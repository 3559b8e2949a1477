//! The generations and their guests.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::{About, Interfaces, componentize};
use std::collections::BTreeSet;
use std::path::Path;

/// One generation of the interface; its guest is called after it. From the newest to the oldest.
pub use kvfuse_table::{GENERATIONS as GUESTS, Generation as Guest};

/// A guest's component, made from what cargo left in `folder`.
///
/// # Errors
/// If it is not there, or imports more than its generation, wasi:cli, and what these bring along of wasi:io.
pub fn component(guest: &Guest, folder: &Path) -> Result<Vec<u8>> {
    let core = folder.join(format!("{}.wasm", guest.name));
    let core =
        std::fs::read(&core).with_context(|| format!("no {}: make conformance builds the guests", core.display()))?;
    let about =
        About { name: guest.name.into(), version: "0.1.0".into(), licenses: "Apache-2.0".into(), ..About::default() };
    let component = componentize(&core, &about).with_context(|| format!("the guest {}", guest.name))?;
    let (package, version) = guest.package.split_once('@').unwrap_or((guest.package, ""));
    for import in Interfaces::of(&component)?.imports {
        let own = import.strip_prefix(package).is_some_and(|rest| rest.starts_with('/'));
        let its_own = own && import.split_once('@').map_or("", |(_, version)| version) == version;
        let allowed = its_own || import.starts_with("wasi:cli/") || import.starts_with("wasi:io/");
        ensure!(allowed, "the guest {} imports {import}, which is not what it checks", guest.name);
    }
    Ok(component)
}

/// That the files in `examples` and the generations are the same: a guest that nothing runs would show nothing.
pub fn none_forgotten(examples: &Path) -> Result<()> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(examples).with_context(|| examples.display().to_string())? {
        let path = entry?.path();
        files.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    let listed: BTreeSet<String> = GUESTS.iter().map(|guest| guest.name.to_string()).collect();
    ensure!(files == listed, "guests/examples holds {files:?}, and provider/table lists the generations {listed:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_is_no_generation_and_a_generation_without_a_guest_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        for guest in GUESTS {
            assert!(none_forgotten(folder.path()).is_err());
            std::fs::write(folder.path().join(format!("{}.rs", guest.name)), "").unwrap();
        }
        none_forgotten(folder.path()).unwrap();
        std::fs::write(folder.path().join("forgotten.rs"), "").unwrap();
        assert!(none_forgotten(folder.path()).is_err());
    }
}
