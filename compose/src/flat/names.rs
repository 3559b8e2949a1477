//! Import names that keep the two parts apart.
//!
//! A flat component has one table for the handles of the host's resources. Each import of a resource is a type of its own,
//! and a handle of one type is not taken for one of another; so no interface may be imported once for both.

use super::NotFlat;
use crate::compose::Supply;
use crate::error::Part as Which;
use crate::retarget::{rename_imports, track};
use crate::{Interfaces, split_name};
use std::borrow::Cow;

/// The provider, with names of its imports that the consumer does not use.
pub fn apart<'a>(consumer: &[u8], supply: &Supply<'a>) -> Result<Cow<'a, [u8]>, NotFlat> {
    let names = |bytes: &[u8], part: Which| {
        let unreadable = |e: crate::Error| NotFlat::Structure { part, what: format!("an error: {e}") };
        Ok(Interfaces::of(bytes).map_err(unreadable)?.imports)
    };
    let taken = names(consumer, Which::Consumer)?;
    let connected = |name: &String| supply.wires.iter().any(|wire| wire.import == *name);
    let taken: Vec<String> = taken.into_iter().filter(|name| !connected(name)).collect();
    let renames = renames(&taken, &names(supply.provider, Which::Provider)?)?;
    if renames.is_empty() {
        return Ok(Cow::Borrowed(supply.provider));
    }
    rename_imports(supply.provider, &renames).map(Cow::Owned).map_err(|e| NotFlat::Unsound(e.to_string()))
}

/// What of the provider's imports gets another name, as its old and its new one: all those of a version of which one is
/// taken. Patch versions are one to a host, so another patch version is the same interface.
fn renames(taken: &[String], own: &[String]) -> Result<Vec<(String, String)>, NotFlat> {
    let mut renames: Vec<(String, String)> = Vec::new();
    for name in own.iter().filter(|name| taken.contains(name)) {
        if renames.iter().any(|(from, _)| from == name) {
            continue;
        }
        let unknown = || NotFlat::Names(name.clone());
        let (package, _) = split_name(name).ok_or_else(unknown)?;
        track(&package).ok_or_else(unknown)?;
        let (path, version) = package.split_once('@').ok_or_else(unknown)?;
        let (minor, patch) = version.rsplit_once('.').ok_or_else(unknown)?;
        let patch: u32 = patch.parse().map_err(|_| unknown())?;
        let namespace = path.split(':').next().unwrap_or(path);
        // The packages of one release of WASI go together.
        let released = |other: &&String| {
            split_name(other).is_some_and(|(package, _)| {
                package.split(':').next() == Some(namespace) && package.ends_with(&format!("@{version}"))
            })
        };
        let together: Vec<&String> = own.iter().filter(released).collect();
        let renamed = |patch: u32| -> Vec<(String, String)> {
            let new = |name: &&String| {
                let end = name.len() - version.len();
                let path = name.get(..end).unwrap_or(name);
                ((*name).clone(), format!("{path}{minor}.{patch}"))
            };
            together.iter().map(new).collect()
        };
        // Older ones first: an interface grows from version to version, and a host may look for the one that it has.
        let candidates = (0..patch).rev().chain(patch + 1..=patch + taken.len() as u32 + 1);
        let free = |(_, new): &(String, String)| !taken.contains(new) && !own.contains(new);
        let found = candidates.map(renamed).find(|renamed| renamed.iter().all(free)).ok_or_else(unknown)?;
        renames.extend(found);
    }
    Ok(renames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_that_both_have_gets_another_patch_version_with_all_of_its_release() {
        let own = owned(&["wasi:io/streams@0.2.12", "wasi:filesystem/types@0.2.12", "wasi:random/random@0.2.6"]);
        let expected = |patch: &str| {
            vec![
                ("wasi:io/streams@0.2.12".to_string(), format!("wasi:io/streams@0.2.{patch}")),
                ("wasi:filesystem/types@0.2.12".to_string(), format!("wasi:filesystem/types@0.2.{patch}")),
            ]
        };
        assert_eq!(renames(&owned(&["wasi:io/streams@0.2.6"]), &own).unwrap(), []);
        assert_eq!(renames(&owned(&["wasi:io/streams@0.2.12"]), &own).unwrap(), expected("11"));
        let taken = owned(&["wasi:io/streams@0.2.12", "wasi:filesystem/types@0.2.11"]);
        assert_eq!(renames(&taken, &own).unwrap(), expected("10"));
        let first = owned(&["wasi:io/streams@0.2.0"]);
        let expected = [("wasi:io/streams@0.2.0".to_string(), "wasi:io/streams@0.2.1".to_string())];
        assert_eq!(renames(&first, &first).unwrap(), expected);
    }

    #[test]
    fn a_name_without_patch_versions_cannot_be_told_apart() {
        for name in ["wasi:config/store@0.2.0-draft", "acme:door/lock", "lock"] {
            let names = owned(&[name]);
            assert_eq!(renames(&names, &names), Err(NotFlat::Names(name.into())));
        }
    }
}
