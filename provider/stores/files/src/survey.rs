//! What all files of a store's directory hold, for a tool that looks at it while nobody or anybody works there. Changes
//! nothing. Damage is part of the answer, and what is not damaged is counted.

use crate::config::Config;
use crate::frame::{self, MAX_FRAME, Read};
use crate::gap::Gap;
use crate::hash::Keys;
use crate::item::{Item, Stored};
use crate::name::{ANCHOR, Node, bucket_directory};
use crate::nodelog::{self, NodeState};
use crate::record::{self, Key};
use crate::segment::{CHUNK, Segment};
use crate::sweep::Sweep;
use crate::tree::Tree;
use crate::{anchor, error::failed, value};
use kvfuse_core::{Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Most lines of damage for one segment.
const LINES: usize = 20;

/// What a store's directory has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// The directories of its buckets, in order.
    pub buckets: Vec<String>,
    /// Values on their way as streams, or left by instances that died.
    pub arriving: Files,
    /// Entries that do not belong to the store.
    pub foreign: Vec<String>,
}

/// Some files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Files {
    pub count: u64,
    pub bytes: u64,
}

impl Files {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What a bucket's directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// By the hashes they cover.
    pub segments: Vec<Part>,
    /// Value files that live pairs name.
    pub values: Files,
    /// Of these, the ones that were read and are as they were written; none unless [`verify`] was asked for.
    pub verified: Files,
    /// Of these, the ones without a check: their values came as streams. None unless [`verify`] was asked for.
    pub unchecked: Files,
    /// Segments and value files that nothing refers to any more, or not yet.
    pub leftover: Files,
    /// One line each.
    pub damage: Vec<String>,
}

/// A live segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its file.
    pub name: String,
    pub keys: u64,
    pub bytes: u64,
    /// Bytes that the live pairs would take in a fresh segment.
    pub live: u64,
    /// Bytes of records that are cut off: their writers died, or are writing.
    pub torn: u64,
    /// Bytes that something other than this store changed.
    pub damaged: u64,
    pub sealed: bool,
}

impl Part {
    /// Bytes that compaction would give back.
    pub fn dead(&self) -> u64 {
        self.bytes.saturating_sub(self.live)
    }
}

/// What a bucket's directory says of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Plain(String),
    /// Only a hash of it, and its beginning as the directory has it.
    Hashed,
}

/// The name of the bucket whose directory this is; `None` if it is not the directory of a bucket.
pub fn bucket_name(directory: &str) -> Option<Name> {
    if let Some((_, hash)) = directory.strip_prefix("h-").and_then(|rest| rest.rsplit_once('-')) {
        return (hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())).then_some(Name::Hashed);
    }
    let mut bytes = Vec::new();
    let mut rest = directory.strip_prefix("b-")?.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte => byte,
        });
    }
    let name = String::from_utf8(bytes).ok()?;
    (bucket_directory(&name) == directory).then_some(Name::Plain(name))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Looks at a directory's entries.
///
/// # Errors
/// Of listing.
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

/// Looks at all files of the bucket that has this directory.
///
/// # Errors
/// [`Kind::Unsupported`] for another format, and those of reading. Damage is not an error: it is part of the answer.
pub fn bucket<D: Directory>(root: &Rc<D>, directory: &str) -> Result<Bucket> {
    twice(root, directory, false)
}

/// The same, and reads all value files as well.
///
/// # Errors
/// As of [`bucket`].
pub fn verify<D: Directory>(root: &Rc<D>, directory: &str) -> Result<Bucket> {
    twice(root, directory, true)
}

fn twice<D: Directory>(root: &Rc<D>, directory: &str, values: bool) -> Result<Bucket> {
    let first = look(root, directory, values)?;
    if first.damage.is_empty() {
        return Ok(first);
    }
    // Others may be at work: a file that is gone was perhaps replaced. Names are never used again, so what is missing
    // twice is missing.
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
        // Without it nothing can be read. It is the first file of a bucket, so alone it may be on its way.
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
                bucket
                    .damage
                    .push(format!("the file {} is damaged: it says that a node split that cannot", node.log()));
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
                let part = part(segment, &tree.keys, &mut named, &mut bucket, &read)?;
                bucket.segments.push(part);
            }
            None => {
                // A bucket's first segment may be on its way, alone; all others are whole before anything refers to them.
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
            // Whoever read it has said so.
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

/// The sizes of a bucket's files by their paths. What is there and no file has no size.
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

/// Reads all of a segment. What cannot be read is told in `damage`, and the rest is counted.
fn part<F: File>(
    mut segment: Segment<F>,
    keys: &Keys,
    named: &mut BTreeMap<String, u64>,
    bucket: &mut Bucket,
    files: &dyn Fn(&Item, &mut Bucket) -> Result<()>,
) -> Result<Part> {
    let bytes = segment.file.size().map_err(|error| segment.failed(error))?;
    let mut part =
        Part { name: segment.name(), keys: 0, bytes, live: 0, torn: 0, damaged: 0, sealed: segment.sealed().is_some() };
    if segment.old.is_none() {
        // What is behind a seal is nothing at all.
        let end = if part.sealed { segment.position } else { bytes };
        gaps(&segment, keys, end, &mut part)?;
    }
    if part.damaged > 0 {
        let line = format!("the file {} has {} bytes that are not as they were written", part.name, part.damaged);
        bucket.damage.push(line);
    }
    let mut lines = 0;
    let mut tell = |bucket: &mut Bucket, result: Result<()>| match result {
        Err(error) if error.kind() == Kind::Damaged => {
            lines += 1;
            if lines <= LINES {
                bucket.damage.push(error.message().to_string());
            }
            Ok(())
        }
        other => other,
    };
    let mut sweep = Sweep::whole(segment.config.memory / 8);
    for slice in 0..segment.slices() {
        let items = match segment.slice(keys, slice, &mut sweep) {
            Ok(slice) => slice.items,
            Err(error) => {
                tell(bucket, Err(error))?;
                continue;
            }
        };
        for item in &items {
            part.keys += 1;
            part.live += 14 + item.key.borrow().id().len() as u64 + item.found.value.bytes();
            named.extend(files_of(item));
            if let Stored::Pieces(pieces) = &item.found.value {
                tell(bucket, segment.pieces(pieces).map(drop))?;
            }
            let read = files(item, bucket);
            tell(bucket, read)?;
        }
    }
    Ok(part)
}

/// Reads the files of a pair and compares their checks. Missing files are found without reading.
fn verified<D: Directory>(tree: &Tree<D>, item: &Item, bucket: &mut Bucket) -> Result<()> {
    if let Key::Far { length, .. } = item.key.borrow()
        && tree.key_text(item)?.is_some()
    {
        bucket.verified.add(u64::from(length));
    }
    match &item.found.value {
        Stored::File(file) if file.check.is_none() => bucket.unchecked.add(file.size),
        Stored::File(file) if value::read(&tree.directory, &tree.keys, file)?.is_some() => {
            bucket.verified.add(file.size)
        }
        _ => {}
    }
    Ok(())
}

/// Counts the bytes of a segment that are not a whole record.
fn gaps<F: File>(segment: &Segment<F>, keys: &Keys, end: u64, part: &mut Part) -> Result<()> {
    let (mut at, mut window, mut gap) = (0, Vec::new(), Vec::new());
    let old = keys.checks(b's', segment.node, segment.generation).marker();
    let mut count = |gap: &mut Vec<u8>, end: u64| -> Result<()> {
        let begin = end - gap.len() as u64;
        match segment.judge(gap, begin)? {
            _ if gap.is_empty() => {}
            // Begun in format 2 by a writer that died, before there was a base.
            _ if begin == 0 && gap.starts_with(&old) => part.torn += gap.len() as u64,
            Gap::Torn | Gap::Lost | Gap::Unclear => part.torn += gap.len() as u64,
            Gap::Damaged => part.damaged += gap.len() as u64,
        }
        gap.clear();
        Ok(())
    };
    while at < end {
        let next = at + window.len() as u64;
        let more = if window.len() < MAX_FRAME && next < end {
            let want = (end - next).min(CHUNK as u64) as usize;
            segment.file.read(next, want).map_err(|error| segment.failed(error))?
        } else {
            Vec::new()
        };
        let ended = more.is_empty();
        window.extend_from_slice(&more);
        if window.len() < MAX_FRAME && !ended {
            continue;
        }
        let mut done = 0;
        while let Some(rest) = window.get(done..).filter(|rest| rest.len() >= MAX_FRAME || ended && !rest.is_empty()) {
            match frame::read(&segment.checks, rest) {
                Read::Whole(frame) if record::decode(&segment.checks, frame.head, frame.blobs).is_some() => {
                    count(&mut gap, at + done as u64)?;
                    done += frame.size();
                }
                _ => {
                    gap.extend(rest.first());
                    done += 1;
                }
            }
        }
        window.drain(..done);
        at += done as u64;
        if ended && window.is_empty() {
            break;
        }
    }
    count(&mut gap, at)
}

fn files_of(item: &Item) -> impl Iterator<Item = (String, u64)> + use<> {
    let key = match item.key.borrow() {
        Key::Far { length, file, .. } => Some((file.path(), u64::from(length))),
        Key::Whole(_) => None,
    };
    let value = match &item.found.value {
        Stored::File(file) => Some((file.name.path(), file.size)),
        Stored::Bytes(_) | Stored::Pieces(_) => None,
    };
    key.into_iter().chain(value)
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
