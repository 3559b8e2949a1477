//! A bucket's directory, accessed through the store's, so that a first read need not open it and no descriptor is kept.

use kvfuse_transport::files::{Directory, Open, Result};
use std::rc::Rc;

/// A directory below another one, by its path.
pub struct Inside<D> {
    root: Rc<D>,
    path: Rc<str>,
}

impl<D: Directory> Inside<D> {
    pub fn new(root: Rc<D>, path: Rc<str>) -> Self {
        Self { root, path }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.path)
    }
}

impl<D: Directory> Directory for Inside<D> {
    type File = D::File;

    fn open(&self, path: &str, how: Open) -> Result<D::File> {
        self.root.open(&self.at(path), how)
    }

    fn directory(&self, path: &str) -> Result<Self> {
        self.root.directory(&self.at(path))?;
        Ok(Self { root: self.root.clone(), path: self.at(path).into() })
    }

    fn create_directory(&self, path: &str) -> Result<()> {
        self.root.create_directory(&self.at(path))
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.root.directory(&self.path)?.list(each)
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.root.unlink(&self.at(path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.root.rename(&self.at(from), &self.at(to))
    }

    fn sync(&self) -> Result<()> {
        self.root.directory(&self.path)?.sync()
    }

    fn random(&self) -> u64 {
        self.root.random()
    }
}
