//! A disk in memory, shared by all instances, which see it through [`SimDirectory`] and
//! [`SimFile`](crate::open::SimFile).
//!
//! Files are append-only or written once. So a power cut may leave a prefix of what was not synced, with or without
//! zeros after it, or any of its pages with zeros in place of the others; and of a directory's changes since its last
//! sync, a prefix in their order. What a failed sync dropped is lost, although readers see it until the power is cut.

use crate::data::{Choose, Data};
use crate::director::Director;
use crate::open::{SimDirectory, restart_count};
use kvfuse_transport::files::{FileError, Result};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub(crate) type Index = usize;

#[derive(Clone)]
pub(crate) enum Change {
    Link(String, Index),
    Unlink(String),
}

#[derive(Clone, Default)]
pub(crate) struct Entries {
    pub now: BTreeMap<String, Index>,
    pub synced: BTreeMap<String, Index>,
    /// Since the last sync, without those that a failed one dropped.
    pub changes: Vec<Change>,
    /// Syncs that dropped changes.
    pub failures: u64,
}

impl Entries {
    /// Makes the first changes last.
    fn settle(&mut self, count: usize) {
        for change in self.changes.drain(..count) {
            match change {
                Change::Link(name, index) => self.synced.insert(name, index),
                Change::Unlink(name) => self.synced.remove(&name),
            };
        }
    }

    pub fn sync(&mut self) {
        self.settle(self.changes.len());
    }

    /// A sync that fails and drops what it was to make last.
    pub fn drop_changes(&mut self) {
        self.failures += u64::from(!self.changes.is_empty());
        self.changes.clear();
    }

    fn power_cut(&mut self, choose: &mut Choose<'_>) {
        self.settle(choose(self.changes.len()));
        self.changes.clear();
        self.failures = 0;
        self.now = self.synced.clone();
    }
}

#[derive(Clone)]
pub(crate) enum Node {
    File(Data),
    Directory(Entries),
}

/// What the clock of a new disk's machine shows: not a whole number of milliseconds.
const BEGIN: Duration = Duration::new(1_000_000_000, 300_000);

/// What is on the disk, and the clock of the machine. Shared by all instances.
#[derive(Clone)]
pub struct Disk(Rc<RefCell<Vec<Node>>>, Rc<Cell<Duration>>);

impl Default for Disk {
    fn default() -> Self {
        restart_count();
        Self(Rc::new(RefCell::new(vec![Node::Directory(Entries::default())])), Rc::new(Cell::new(BEGIN)))
    }
}

impl Disk {
    /// The root directory as an instance sees it.
    pub fn root(&self, director: Rc<dyn Director>) -> SimDirectory {
        SimDirectory::new(self.clone(), 0, director)
    }

    /// The time since 1970 on the machine's clock, which stands still unless it is moved.
    pub fn now(&self) -> Duration {
        self.1.get()
    }

    /// Moves the clock on.
    pub fn pass(&self, time: Duration) {
        self.set_clock(self.now() + time);
    }

    /// Sets the clock.
    pub fn set_clock(&self, now: Duration) {
        self.1.set(now);
    }

    /// How many directories and files instances have open.
    pub fn open(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }

    /// A copy that shares nothing.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())), Rc::new(self.1.as_ref().clone()))
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
                        Node::File(Data::durable(bytes))
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
                *data = Data::durable(&data.bytes);
            });
        }
    }

    /// Puts a file there whose size is `size`, and which consists of `pattern` again and again.
    pub fn sparse(&self, path: &str, size: u64, pattern: &[u8]) {
        self.put(path, b"");
        if let Ok(index) = self.find(0, path) {
            let _ = self.data(index, |data| data.pattern = Some((size, pattern.to_vec())));
        }
    }

    /// Removes a file as something other than the store would.
    pub fn remove(&self, path: &str) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Ok(parent) = self.find(0, directory) {
            let _ = self.entries(parent, |entries| entries.now.remove(name));
        }
    }

    /// Cuts the power: `choose(n)`, which returns a number up to `n`, decides what is lost of what was not synced. Open
    /// files of living instances are invalid afterwards.
    pub fn power_cut(&self, choose: &mut Choose<'_>) {
        self.cut(Data::power_cut, choose);
    }

    /// The same where a file's pages reach the disk in any order.
    pub fn power_cut_by_pages(&self, choose: &mut Choose<'_>) {
        self.cut(Data::power_cut_by_pages, choose);
    }

    /// From here on the syncs that have failed so far are not reported to anyone.
    pub fn forget_failures(&self) {
        for node in self.0.borrow_mut().iter_mut() {
            match node {
                Node::File(data) => data.failures = 0,
                Node::Directory(entries) => entries.failures = 0,
            }
        }
    }

    fn cut(&self, file: fn(&mut Data, &mut Choose<'_>), choose: &mut Choose<'_>) {
        for node in self.0.borrow_mut().iter_mut() {
            match node {
                Node::File(data) => file(data, choose),
                Node::Directory(entries) => entries.power_cut(choose),
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
