//! A directory of this machine, to read and write.

use super::{Native, convert, read};
use crate::files::{Directory, File, FileError, Open, Result};
use std::cell::OnceCell;
use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A directory to read and write.
pub struct ReadWrite(Native);

impl ReadWrite {
    /// Opens a directory.
    ///
    /// ```
    /// use kvfuse_transport::files::native::ReadWrite;
    /// use kvfuse_transport::files::{Directory, File, Open};
    ///
    /// # let folder = std::env::temp_dir().join(format!("kvfuse-transport-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let directory = ReadWrite::open(&folder).unwrap();
    /// let file = directory.open("log", Open::Create).unwrap();
    /// file.append(b"one ").unwrap();
    /// file.append(b"two").unwrap();
    /// assert_eq!(file.read(0, 100).unwrap(), b"one two");
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of listing the directory, for example that it is not one.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        Native::open(path).map(Self)
    }

    /// The full path of an entry that need not exist: its directory does.
    fn entry(&self, path: &str) -> Result<PathBuf> {
        let (folder, name) = path.rsplit_once('/').map_or((None, path), |(folder, name)| (Some(folder), name));
        if matches!(name, "" | "." | "..") {
            return Err(FileError::Access);
        }
        let folder = match folder {
            Some(folder) => self.0.directory(folder)?.0,
            None => self.0.0.clone(),
        };
        Ok(folder.join(name))
    }
}

impl Directory for ReadWrite {
    type File = ReadWriteFile;

    fn open(&self, path: &str, how: Open) -> Result<ReadWriteFile> {
        let path = self.entry(path)?;
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_file() => return Err(FileError::WrongType),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(convert(error)),
        }
        let mut options = OpenOptions::new();
        options.read(true).append(how != Open::Read);
        options.create(how == Open::Create).create_new(how == Open::CreateNew);
        let file = options.open(&path).map_err(convert)?;
        Ok(ReadWriteFile { path, file, placed: OnceCell::new() })
    }

    fn directory(&self, path: &str) -> Result<Self> {
        self.0.directory(path).map(Self)
    }

    fn create_directory(&self, path: &str) -> Result<()> {
        std::fs::create_dir(self.entry(path)?).map_err(convert)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.0.list(each)
    }

    fn unlink(&self, path: &str) -> Result<()> {
        std::fs::remove_file(self.entry(path)?).map_err(convert)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        std::fs::rename(self.entry(from)?, self.entry(to)?).map_err(convert)
    }

    /// Directories can only be synced on Unix.
    fn sync(&self) -> Result<()> {
        if cfg!(unix) {
            std::fs::File::open(&self.0.0).and_then(|file| file.sync_all()).map_err(convert)?;
        }
        Ok(())
    }

    /// Keyed with what the system gives each thread.
    fn random(&self) -> u64 {
        RandomState::new().hash_one(0)
    }

    fn now(&self) -> Duration {
        self.0.now()
    }
}

/// A file to read and write.
pub struct ReadWriteFile {
    path: PathBuf,
    /// Writes at the end, even if others do so: an append is one system call.
    file: std::fs::File,
    /// The same file, to write at an offset.
    placed: OnceCell<std::fs::File>,
}

impl File for ReadWriteFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        read(&self.file, offset, length)
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        let written = (&self.file).write(bytes).map_err(convert)?;
        if written == bytes.len() { Ok(()) } else { Err(FileError::NoSpace) }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        use std::io::{Seek, SeekFrom};
        let mut file = match self.placed.get() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().write(true).open(&self.path).map_err(convert)?;
                self.placed.get_or_init(|| file)
            }
        };
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes)).map_err(convert)
    }

    fn size(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(convert)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(convert)
    }
}
