//! A disk in memory, shared by all instances, which see it through [`SimDirectory`] and [`SimFile`](crate::open::SimFile).
//!
//! Files are append-only or written once, so what a power cut may leave of one is a prefix of what was not synced, with
//! or without zeros behind it; of a directory's changes since its last sync, a prefix in their order.

use crate::director::Director;
use crate::open::SimDirectory;
use kvfuse_transport::files::{FileError, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) type Index = usize;

#[derive(Clone)]
pub(crate) struct Data {
    pub bytes: Vec<u8>,
    pub synced: Vec<u8>,
}

#[derive(Clone)]
pub(crate) enum Change {
    Link(String, Index),
    Unlink(String),
}

#[derive(Clone, Default)]
pub(crate) struct Entries {
    pub now: BTreeMap<String, Index>,
    pub synced: BTreeMap<String, Index>,
    /// Since the last sync.
    pub changes: Vec<Change>,
}

#[derive(Clone)]
pub(crate) enum Node {
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
        SimDirectory::new(self.clone(), 0, director)
    }

    /// How many directories and files instances have open.
    pub fn open(&self) -> usize {
        Rc::strong_count(&self.0) - 1
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

    pub(crate) fn entries<T>(&self, index: Index, action: impl FnOnce(&mut Entries) -> T) -> Result<T> {
        match self.0.borrow_mut().get_mut(index) {
            Some(Node::Directory(entries)) => Ok(action(entries)),
            _ => Err(FileError::WrongType),
        }
    }

    pub(crate) fn data<T>(&self, index: Index, action: impl FnOnce(&mut Data) -> T) -> Result<T> {
        match self.0.borrow_mut().get_mut(index) {
            Some(Node::File(data)) => Ok(action(data)),
            _ => Err(FileError::WrongType),
        }
    }

    pub(crate) fn find(&self, from: Index, path: &str) -> Result<Index> {
        let mut at = from;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = self.entries(at, |entries| entries.now.get(part).copied())?.ok_or(FileError::NotFound)?;
        }
        Ok(at)
    }

    pub(crate) fn parent<'a>(&self, from: Index, path: &'a str) -> Result<(Index, &'a str)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        assert!(
            !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains('\0'),
            "{path:?}"
        );
        Ok((self.find(from, directory)?, name))
    }

    pub(crate) fn link(&self, parent: Index, name: &str, index: Index) -> Result<()> {
        self.entries(parent, |entries| {
            entries.now.insert(name.to_string(), index);
            entries.changes.push(Change::Link(name.to_string(), index));
        })
    }

    pub(crate) fn add(&self, parent: Index, name: &str, node: Node) -> Result<Index> {
        let index = {
            let mut nodes = self.0.borrow_mut();
            nodes.push(node);
            nodes.len() - 1
        };
        self.link(parent, name, index)?;
        Ok(index)
    }

    pub(crate) fn unlink(&self, parent: Index, name: &str) -> Result<Index> {
        self.entries(parent, |entries| {
            let index = entries.now.remove(name).ok_or(FileError::NotFound)?;
            entries.changes.push(Change::Unlink(name.to_string()));
            Ok(index)
        })?
    }
}
