//! From a damaged directory to a sound one: copies what can be read, and reports what cannot.
//!
//! Nothing in the damaged directory changes. If the store itself refuses to read a segment, its whole file is scanned,
//! and every undamaged page and record counts. A key that was last written before a damaged record may have been
//! changed by that. It is copied, and listed as uncertain.
//!
//! | file | |
//! |---|---|
//! | `walk` | which segments have a bucket's pairs |
//! | `replay`, `state` | what the file of a damaged segment still has |
//! | `scan` | its records, and what lies between them |

mod replay;
mod scan;
mod state;
mod walk;

use crate::body;
use crate::bucket::FileBucket;
use crate::config::Config;
use crate::error::failed;
use crate::item::{Found, Item, OwnedKey, Stored};
use crate::name::Node;
use crate::record::NEVER;
use crate::store::FileStore;
use crate::tree::{Access, Tree};
use crate::write::Change;
use crate::{anchor, value};
use kvfuse_core::limits::MAX_KEY;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;
use walk::{Read, Take, Walk};

/// How many pairs, and how many bytes of them, are written together.
const BATCH: (usize, usize) = (1000, 1 << 20);
/// Bytes of one read of a value that is copied as a stream.
const CHUNK: usize = 1 << 20;

/// The result for one bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repaired {
    /// Keys that were copied, the uncertain ones included.
    pub keys: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Keys that were copied but may have been changed or deleted later, by a record that is damaged.
    pub uncertain: Vec<String>,
    /// Keys whose value cannot be read, with what is damaged.
    pub lost: Vec<(String, String)>,
    /// The number of keys that are known to exist but whose names cannot be read.
    pub nameless: u64,
    /// Parts of the key space of which only the records after the base can be read. Keys are spread evenly over the key
    /// space, from 0 to 1, by a keyed hash.
    pub parts: Vec<(f64, f64)>,
    /// The damage, one line each.
    pub damage: Vec<String>,
}

impl Repaired {
    /// Whether everything was copied, and nothing is uncertain.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
            && self.uncertain.is_empty()
            && self.lost.is_empty()
            && self.nameless == 0
            && self.parts.is_empty()
    }
}

/// Copies what can be read of the bucket in this directory to the directory of the same name in another store. From
/// time to time, `progress` is called with the number of keys copied.
///
/// ```
/// use kvfuse_core::{Bucket, Store};
/// use kvfuse_files::{Config, FileStore, repair};
/// use kvfuse_transport::files::native::{Native, ReadWrite};
/// use std::rc::Rc;
///
/// # let folder = std::env::temp_dir().join(format!("kvfuse-files-repair-{}", std::process::id()));
/// # let (damaged, copy) = (folder.join("damaged"), folder.join("copy"));
/// # std::fs::create_dir_all(&damaged)?;
/// # std::fs::create_dir_all(&copy)?;
/// # FileStore::new(Ok(ReadWrite::open(&damaged)?), Config::default()).open("stock")?.set("apples", b"7")?;
/// let from = Rc::new(Native::open(&damaged)?);
/// let to = FileStore::new(Ok(ReadWrite::open(&copy)?), Config::default());
/// let repaired = repair::bucket(&from, "b-stock", &to, &mut |_| {})?;
/// assert!(repaired.is_whole() && repaired.keys == 1);
/// assert_eq!(to.open("stock")?.get("apples")?.as_deref(), Some(&b"7"[..]));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Kind::Unsupported`] for another format, those of reading except damage, and those of writing.
pub fn bucket<S: Directory, T: Directory>(
    from: &Rc<S>,
    directory: &str,
    to: &FileStore<T>,
    progress: &mut dyn FnMut(u64),
) -> Result<Repaired> {
    let bucket = to.in_directory(directory)?;
    // The bucket is created even if nothing of it can be read.
    bucket.writing(|tree| tree.seek(0, Access::Write).map(drop))?;
    let mut copy = Copy { bucket, report: Repaired::default(), batch: Vec::new(), batched: 0, progress };
    let mut missed = Vec::new();
    let damage = read(from, directory, &mut |tree, read| copy.take(tree, read), &mut |part| missed.push(part))?;
    copy.flush()?;
    copy.bucket.writing(|tree| sync(&tree.directory))?;
    let mut report = copy.report;
    // The lines about single value files came first.
    report.damage.splice(0..0, damage);
    report.parts.extend(missed.iter().map(part));
    report.uncertain.sort();
    report.lost.sort();
    report.parts.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(report)
}

/// A part of the key space, from 0 to 1.
fn part(places: &RangeInclusive<u64>) -> (f64, f64) {
    let all = Node::ROOT.last() as f64 + 1.0;
    (*places.start() as f64 / all, (*places.end() as f64 + 1.0) / all)
}

fn read<S: Directory>(
    from: &Rc<S>,
    name: &str,
    take: &mut Take<'_, S>,
    miss: &mut dyn FnMut(RangeInclusive<u64>),
) -> Result<Vec<String>> {
    let fail = |error| failed(&format!("the bucket's directory {name}"), error);
    let directory = from.directory(name).map_err(fail)?;
    let anchor = match anchor::read(&directory) {
        Ok(Some(anchor)) => anchor,
        // Nothing was ever written.
        Ok(None) => return Ok(Vec::new()),
        Err(error) if error.kind() == Kind::Damaged => {
            miss(Node::ROOT.first()..=Node::ROOT.last());
            return Ok(vec!["the file anchor is missing or damaged, and without it nothing can be read".into()]);
        }
        Err(error) => return Err(error),
    };
    let mut files = std::collections::BTreeSet::new();
    directory
        .list(&mut |file| {
            files.insert(file.to_string());
        })
        .map_err(fail)?;
    let splits = anchor.splits.iter().copied().collect();
    let tree = Tree::new(from.clone(), name.into(), anchor, Config::default(), Rc::default(), Rc::default());
    let mut walk = Walk { tree, files, splits, damage: Vec::new(), doubt: false, take, miss };
    walk.run()?;
    Ok(walk.damage)
}

/// Makes everything in a bucket's directory survive a power cut.
fn sync<D: Directory>(directory: &D) -> Result<()> {
    let fail = |error| failed("the bucket's directory", error);
    let mut names = Vec::new();
    directory.list(&mut |name| names.push(name.to_string())).map_err(fail)?;
    for name in names {
        match directory.open(&name, Open::Write) {
            Ok(file) => file.sync(),
            // Value files were synced when they were written.
            Err(FileError::WrongType) => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(fail)?;
    }
    directory.sync().map_err(fail)
}

/// A copy that is being made.
struct Copy<'a, T: Directory> {
    bucket: FileBucket<T>,
    report: Repaired,
    /// Keys, values, and when they end.
    batch: Vec<(String, Vec<u8>, u64)>,
    /// Bytes of it.
    batched: usize,
    progress: &'a mut dyn FnMut(u64),
}

/// A value in the form in which it can be copied.
enum Value<F> {
    Bytes(Vec<u8>),
    /// One that came as a stream, and its size.
    Stream(F, u64),
}

impl<T: Directory> Copy<'_, T> {
    fn take<S: Directory>(&mut self, tree: &Tree<S>, read: Read<'_, S>) -> Result<()> {
        self.report.nameless += read.nameless;
        self.report.parts.extend(read.lost.iter().map(part));
        for (place, key) in &read.unknown {
            let (place, key) = (*place, key.clone());
            let item = Item { place, key, found: Found { version: 0, value: Stored::Bytes(Vec::new()), end: NEVER } };
            if let Some(key) = self.key(tree, &item)? {
                self.report.lost.push((key, format!("its value in the file {} is damaged", read.segment.name())));
            }
        }
        for (item, sure) in &read.pairs {
            if tree.directory.is_over(item.found.end) {
                continue;
            }
            let Some(key) = self.key(tree, item)? else { continue };
            match value(tree, &read, item) {
                Ok(value) => self.put(key, value, item.found.end, *sure)?,
                Err(error) if error.kind() == Kind::Damaged => {
                    let message = error.message();
                    let cause = message.split("; ").next().unwrap_or(message).to_string();
                    self.report.lost.push((key, cause));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The text of a key; `None` if its file is damaged, which is reported.
    fn key<S: Directory>(&mut self, tree: &Tree<S>, item: &Item) -> Result<Option<String>> {
        let told = match tree.key_text(item) {
            Ok(Some(key)) if key.len() <= MAX_KEY => return Ok(Some(key)),
            Ok(Some(_)) => "a key is longer than any that this store writes".to_string(),
            Ok(None) => match &item.key {
                OwnedKey::Far { file, .. } => format!("the value file {} with a key is missing", file.path()),
                OwnedKey::Whole(_) => String::new(),
            },
            Err(error) if error.kind() == Kind::Damaged => error.message().to_string(),
            Err(error) => return Err(error),
        };
        self.report.damage.push(told);
        self.report.nameless += 1;
        Ok(None)
    }

    fn put<F: File>(&mut self, key: String, value: Value<F>, end: u64, sure: bool) -> Result<()> {
        if !sure {
            self.report.uncertain.push(key.clone());
        }
        self.report.keys += 1;
        match value {
            Value::Bytes(bytes) => {
                self.report.bytes += bytes.len() as u64;
                self.batched += key.len() + bytes.len();
                self.batch.push((key, bytes, end));
                if self.batch.len() >= BATCH.0 || self.batched >= BATCH.1 {
                    self.flush()?;
                }
            }
            Value::Stream(file, size) => {
                self.report.bytes += size;
                self.stream(&key, &file, size)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let changes = self.batch.iter().map(|(key, value, end)| (key.as_str(), Change::Set { value, end: *end }));
        self.bucket.change_many(changes)?;
        self.batch.clear();
        self.batched = 0;
        (self.progress)(self.report.keys);
        Ok(())
    }

    /// Copies a value that came as a stream. Its content has no check, so it is not verified.
    fn stream<F: File>(&mut self, key: &str, from: &F, size: u64) -> Result<()> {
        let fail = |error| failed("the file of a value", error);
        let moving = self.bucket.writing(|tree| {
            let id = tree.ids.next(&*tree.root);
            let (to, path) = body::create(&*tree.root, id)?;
            let mut at = 0;
            while at < size {
                let bytes = from.read(at, (size - at).min(CHUNK as u64) as usize).map_err(fail)?;
                if bytes.is_empty() {
                    return Err(fail(FileError::Io));
                }
                to.write(at, &bytes).map_err(fail)?;
                at += bytes.len() as u64;
            }
            to.sync().map_err(fail)?;
            Ok(RefCell::new(body::moving(&tree.root, Rc::new(to), (id, path), size)))
        })?;
        self.bucket.change(key, Change::Place(&moving)).map(drop)
    }
}

/// Reads a pair's value.
fn value<S: Directory>(tree: &Tree<S>, read: &Read<'_, S>, item: &Item) -> Result<Value<S::File>> {
    let file = match &item.found.value {
        Stored::Bytes(bytes) => return Ok(Value::Bytes(bytes.clone())),
        Stored::Pieces(pieces) => return read.segment.pieces(pieces).map(Value::Bytes),
        Stored::File(file) => file,
    };
    let missing = || value::gone(file.name, "is missing");
    if file.check.is_some() {
        return value::read(&tree.directory, &tree.keys, file)?.map(Value::Bytes).ok_or_else(missing);
    }
    let path = file.name.path();
    let fail = |error| failed(&format!("the value file {path}"), error);
    let opened = match tree.directory.open(&path, Open::Read) {
        Err(FileError::NotFound) => return Err(missing()),
        opened => opened.map_err(fail)?,
    };
    let size = opened.size().map_err(fail)?;
    if size < file.size {
        return Err(Error::new(Kind::Damaged, format!("the value file {path} has {size} bytes of {}", file.size)));
    }
    Ok(Value::Stream(opened, file.size))
}
