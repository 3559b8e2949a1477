//! The file port on a directory of this machine, read-only, for tools.
//!
//! As with WASI, symbolic links below the directory are not followed. Only regular files are opened: opening a pipe
//! would wait for a writer.

use super::{Directory, File, FileError, Open, Result};
use std::fs::Metadata;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A read-only directory.
pub struct Native(PathBuf);

impl Native {
    /// Opens a directory.
    ///
    /// # Errors
    /// Those of listing it, for example if it is not a directory.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        // Listed once, to tell a directory without read permission from an empty one.
        std::fs::read_dir(path)?;
        Ok(Self(path.to_path_buf()))
    }

    /// The full path of a path below this directory, and the metadata of the file there.
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
            // WASI cannot return names that are not Unicode, either.
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

    /// Only writers need random numbers.
    fn random(&self) -> u64 {
        0
    }
}

/// A read-only file.
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
