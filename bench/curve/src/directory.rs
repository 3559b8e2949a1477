//! The file port on a real directory, for measuring without wasm. It counts its calls.

use kvfuse_transport::files::native::{ReadWrite, ReadWriteFile};
use kvfuse_transport::files::{Directory, File, FileError, Open, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// How often each function of the port was called.
pub type Calls = Rc<RefCell<BTreeMap<&'static str, u64>>>;

/// A directory of this machine, to read and write.
pub struct Real {
    inner: ReadWrite,
    calls: Calls,
}

impl Real {
    /// # Errors
    /// [`FileError::Io`] if the directory cannot be opened.
    pub fn new(path: &Path, calls: Calls) -> Result<Self> {
        let inner = ReadWrite::open(path).map_err(|_| FileError::Io)?;
        Ok(Self { inner, calls })
    }

    fn count(&self, call: &'static str) -> &ReadWrite {
        count(&self.calls, call);
        &self.inner
    }
}

fn count(calls: &Calls, call: &'static str) {
    *calls.borrow_mut().entry(call).or_default() += 1;
}

impl Directory for Real {
    type File = RealFile;

    fn open(&self, path: &str, how: Open) -> Result<RealFile> {
        let inner = self.count("open").open(path, how)?;
        Ok(RealFile { inner, calls: self.calls.clone() })
    }

    fn directory(&self, path: &str) -> Result<Self> {
        let inner = self.count("directory").directory(path)?;
        Ok(Self { inner, calls: self.calls.clone() })
    }

    fn create_directory(&self, path: &str) -> Result<()> {
        self.count("create-directory").create_directory(path)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.count("list").list(each)
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.count("unlink").unlink(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.count("rename").rename(from, to)
    }

    fn sync(&self) -> Result<()> {
        self.count("sync-directory").sync()
    }

    fn random(&self) -> u64 {
        self.count("random").random()
    }

    fn now(&self) -> Duration {
        self.count("now").now()
    }
}

/// An open file.
pub struct RealFile {
    inner: ReadWriteFile,
    calls: Calls,
}

impl RealFile {
    fn count(&self, call: &'static str) -> &ReadWriteFile {
        count(&self.calls, call);
        &self.inner
    }
}

impl File for RealFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        self.count("read").read(offset, length)
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        self.count("append").append(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.count("write").write(offset, bytes)
    }

    fn size(&self) -> Result<u64> {
        self.count("size").size()
    }

    fn sync(&self) -> Result<()> {
        self.count("sync").sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_counted_and_reaches_the_directory() -> Result<()> {
        let (folder, calls) = (tempfile::tempdir().expect("a folder"), Calls::default());
        let directory = Real::new(folder.path(), calls.clone())?;
        let (one, other) = (directory.open("file", Open::CreateNew)?, directory.open("file", Open::Write)?);
        one.append(b"one")?;
        other.append(b"two")?;
        one.append(b"three")?;
        one.write(1, b"N")?;
        assert_eq!(other.read(0, 100)?, b"oNetwothree");
        assert_eq!(directory.open("file", Open::CreateNew).err(), Some(FileError::Exists));
        assert_eq!(directory.open("other", Open::Read).err(), Some(FileError::NotFound));
        let counted: Vec<_> = calls.borrow().iter().map(|(call, count)| (*call, *count)).collect();
        assert_eq!(counted, [("append", 3), ("open", 4), ("read", 1), ("write", 1)]);
        Ok(())
    }
}
