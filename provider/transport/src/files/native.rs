//! The file port on a directory of this machine, for tools: read-only, or to [read and write](ReadWrite).
//!
//! As with WASI, symbolic links below the directory are not followed. Only regular files are opened: opening a pipe
//! would wait for a writer.

mod read_write;

pub use read_write::{ReadWrite, ReadWriteFile};

use super::{Directory, File, FileError, Open, Result};
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A read-only directory.
pub struct Native(PathBuf);

impl Native {
    /// Opens a directory.
    ///
    /// ```
    /// use kvfuse_transport::files::native::Native;
    /// use kvfuse_transport::files::{Directory, FileError, Open};
    ///
    /// let directory = Native::open(&std::env::temp_dir())?;
    /// assert_eq!(directory.open("there is no such file", Open::Read).err(), Some(FileError::NotFound));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of listing the directory, for example that it is not one.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        // Listed once, to distinguish a directory without read permission from an empty one.
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

    fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// A read-only file.
pub struct NativeFile(std::fs::File);

impl File for NativeFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        read(&self.0, offset, length)
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

#[cfg(unix)]
fn read(file: &std::fs::File, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = std::os::unix::fs::FileExt::read_at(file, &mut bytes, offset).map_err(convert)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(not(unix))]
fn read(mut file: &std::fs::File, offset: u64, length: usize) -> Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset)).map_err(convert)?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes).map_err(convert)?;
    Ok(bytes)
}

fn convert(error: std::io::Error) -> FileError {
    match error.kind() {
        ErrorKind::NotFound => FileError::NotFound,
        ErrorKind::AlreadyExists => FileError::Exists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => FileError::NoSpace,
        ErrorKind::ReadOnlyFilesystem => FileError::ReadOnly,
        ErrorKind::PermissionDenied => FileError::Access,
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => FileError::WrongType,
        ErrorKind::InvalidFilename => FileError::NameTooLong,
        _ => FileError::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> std::io::Result<Self> {
            let path = std::env::temp_dir().join(format!("kvfuse-native-{name}-{}", std::process::id()));
            std::fs::create_dir(&path)?;
            Ok(Self(path))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_append_goes_to_the_end_and_a_write_to_its_place() -> std::io::Result<()> {
        let folder = Folder::new("append")?;
        let directory = ReadWrite::open(&folder.0)?;
        let work = || -> Result<()> {
            let (one, other) = (directory.open("file", Open::CreateNew)?, directory.open("file", Open::Write)?);
            one.append(b"one")?;
            other.append(b"two")?;
            one.append(b"three")?;
            one.write(1, b"N")?;
            one.append(b"!")?;
            assert_eq!(other.read(0, 100)?, b"oNetwothree!");
            assert_eq!(directory.open("file", Open::CreateNew).err(), Some(FileError::Exists));
            assert_eq!(directory.open("other", Open::Read).err(), Some(FileError::NotFound));
            directory.create_directory("folder")?;
            directory.rename("file", "folder/file")?;
            assert_eq!(directory.directory("folder")?.open("file", Open::Read)?.size()?, 12);
            directory.unlink("folder/file")?;
            directory.sync()
        };
        assert_eq!(work(), Ok(()));
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn nothing_outside_the_directory_is_opened_or_made() -> std::io::Result<()> {
        let folder = Folder::new("outside")?;
        let inside = folder.0.join("inside");
        std::fs::create_dir(&inside)?;
        std::fs::write(folder.0.join("file"), "outside")?;
        std::os::unix::fs::symlink("../file", inside.join("link"))?;
        std::os::unix::fs::symlink("..", inside.join("up"))?;
        let directory = ReadWrite::open(&inside)?;
        for how in [Open::Read, Open::Write, Open::Create, Open::CreateNew] {
            for path in ["link", "up/file", "../file", "..", "/file"] {
                assert!(directory.open(path, how).is_err(), "{path} {how:?}");
            }
        }
        assert!(directory.create_directory("up/new").is_err() && directory.unlink("../file").is_err());
        assert_eq!(std::fs::read(folder.0.join("file"))?, b"outside");
        Ok(())
    }
}
