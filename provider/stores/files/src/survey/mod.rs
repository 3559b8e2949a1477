//! The content of all files in a store's directory, for a tool that inspects it, whether or not other instances use it.
//! Changes nothing. Damage is part of the answer, and the undamaged rest is counted.

mod segment;

use crate::config::Config;
use crate::item::Item;
use crate::name::{ANCHOR, Node, bucket_directory};
use crate::nodelog::{self, NodeState};
use crate::tree::Tree;
use crate::{anchor, error::failed};
use kvfuse_core::{Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use percent_encoding::percent_decode_str;
use segment::{part, verified};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use segment::Part;

/// The content of a store's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// The directories of its buckets, in order.
    pub buckets: Vec<String>,
    /// Values that are being written as streams, or were left by killed instances.
    pub arriving: Files,
    /// Entries that do not belong to the store.
    pub foreign: Vec<String>,
}

/// Some files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The number of files.
    pub count: u64,
    /// Their total size in bytes.
    pub bytes: u64,
}

impl Files {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// The content of a bucket's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// In order of the hashes that they cover.
    pub segments: Vec<Part>,
    /// Value files that live pairs name.
    pub values: Files,
    /// Those of them that were read and found undamaged. None unless [`verify`] was used.
    pub verified: Files,
    /// Those of them without a check, because their values came as streams. None unless [`verify`] was used.
    pub unchecked: Files,
    /// Segments and value files that nothing refers to, no longer or not yet.
    pub leftover: Files,
    /// The damage, one line each.
    pub damage: Vec<String>,
}

/// The name of a bucket, as far as its directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// The name.
    Plain(String),
    /// Only a hash of the name, and its beginning as in the directory's name.
    Hashed,
}

/// The name of the bucket in this directory; `None` if it is not the directory of a bucket.
///
/// ```
/// use kvfuse_files::survey::{Name, bucket_name};
///
/// assert_eq!(bucket_name("b-eu%2fstock"), Some(Name::Plain("eu/stock".into())));
/// assert_eq!(bucket_name("pictures"), None);
/// ```
pub fn bucket_name(directory: &str) -> Option<Name> {
    if let Some((_, hash)) = directory.strip_prefix("h-").and_then(|rest| rest.rsplit_once('-')) {
        return (hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())).then_some(Name::Hashed);
    }
    let name = percent_decode_str(directory.strip_prefix("b-")?).decode_utf8().ok()?;
    (bucket_directory(&name) == directory).then(|| Name::Plain(name.into_owned()))
}

/// Inspects a directory's entries.
///
/// ```
/// use kvfuse_files::survey;
/// use kvfuse_transport::files::native::Native;
///
/// # let folder = std::env::temp_dir().join(format!("kvfuse-files-survey-{}", std::process::id()));
/// # std::fs::create_dir_all(folder.join("b-stock"))?;
/// # std::fs::create_dir_all(folder.join("pictures"))?;
/// let store = survey::store(&Native::open(&folder)?)?;
/// assert_eq!((store.buckets, store.foreign), (vec!["b-stock".to_string()], vec!["pictures".to_string()]));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of listing the directory.
pub fn store<D: Directory>(root: &D) -> Result<Store> {
    let fail = |error| failed("the directory", error);
    let mut store = Store::default();
    let mut bodies = false;
    root.list(&mut |entry| match entry {
        "bodies" => bodies = true,
        _ if bucket_name(entry).is_some() => store.buckets.push(entry.to_string()),
        _ => store.foreign.push(entry.to_string()),
    })
    .map_err(fail)?;
    store.buckets.sort();
    store.foreign.sort();
    if bodies && let Ok(directory) = root.directory("bodies") {
        let mut names = Vec::new();
        directory.list(&mut |name| names.push(name.to_string())).map_err(fail)?;
        names.iter().for_each(|name| store.arriving.add(size(&directory, name).unwrap_or(0)));
    }
    Ok(store)
}

/// Inspects all files of the bucket in this directory. The [crate's documentation](crate) has an example.
///
/// # Errors
/// [`Kind::Unsupported`] for another format, and those of reading. Damage is not an error: it is part of the answer.
pub fn bucket<D: Directory>(root: &Rc<D>, directory: &str) -> Result<Bucket> {
    twice(root, directory, false)
}

/// The same, but also reads all value files: only their contents show whether they are damaged.
///
/// ```
/// use kvfuse_core::{Bucket, Store};
/// use kvfuse_files::{Config, FileStore, survey};
/// use kvfuse_transport::files::native::{Native, ReadWrite};
///
/// # let folder = std::env::temp_dir().join(format!("kvfuse-files-verify-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let store = FileStore::new(Ok(ReadWrite::open(&folder)?), Config::default());
/// store.open("stock")?.set("picture", &[0; 200_000])?;
/// let stock = survey::verify(&std::rc::Rc::new(Native::open(&folder)?), "b-stock")?;
/// assert_eq!((stock.verified.count, stock.verified.bytes), (1, 200_000));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`bucket`].
pub fn verify<D: Directory>(root: &Rc<D>, directory: &str) -> Result<Bucket> {
    twice(root, directory, true)
}

fn twice<D: Directory>(root: &Rc<D>, directory: &str, values: bool) -> Result<Bucket> {
    let first = look(root, directory, values)?;
    if first.damage.is_empty() {
        return Ok(first);
    }
    // Others may be at work: a file that is gone may have been replaced. Names are never used again, so a file that is
    // missing twice is missing.
    let mut second = look(root, directory, values)?;
    second.damage.retain(|line| first.damage.contains(line));
    Ok(second)
}

fn look<D: Directory>(root: &Rc<D>, name: &str, values: bool) -> Result<Bucket> {
    let mut bucket = Bucket::default();
    let fail = |error| failed(&format!("the bucket's directory {name}"), error);
    let Some(directory) = bucket.note(root.directory(name).map_err(fail))? else { return Ok(bucket) };
    let files = files(&directory).map_err(fail)?;
    let Some(anchor) = bucket.note(anchor::read(&directory))? else { return Ok(bucket) };
    let Some(anchor) = anchor else {
        // Without it nothing can be read. It is the first file of a bucket, so a lone one may be still being written.
        if files.keys().any(|file| file != ANCHOR) {
            bucket.damage.push("the file anchor is missing or damaged, and without it nothing can be read".into());
        }
        return Ok(bucket);
    };
    let mut tree = Tree::new(root.clone(), name.into(), anchor, Config::default(), Rc::default(), Rc::default());
    let mut known = BTreeSet::from([ANCHOR.to_string()]);
    let mut named = BTreeMap::new();
    let mut nodes = vec![(Node::ROOT, 0)];
    while let Some((node, first)) = nodes.pop() {
        known.insert(node.log());
        let state = nodelog::read(&tree.directory, &tree.keys, node);
        let Some(state) = bucket.note(state)? else { continue };
        if state.split {
            let mut children: Vec<_> = node.children().map(|child| (child, state.seal)).collect();
            if children.is_empty() {
                bucket.damage.push(format!(
                    "the file {} is damaged: it records a split of a node that is too deep to split",
                    node.log()
                ));
            }
            children.reverse();
            nodes.extend(children);
            continue;
        }
        let file = node.segment(state.generation);
        let follows = if state.generation == 0 { first } else { state.seal };
        let loaded = tree.load(node, state.generation, follows);
        let Some(loaded) = bucket.note(loaded)? else {
            known.insert(file);
            continue;
        };
        match loaded {
            Some(segment) => {
                let read =
                    |item: &Item, bucket: &mut Bucket| if values { verified(&tree, item, bucket) } else { Ok(()) };
                let about = (&tree.keys, tree.directory.time());
                let part = part(segment, about, &mut named, &mut bucket, &read)?;
                bucket.segments.push(part);
            }
            None => {
                // A bucket's first segment may be still being written; all others are complete before anything refers
                // to them.
                let first = node == Node::ROOT && state == NodeState::default();
                let alone = files.keys().all(|other| *other == file || other == ANCHOR);
                if !first || !alone || tree.has_records()? {
                    let what = if files.contains_key(&file) { "has no valid beginning" } else { "is missing" };
                    bucket.damage.push(format!("the file {file} {what}; something other than this store changed it"));
                }
            }
        }
        known.insert(file);
    }
    for (path, size) in &files {
        match named.remove(path) {
            // The reader has already reported it.
            Some(expected) if *size < expected && bucket.damage.iter().any(|line| line.contains(path)) => {}
            Some(expected) if *size < expected => {
                bucket.damage.push(format!("the value file {path} has {size} bytes of {expected}"));
            }
            Some(_) => bucket.values.add(*size),
            None if known.contains(path) => {}
            None => bucket.leftover.add(*size),
        }
    }
    bucket.damage.extend(named.into_keys().map(|path| format!("the value file {path} is missing")));
    Ok(bucket)
}

impl Bucket {
    /// A result. Damage is noted, and not an error.
    fn note<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == Kind::Damaged => {
                self.damage.push(error.message().to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The sizes of a bucket's files by their paths. Entries that are not files have no size.
fn files<D: Directory>(directory: &D) -> Result<BTreeMap<String, u64>, FileError> {
    let mut names = Vec::new();
    directory.list(&mut |name| names.push(name.to_string()))?;
    let mut files = BTreeMap::new();
    for name in names {
        let inner = if name.starts_with('v') { directory.directory(&name).ok() } else { None };
        let Some(inner) = inner else {
            files.insert(name.clone(), size(directory, &name).unwrap_or(0));
            continue;
        };
        inner.list(&mut |file| {
            files.insert(format!("{name}/{file}"), size(&inner, file).unwrap_or(0));
        })?;
    }
    Ok(files)
}

fn size<D: Directory>(directory: &D, name: &str) -> Result<u64, FileError> {
    directory.open(name, Open::Read)?.size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_known_by_its_directory_and_others_are_not_taken_for_one() {
        for name in ["default", "Größe/%41", "", "a-b_c", "x y"] {
            assert_eq!(bucket_name(&bucket_directory(name)), Some(Name::Plain(name.to_string())));
        }
        assert_eq!(bucket_name(&bucket_directory(&"long".repeat(100))), Some(Name::Hashed));
        for directory in ["b-%4", "b-%zz", "b-A", "b-%61", "b-%ff", "b-%+1", "b-ä", "h-x", "h-x-1234", "bodies", ""] {
            assert_eq!(bucket_name(directory), None, "{directory}");
        }
    }
}
