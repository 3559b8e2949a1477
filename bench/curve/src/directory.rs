//! The file port on a real directory, for measuring without wasm. It counts its calls.

use kvfuse_transport::files::{Directory, File, FileError, Open, Result};
use rustix::io::{Errno, ReadWriteFlags};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSlice;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How often each function of the port was called.
pub type Calls = Rc<RefCell<BTreeMap<&'static str, u64>>>;

/// A directory of this machine, to read and write.
pub struct Real {
    path: PathBuf,
    calls: Calls,
}

impl Real {
    pub fn new(path: &Path, calls: Calls) -> Self {
        Self { path: path.to_path_buf(), calls }
    }

    fn at(&self, call: &'static str, path: &str) -> PathBuf {
        count(&self.calls, call);
        self.path.join(path)
    }
}

fn count(calls: &Calls, call: &'static str) {
    *calls.borrow_mut().entry(call).or_default() += 1;
}

impl Directory for Real {
    type File = RealFile;

    fn open(&self, path: &str, how: Open) -> Result<RealFile> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(how != Open::Read).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        options.create(how == Open::Create).create_new(how == Open::CreateNew);
        let file = options.open(self.at("open", path)).map_err(convert)?;
        Ok(RealFile { file, calls: self.calls.clone() })
    }

    fn directory(&self, path: &str) -> Result<Self> {
        let path = self.at("directory", path);
        if !std::fs::metadata(&path).map_err(convert)?.is_dir() {
            return Err(FileError::WrongType);
        }
        Ok(Self { path, calls: self.calls.clone() })
    }

    fn create_directory(&self, path: &str) -> Result<()> {
        std::fs::create_dir(self.at("create-directory", path)).map_err(convert)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        for entry in std::fs::read_dir(self.at("list", "")).map_err(convert)? {
            if let Some(name) = entry.map_err(convert)?.file_name().to_str() {
                each(name);
            }
        }
        Ok(())
    }

    fn unlink(&self, path: &str) -> Result<()> {
        std::fs::remove_file(self.at("unlink", path)).map_err(convert)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        std::fs::rename(self.at("rename", from), self.path.join(to)).map_err(convert)
    }

    fn sync(&self) -> Result<()> {
        std::fs::File::open(self.at("sync-directory", "")).and_then(|file| file.sync_all()).map_err(convert)
    }

    fn random(&self) -> u64 {
        count(&self.calls, "random");
        RandomState::new().hash_one(0)
    }
}

/// An open file.
pub struct RealFile {
    file: std::fs::File,
    calls: Calls,
}

impl File for RealFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        count(&self.calls, "read");
        let mut bytes = vec![0; length];
        let read = self.file.read_at(&mut bytes, offset).map_err(convert)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// With the system call that wasmtime uses.
    fn append(&self, bytes: &[u8]) -> Result<()> {
        count(&self.calls, "append");
        let written = rustix::io::pwritev2(&self.file, &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND)
            .map_err(|error| convert(error.into()))?;
        if written == bytes.len() { Ok(()) } else { Err(FileError::NoSpace) }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        count(&self.calls, "write");
        self.file.write_all_at(bytes, offset).map_err(convert)
    }

    fn size(&self) -> Result<u64> {
        count(&self.calls, "size");
        self.file.metadata().map(|metadata| metadata.len()).map_err(convert)
    }

    fn sync(&self) -> Result<()> {
        count(&self.calls, "sync");
        self.file.sync_data().map_err(convert)
    }
}

fn convert(error: std::io::Error) -> FileError {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => FileError::NotFound,
        Some(Errno::EXIST) => FileError::Exists,
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => FileError::NoSpace,
        Some(Errno::ROFS) => FileError::ReadOnly,
        Some(Errno::ACCESS | Errno::PERM) => FileError::Access,
        Some(Errno::MFILE | Errno::NFILE) => FileError::TooManyOpen,
        Some(Errno::NOTDIR | Errno::ISDIR | Errno::LOOP) => FileError::WrongType,
        Some(Errno::NAMETOOLONG) => FileError::NameTooLong,
        _ => FileError::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_goes_to_the_end_and_a_write_to_its_place_and_both_are_counted() -> Result<()> {
        let (folder, calls) = (tempfile::tempdir().expect("a folder"), Calls::default());
        let directory = Real::new(folder.path(), calls.clone());
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
