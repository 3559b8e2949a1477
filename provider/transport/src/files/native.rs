//! The file port on a directory of this machine, to look only: nothing that would change it is done. For tools.
//!
//! As under WASI, no symbolic link is followed below the directory itself. Only regular files are opened: opening a pipe
//! would wait for a writer.

use super::{Directory, File, FileError, Open, Result};
use std::fs::Metadata;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A directory that is only read.
pub struct Native(PathBuf);

impl Native {
    /// # Errors
    /// [`FileError::WrongType`] for what is no directory.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        // Listed once, so that a directory that may not be read is told from an empty one.
        std::fs::read_dir(path)?;
        Ok(Self(path.to_path_buf()))
    }

    /// Where a path below this directory leads, and what is there.
    fn resolve(&self, path: &str) -> Result<(PathBuf, Metadata)> {
        let mut at = self.0.clone();
        let mut parts = path.split('/').peekable();
        loop {
            let part = parts.next().ok_or(FileError::NotFound)?;
            if matches!(part, "" | "." | "..") {
                return Err(FileError::Access);
            }
            at.push(part);
            let metadata = std::fs::symlink_metadata(&at).map_err(convert)?;
            match parts.peek() {
                None => return Ok((at, metadata)),
                Some(_) if metadata.is_dir() => {}
                Some(_) => return Err(FileError::WrongType),
            }
        }
    }
}

impl Directory for Native {
    type File = NativeFile;

    fn open(&self, path: &str, how: Open) -> Result<NativeFile> {
        if how != Open::Read {
            return Err(FileError::ReadOnly);
        }
        let (path, metadata) = self.resolve(path)?;
        if !metadata.is_file() {
            return Err(FileError::WrongType);
        }
        std::fs::File::open(path).map(NativeFile).map_err(convert)
    }

    fn directory(&self, path: &str) -> Result<Self> {
        let (path, metadata) = self.resolve(path)?;
        if metadata.is_dir() { Ok(Self(path)) } else { Err(FileError::WrongType) }
    }

    fn create_directory(&self, _: &str) -> Result<()> {
        Err(FileError::ReadOnly)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        for entry in std::fs::read_dir(&self.0).map_err(convert)? {
            // A name that is no Unicode is none that WASI could give.
            if let Some(name) = entry.map_err(convert)?.file_name().to_str() {
                each(name);
            }
        }
        Ok(())
    }

    fn unlink(&self, _: &str) -> Result<()> {
        Err(FileError::ReadOnly)
    }

    fn rename(&self, _: &str, _: &str) -> Result<()> {
        Err(FileError::ReadOnly)
    }

    fn sync(&self) -> Result<()> {
        Err(FileError::ReadOnly)
    }

    /// What numbers are for is only asked by writers.
    fn random(&self) -> u64 {
        0
    }
}

/// A file that is only read.
pub struct NativeFile(std::fs::File);

impl File for NativeFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(offset)).map_err(convert)?;
        let mut bytes = Vec::new();
        file.take(length as u64).read_to_end(&mut bytes).map_err(convert)?;
        Ok(bytes)
    }

    fn append(&self, _: &[u8]) -> Result<()> {
        Err(FileError::ReadOnly)
    }

    fn write(&self, _: u64, _: &[u8]) -> Result<()> {
        Err(FileError::ReadOnly)
    }

    fn size(&self) -> Result<u64> {
        self.0.metadata().map(|metadata| metadata.len()).map_err(convert)
    }

    fn sync(&self) -> Result<()> {
        Err(FileError::ReadOnly)
    }
}

fn convert(error: std::io::Error) -> FileError {
    match error.kind() {
        ErrorKind::NotFound => FileError::NotFound,
        ErrorKind::PermissionDenied => FileError::Access,
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => FileError::WrongType,
        ErrorKind::InvalidFilename => FileError::NameTooLong,
        _ => FileError::Io,
    }
}
