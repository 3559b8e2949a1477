//! A directory in memory with WASI's semantics, and with the faults that real ones have.
//!
//! Every operation first asks the disk's [`Director`] what is to become of it. Files are append-only or written once,
//! so what a power cut may leave of one is a prefix of what was not synced, with or without zeros behind it; of a
//! directory's changes since its last sync, a prefix in their order.

use kvfuse_transport::files::{Directory, File, FileError, Open, Result};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A file operation, as far as a director tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Open,
    Read,
    /// Of so many bytes.
    Append(usize),
    Write(usize),
    Size,
    Sync,
    List,
    CreateDirectory,
    Unlink,
    Rename,
    SyncDirectory,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Go,
    Fail(FileError),
    /// An append or write leaves its first bytes, then fails.
    Tear(usize, FileError),
    /// The host cuts an append after so many bytes, and puts the rest down later.
    Cut(usize),
    /// The instance is killed before it.
    Kill,
    /// The instance is killed in the middle of an append or write, after so many bytes.
    KillAfter(usize),
}

/// Payload of the unwinding that ends a killed instance.
pub struct Killed;

pub trait Director {
    fn judge(&self, call: Call, path: &str) -> Verdict;

    /// Between the two parts of an append that is cut.
    fn pause(&self) {}

    fn random(&self) -> u64;
}

type Index = usize;

#[derive(Clone)]
struct Data {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Clone)]
enum Change {
    Link(String, Index),
    Unlink(String),
}

#[derive(Clone, Default)]
struct Entries {
    now: BTreeMap<String, Index>,
    synced: BTreeMap<String, Index>,
    /// Since the last sync.
    changes: Vec<Change>,
}

#[derive(Clone)]
enum Node {
    File(Data),
    Directory(Entries),
}

/// What is on the disk. Shared by all instances.
#[derive(Clone)]
pub struct Disk(Rc<RefCell<Vec<Node>>>);

impl Default for Disk {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(vec![Node::Directory(Entries::default())])))
    }
}

impl Disk {
    /// The root directory as an instance sees it.
    pub fn root(&self, director: Rc<dyn Director>) -> SimDirectory {
        SimDirectory { disk: self.clone(), index: 0, director }
    }

    /// A copy that shares nothing.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// All files, with their paths.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut out = Vec::new();
        self.walk(0, "", &mut |path, bytes| out.push((path.to_string(), bytes.to_vec())));
        out
    }

    fn walk(&self, index: Index, path: &str, each: &mut dyn FnMut(&str, &[u8])) {
        let nodes = self.0.borrow();
        match nodes.get(index) {
            Some(Node::File(data)) => each(path, &data.bytes),
            Some(Node::Directory(entries)) => {
                for (name, index) in &entries.now {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                    self.walk(*index, &path, each);
                }
            }
            None => {}
        }
    }

    /// Puts a file there as something other than the store would, directories included.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut nodes = self.0.borrow_mut();
        let mut at = 0;
        let parts: Vec<_> = path.split('/').collect();
        for (place, part) in parts.iter().enumerate() {
            let last = place + 1 == parts.len();
            let new = nodes.len();
            let Some(Node::Directory(entries)) = nodes.get_mut(at) else { return };
            let next = match entries.now.get(*part) {
                Some(index) if !last => *index,
                _ => {
                    entries.now.insert(part.to_string(), new);
                    entries.synced.insert(part.to_string(), new);
                    nodes.push(if last {
                        Node::File(Data { bytes: bytes.to_vec(), synced: bytes.to_vec() })
                    } else {
                        Node::Directory(Entries::default())
                    });
                    new
                }
            };
            at = next;
        }
    }

    /// Changes a file as something other than the store would.
    pub fn change(&self, path: &str, action: impl FnOnce(&mut Vec<u8>)) {
        if let Ok(index) = self.find(0, path) {
            let _ = self.data(index, |data| {
                action(&mut data.bytes);
                data.synced = data.bytes.clone();
            });
        }
    }

    /// Removes a file as something other than the store would.
    pub fn remove(&self, path: &str) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Ok(parent) = self.find(0, directory) {
            let _ = self.entries(parent, |entries| entries.now.remove(name));
        }
    }

    /// Cuts the power: what was not synced is lost, as `choose(n)`, which gives a number up to `n`, decides. Open files
    /// of living instances mean nothing any more.
    pub fn power_cut(&self, choose: &mut dyn FnMut(usize) -> usize) {
        for node in self.0.borrow_mut().iter_mut() {
            match node {
                Node::File(data) => {
                    // Written over or appended, what was synced stays, and a prefix of the rest does.
                    let kept = data.synced.len().min(data.bytes.len());
                    let length = kept + choose(data.bytes.len() - kept);
                    let full = data.bytes.len();
                    data.bytes.truncate(length);
                    if choose(3) == 0 {
                        data.bytes.resize(length + choose(full - length), 0);
                    }
                    data.synced = data.bytes.clone();
                }
                Node::Directory(entries) => {
                    let keep = choose(entries.changes.len());
                    let mut now = entries.synced.clone();
                    for change in entries.changes.iter().take(keep) {
                        match change {
                            Change::Link(name, index) => now.insert(name.clone(), *index),
                            Change::Unlink(name) => now.remove(name),
                        };
                    }
                    entries.changes.clear();
                    entries.synced = now.clone();
                    entries.now = now;
                }
            }
        }
    }

    fn entries<T>(&self, index: Index, action: impl FnOnce(&mut Entries) -> T) -> Result<T> {
        match self.0.borrow_mut().get_mut(index) {
            Some(Node::Directory(entries)) => Ok(action(entries)),
            _ => Err(FileError::WrongType),
        }
    }

    fn data<T>(&self, index: Index, action: impl FnOnce(&mut Data) -> T) -> Result<T> {
        match self.0.borrow_mut().get_mut(index) {
            Some(Node::File(data)) => Ok(action(data)),
            _ => Err(FileError::WrongType),
        }
    }

    fn find(&self, from: Index, path: &str) -> Result<Index> {
        let mut at = from;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = self.entries(at, |entries| entries.now.get(part).copied())?.ok_or(FileError::NotFound)?;
        }
        Ok(at)
    }

    fn parent<'a>(&self, from: Index, path: &'a str) -> Result<(Index, &'a str)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        assert!(
            !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains('\0'),
            "{path:?}"
        );
        Ok((self.find(from, directory)?, name))
    }

    fn link(&self, parent: Index, name: &str, index: Index) -> Result<()> {
        self.entries(parent, |entries| {
            entries.now.insert(name.to_string(), index);
            entries.changes.push(Change::Link(name.to_string(), index));
        })
    }

    fn add(&self, parent: Index, name: &str, node: Node) -> Result<Index> {
        let index = {
            let mut nodes = self.0.borrow_mut();
            nodes.push(node);
            nodes.len() - 1
        };
        self.link(parent, name, index)?;
        Ok(index)
    }

    fn unlink(&self, parent: Index, name: &str) -> Result<Index> {
        self.entries(parent, |entries| {
            let index = entries.now.remove(name).ok_or(FileError::NotFound)?;
            entries.changes.push(Change::Unlink(name.to_string()));
            Ok(index)
        })?
    }
}

/// A directory as one instance sees it.
#[derive(Clone)]
pub struct SimDirectory {
    disk: Disk,
    index: Index,
    director: Rc<dyn Director>,
}

fn judge(director: &dyn Director, call: Call, path: &str) -> Result<Verdict> {
    match director.judge(call, path) {
        Verdict::Fail(error) => Err(error),
        Verdict::Kill => std::panic::resume_unwind(Box::new(Killed)),
        other => Ok(other),
    }
}

impl Directory for SimDirectory {
    type File = SimFile;

    fn open(&self, path: &str, how: Open) -> Result<SimFile> {
        judge(&*self.director, Call::Open, path)?;
        let (parent, name) = self.disk.parent(self.index, path)?;
        let found = self.disk.entries(parent, |entries| entries.now.get(name).copied())?;
        let index = match (found, how) {
            (Some(_), Open::CreateNew) => return Err(FileError::Exists),
            (Some(index), _) => index,
            (None, Open::Read | Open::Write) => return Err(FileError::NotFound),
            (None, Open::Create | Open::CreateNew) => {
                self.disk.add(parent, name, Node::File(Data { bytes: Vec::new(), synced: Vec::new() }))?
            }
        };
        self.disk.data(index, |_| ())?;
        let file = SimFile {
            disk: self.disk.clone(),
            index,
            director: self.director.clone(),
            path: path.into(),
            writable: how != Open::Read,
        };
        Ok(file)
    }

    fn directory(&self, path: &str) -> Result<Self> {
        judge(&*self.director, Call::Open, path)?;
        let index = self.disk.find(self.index, path)?;
        self.disk.entries(index, |_| ())?;
        Ok(Self { index, ..self.clone() })
    }

    fn create_directory(&self, path: &str) -> Result<()> {
        judge(&*self.director, Call::CreateDirectory, path)?;
        let (parent, name) = self.disk.parent(self.index, path)?;
        if self.disk.entries(parent, |entries| entries.now.contains_key(name))? {
            return Err(FileError::Exists);
        }
        self.disk.add(parent, name, Node::Directory(Entries::default())).map(drop)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        judge(&*self.director, Call::List, "")?;
        let names = self.disk.entries(self.index, |entries| entries.now.keys().cloned().collect::<Vec<_>>())?;
        names.iter().for_each(|name| each(name));
        Ok(())
    }

    fn unlink(&self, path: &str) -> Result<()> {
        judge(&*self.director, Call::Unlink, path)?;
        let (parent, name) = self.disk.parent(self.index, path)?;
        let index = self.disk.find(parent, name)?;
        self.disk.data(index, |_| ())?;
        self.disk.unlink(parent, name).map(drop)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        judge(&*self.director, Call::Rename, from)?;
        let (from_parent, from) = self.disk.parent(self.index, from)?;
        let (to_parent, to) = self.disk.parent(self.index, to)?;
        let index = self.disk.unlink(from_parent, from)?;
        self.disk.link(to_parent, to, index)
    }

    fn sync(&self) -> Result<()> {
        judge(&*self.director, Call::SyncDirectory, "")?;
        self.disk.entries(self.index, |entries| {
            entries.synced = entries.now.clone();
            entries.changes.clear();
        })
    }

    fn random(&self) -> u64 {
        self.director.random()
    }
}

/// A host stream of a file, in either direction.
pub struct SimStream {
    file: SimFile,
    at: u64,
}

impl SimStream {
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// To the end of the file.
    pub fn read_all(&mut self) -> Result<Vec<u8>> {
        self.file.read(self.at, usize::MAX)
    }
}

/// An open file as one instance sees it.
#[derive(Clone)]
pub struct SimFile {
    disk: Disk,
    index: Index,
    director: Rc<dyn Director>,
    path: Rc<str>,
    writable: bool,
}

impl SimFile {
    fn put(&self, call: Call, bytes: &[u8], place: &dyn Fn(&mut Data, &[u8])) -> Result<()> {
        assert!(self.writable, "{} was opened for reading", self.path);
        let put = |bytes: &[u8]| self.disk.data(self.index, |data| place(data, bytes));
        let first = |length: usize| bytes.get(..length.min(bytes.len())).unwrap_or_default();
        match judge(&*self.director, call, &self.path)? {
            Verdict::Tear(length, error) => {
                put(first(length))?;
                Err(error)
            }
            Verdict::KillAfter(length) => {
                put(first(length))?;
                std::panic::resume_unwind(Box::new(Killed))
            }
            Verdict::Cut(length) => {
                put(first(length))?;
                self.director.pause();
                put(bytes.get(length..).unwrap_or_default())
            }
            _ => put(bytes),
        }
    }
}

impl File for SimFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        judge(&*self.director, Call::Read, &self.path)?;
        self.disk.data(self.index, |data| {
            let rest = data.bytes.get(offset as usize..).unwrap_or_default();
            rest.get(..length.min(rest.len())).unwrap_or_default().to_vec()
        })
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        self.put(Call::Append(bytes.len()), bytes, &|data, bytes| data.bytes.extend_from_slice(bytes))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let offset = offset as usize;
        self.put(Call::Write(bytes.len()), bytes, &|data, bytes| {
            if data.bytes.len() < offset + bytes.len() {
                data.bytes.resize(offset + bytes.len(), 0);
            }
            if let Some(place) = data.bytes.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        })
    }

    fn size(&self) -> Result<u64> {
        judge(&*self.director, Call::Size, &self.path)?;
        self.disk.data(self.index, |data| data.bytes.len() as u64)
    }

    fn sync(&self) -> Result<()> {
        judge(&*self.director, Call::Sync, &self.path)?;
        self.disk.data(self.index, |data| data.synced = data.bytes.clone())
    }

    fn output_stream(&self, offset: u64) -> Result<Box<dyn Any>> {
        Ok(Box::new(SimStream { file: self.clone(), at: offset }))
    }

    fn input_stream(&self, offset: u64) -> Result<Box<dyn Any>> {
        Ok(Box::new(SimStream { file: self.clone(), at: offset }))
    }
}
