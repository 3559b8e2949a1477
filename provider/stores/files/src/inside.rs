//! A bucket's directory, accessed through the store's, so that a first read need not open it and no descriptor is kept.

use crate::item::is_over;
use crate::record::NEVER;
use kvfuse_transport::files::{Directory, Open, Result};
use std::rc::Rc;
use std::time::Duration;

/// What a reader of a log knows about an entry that may have ended.
pub enum Life {
    Lasts,
    Over,
    /// It has ended, but perhaps after the log was read, and may have been replaced before: the log has to be read again.
    Unclear,
}

/// A directory below another one, by its path.
pub struct Inside<D> {
    root: Rc<D>,
    path: Rc<str>,
}

impl<D: Directory> Inside<D> {
    /// Milliseconds since 1970.
    pub fn time(&self) -> u64 {
        u64::try_from(self.root.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether what ends then has ended. Only what ends takes a look at the clock.
    pub fn is_over(&self, end: u64) -> bool {
        end != NEVER && is_over(end, self.time())
    }

    /// Whether what ends then, as a log says, has ended for its reader. `before` is a time before the log was read, if there is
    /// one; for what is unclear it is set to now.
    pub fn life(&self, end: u64, before: &mut Option<u64>) -> Life {
        if end == NEVER {
            return Life::Lasts;
        }
        if before.is_some_and(|time| is_over(end, time)) {
            return Life::Over;
        }
        let now = self.time();
        if !is_over(end, now) {
            return Life::Lasts;
        }
        *before = Some(now);
        Life::Unclear
    }

    /// When something ends that begins now. Rounded up: it may not end early.
    pub fn end_of(&self, lifetime: Duration) -> u64 {
        let end = self.root.now().saturating_add(lifetime).as_nanos().div_ceil(1_000_000);
        u64::try_from(end).unwrap_or(u64::MAX).max(NEVER + 1)
    }

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

    fn now(&self) -> Duration {
        self.root.now()
    }
}
