//! Directories that remember failed syncs. What such a sync should have made durable may be lost with the next power
//! cut, although everyone sees it until then. The success of a later sync proves nothing, so it is not trusted for the
//! rest of the instance's life.

use kvfuse_transport::files::{Directory, FileError, Open, Result};
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

/// A directory that remembers its failed syncs.
pub struct Steady<D> {
    directory: D,
    /// Relative to the store's directory.
    path: String,
    /// The paths of the directories whose sync failed.
    failed: Rc<RefCell<HashSet<String>>>,
    /// A mistake, for tests.
    forgets: bool,
}

impl<D> Steady<D> {
    pub fn new(directory: D, forgets: bool) -> Self {
        Self { directory, path: String::new(), failed: Rc::default(), forgets }
    }
}

impl<D: Directory> Directory for Steady<D> {
    type File = D::File;

    fn open(&self, path: &str, how: Open) -> Result<D::File> {
        self.directory.open(path, how)
    }

    fn directory(&self, path: &str) -> Result<Self> {
        Ok(Self {
            directory: self.directory.directory(path)?,
            path: format!("{}/{path}", self.path),
            failed: self.failed.clone(),
            forgets: self.forgets,
        })
    }

    fn create_directory(&self, path: &str) -> Result<()> {
        self.directory.create_directory(path)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.directory.list(each)
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.directory.unlink(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.directory.rename(from, to)
    }

    fn sync(&self) -> Result<()> {
        if !self.forgets && self.failed.borrow().contains(&self.path) {
            return Err(FileError::Io);
        }
        self.directory.sync().inspect_err(|_| {
            self.failed.borrow_mut().insert(self.path.clone());
        })
    }

    fn random(&self) -> u64 {
        self.directory.random()
    }

    fn now(&self) -> Duration {
        self.directory.now()
    }
}
