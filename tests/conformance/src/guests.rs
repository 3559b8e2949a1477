//! The generations and their guests.

use anyhow::{Context, Result, ensure};
use kvfuse_compose::{About, Interfaces, componentize};
use std::collections::BTreeSet;
use std::path::Path;

/// One generation of the interface and the guest that checks it.
#[derive(Debug)]
pub struct Guest {
    /// Of its file in `guests/examples/`.
    pub name: &'static str,
    /// What people call the generation.
    pub title: &'static str,
    /// The package whose interfaces the guest may import.
    pub package: &'static str,
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
    for import in Interfaces::of(&component)?.imports {
        let its_own = import.starts_with(guest.package) && import.ends_with(guest.version);
        let allowed = its_own || import.starts_with("wasi:cli/") || import.starts_with("wasi:io/");
        ensure!(allowed, "the guest {} imports {import}, which is not what it checks", guest.name);
    }
    Ok(component)
}

/// That the files in `examples`, the list above and what the targets must pass name the same guests: one that nothing
/// runs would show nothing.
pub fn none_forgotten<'a>(examples: &Path, must_pass: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(examples).with_context(|| examples.display().to_string())? {
        let path = entry?.path();
        files.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    let listed: BTreeSet<String> = GUESTS.iter().map(|guest| guest.name.to_string()).collect();
    let run: BTreeSet<String> = must_pass.map(str::to_string).collect();
    ensure!(files == listed, "guests/examples holds {files:?}, and src/guests.rs lists {listed:?}");
    ensure!(run == listed, "some target of targets.json must pass {run:?}, and the guests are {listed:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_no_list_names_or_no_target_must_pass_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for guest in GUESTS {
            std::fs::write(folder.path().join(format!("{}.rs", guest.name)), "").unwrap();
        }
        let all = || GUESTS.iter().map(|guest| guest.name);
        none_forgotten(folder.path(), all()).unwrap();
        assert!(none_forgotten(folder.path(), all().skip(1)).is_err());
        std::fs::write(folder.path().join("forgotten.rs"), "").unwrap();
        assert!(none_forgotten(folder.path(), all()).is_err());
    }
}
