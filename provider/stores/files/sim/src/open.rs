//! A disk's directories and files as one instance has them open, with WASI's semantics. Every operation first asks the
//! [`Director`] what is to become of it.

use crate::data::Data;
use crate::director::{Call, Director, Killed, Verdict};
use crate::disk::{Disk, Entries, Index, Node};
use kvfuse_transport::files::{Directory, File, FileError, Open, Result};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// The failed syncs of files and directories that an instance has seen. As on Linux, a failure is reported once: by the
/// next sync of one who had nothing to do with it, and not again.
type Told = Rc<RefCell<HashMap<Index, u64>>>;

/// A directory as one instance sees it.
#[derive(Clone)]
pub struct SimDirectory {
    disk: Disk,
    index: Index,
    director: Rc<dyn Director>,
    told: Told,
}

impl SimDirectory {
    pub(crate) fn new(disk: Disk, index: Index, director: Rc<dyn Director>) -> Self {
        Self { disk, index, director, told: Told::default() }
    }
}

/// Whether there are failures that an instance was not told of; it is, now.
fn tell(told: &Told, index: Index, failures: u64) -> Result<()> {
    let known = told.borrow_mut().insert(index, failures).unwrap_or(0);
    if failures > known { Err(FileError::Io) } else { Ok(()) }
}

/// Calls on one disk, far more than any test makes: a store that goes on calling forever fails its test.
const MOST_CALLS: u64 = 1 << 30;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Counts from zero, for a new disk.
pub fn restart_count() {
    CALLS.set(0);
}

fn judge(director: &dyn Director, call: Call, path: &str) -> Result<Verdict> {
    // An instance that is killed does nothing any more: its destructors are only run here.
    if std::thread::panicking() {
        return Err(FileError::Io);
    }
    CALLS.set(CALLS.get() + 1);
    assert!(CALLS.get() < MOST_CALLS, "the store makes calls without end, the last one {call:?} of {path:?}");
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
            (None, Open::Create | Open::CreateNew) => self.disk.add(parent, name, Node::File(Data::default()))?,
        };
        self.disk.data(index, |_| ())?;
        let file = SimFile {
            disk: self.disk.clone(),
            index,
            director: self.director.clone(),
            told: self.told.clone(),
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
        let verdict = judge(&*self.director, Call::SyncDirectory, "")?;
        let failures = self.disk.entries(self.index, |entries| {
            match verdict {
                Verdict::Drop(_) => entries.drop_changes(),
                _ => entries.sync(),
            }
            entries.failures
        })?;
        let told = tell(&self.told, self.index, failures);
        if let Verdict::Drop(error) = verdict { Err(error) } else { told }
    }

    fn random(&self) -> u64 {
        self.director.random()
    }

    fn now(&self) -> Duration {
        self.disk.now()
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
        let mut out = Vec::new();
        loop {
            let bytes = self.file.read(self.at, 1 << 20)?;
            if bytes.is_empty() {
                return Ok(out);
            }
            self.at += bytes.len() as u64;
            out.extend_from_slice(&bytes);
        }
    }
}

/// An open file as one instance sees it.
#[derive(Clone)]
pub struct SimFile {
    disk: Disk,
    index: Index,
    director: Rc<dyn Director>,
    told: Told,
    path: Rc<str>,
    writable: bool,
}

impl SimFile {
    fn put(&self, call: Call, bytes: &[u8], place: &dyn Fn(&mut Data, &[u8])) -> Result<()> {
        assert!(self.writable, "{} was opened for reading", self.path);
        let put = |bytes: &[u8]| self.disk.data(self.index, |data| place(data, bytes));
        let first = |length: usize| bytes.get(..length.min(bytes.len())).unwrap_or_default();
        let verdict = judge(&*self.director, call, &self.path)?;
        let put = |bytes: &[u8]| self.in_pieces(call, bytes, &put);
        match verdict {
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

    /// An append goes out in pieces of what the host takes at once, and others may append between them.
    fn in_pieces(&self, call: Call, bytes: &[u8], put: &dyn Fn(&[u8]) -> Result<()>) -> Result<()> {
        let piece = if matches!(call, Call::Append(_)) { self.director.piece().max(1) } else { usize::MAX };
        for (place, bytes) in bytes.chunks(piece).enumerate() {
            if place > 0 {
                self.director.pause();
            }
            put(bytes)?;
        }
        Ok(())
    }
}

impl File for SimFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let length = match judge(&*self.director, Call::Read, &self.path)? {
            Verdict::Short(most) => length.min(most.max(1)),
            _ => length,
        };
        self.disk.data(self.index, |data| data.read(offset, length))
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        self.put(Call::Append(bytes.len()), bytes, &|data, bytes| data.write(data.bytes.len(), bytes))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(Call::Write(bytes.len()), bytes, &|data, bytes| data.write(offset as usize, bytes))
    }

    fn size(&self) -> Result<u64> {
        judge(&*self.director, Call::Size, &self.path)?;
        self.disk.data(self.index, |data| data.size())
    }

    fn sync(&self) -> Result<()> {
        let verdict = judge(&*self.director, Call::Sync, &self.path)?;
        let failures = self.disk.data(self.index, |data| {
            match verdict {
                Verdict::Drop(_) => data.drop_dirty(),
                _ => data.sync(),
            }
            data.failures
        })?;
        let told = tell(&self.told, self.index, failures);
        if let Verdict::Drop(error) = verdict { Err(error) } else { told }
    }

    fn output_stream(&self, offset: u64) -> Result<Box<dyn Any>> {
        Ok(Box::new(SimStream { file: self.clone(), at: offset }))
    }

    fn input_stream(&self, offset: u64) -> Result<Box<dyn Any>> {
        Ok(Box::new(SimStream { file: self.clone(), at: offset }))
    }
}
