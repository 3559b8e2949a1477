//! Directories and files: the operations that a store needs, in terms of what `wasi:filesystem` offers.
//!
//! | port | WASI |
//! |---|---|
//! | [`Directory::open`] | `descriptor.open-at`, symbolic links not followed |
//! | [`File::read`] | `descriptor.read` |
//! | [`File::append`] | `descriptor.append-via-stream`, then one write |
//! | [`File::write`] | `descriptor.write` |
//! | [`File::sync`], [`Directory::sync`] | `descriptor.sync-data`, `descriptor.sync` |
//! | [`Directory::now`] | `wasi:clocks/wall-clock` |
//!
//! Stores are generic over these traits, so they run natively against a simulated directory. `native` is a read-only
//! directory of this machine, for tools.

use std::any::Any;
use std::fmt;
use std::time::Duration;

pub mod grant;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

/// The most bytes that one [`File::append`] can place in one piece; the host cuts longer ones. Hosts of
/// `wasi:filesystem` pass at most this many bytes of a stream to the system at once.
pub const MAX_APPEND: usize = 64 << 10;

/// The cause of a failed operation, as far as a store acts on it. All other error codes of WASI are [`Io`](Self::Io).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileError {
    /// There is no file with this name.
    NotFound,
    /// There is a file with this name.
    Exists,
    /// The disk or a quota is full.
    NoSpace,
    /// The directory is read-only.
    ReadOnly,
    /// The host does not allow it.
    Access,
    /// The process or the system has run out of descriptors.
    TooManyOpen,
    /// A file instead of a directory, a directory instead of a file, or a symbolic link.
    WrongType,
    /// The name is too long for the file system.
    NameTooLong,
    /// The host does not support the operation.
    Unsupported,
    /// Anything else.
    Io,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is no such file",
            Self::Exists => "the file already exists",
            Self::NoSpace => "the disk or a quota is full",
            Self::ReadOnly => "the directory is read-only",
            Self::Access => "the host does not allow it",
            Self::TooManyOpen => "no file descriptors are left",
            Self::WrongType => "it is not the expected type of file",
            Self::NameTooLong => "the name is too long for this file system",
            Self::Unsupported => "the host does not support this",
            Self::Io => "input/output error",
        })
    }
}

/// A result whose error is a [`FileError`] by default.
pub type Result<T, E = FileError> = std::result::Result<T, E>;

/// How [`Directory::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// To read and write; created if it does not exist.
    Create,
    /// To read and write; must not exist.
    CreateNew,
}

/// A granted directory, or one below it. Paths are relative to it and use `/`.
pub trait Directory: Sized + 'static {
    /// The files in it.
    type File: File;

    /// Opens a file.
    ///
    /// # Errors
    /// [`NotFound`](FileError::NotFound), [`Exists`](FileError::Exists) for [`Open::CreateNew`], and others.
    fn open(&self, path: &str, how: Open) -> Result<Self::File>;

    /// Opens a directory below this one.
    ///
    /// # Errors
    /// [`NotFound`](FileError::NotFound), [`WrongType`](FileError::WrongType), and others.
    fn directory(&self, path: &str) -> Result<Self>;

    /// Creates a directory below this one.
    ///
    /// # Errors
    /// [`Exists`](FileError::Exists) if there is anything with that name.
    fn create_directory(&self, path: &str) -> Result<()>;

    /// Calls `each` with the name of every entry, in any order. Entries that are added or removed meanwhile may be
    /// missed.
    ///
    /// # Errors
    /// Those of reading. Some names may already have been passed to `each`.
    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// [`NotFound`](FileError::NotFound), and others.
    fn unlink(&self, path: &str) -> Result<()>;

    /// Renames a file, replacing the one that `to` names, if any.
    ///
    /// # Errors
    /// [`NotFound`](FileError::NotFound) if there is no file `from`, and others.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Makes the entries of this directory durable: they survive a power cut.
    ///
    /// # Errors
    /// After an error, any of them may be lost, even if a later call succeeds.
    fn sync(&self) -> Result<()>;

    /// Unpredictable random bits.
    fn random(&self) -> u64;

    /// The time since 1970 by the wall clock that all who share the directory go by: that of the machine.
    fn now(&self) -> Duration;
}

/// An open file. It has no current position.
pub trait File: 'static {
    /// Reads up to `length` bytes at `offset`. The host may return fewer at any time; only an empty result means the
    /// end of the file.
    ///
    /// # Errors
    /// Those of the host.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>>;

    /// Puts bytes at the file's end, even if others do so at the same time. Up to [`MAX_APPEND`] bytes usually stay in
    /// one piece; a host may cut them.
    ///
    /// # Errors
    /// After an error, a first part of the bytes may be in the file, or all of them.
    fn append(&self, bytes: &[u8]) -> Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// After an error, any part of the bytes may be in the file.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// The size of the file in bytes.
    ///
    /// # Errors
    /// Those of the host.
    fn size(&self) -> Result<u64>;

    /// Makes the content of the file, but not its name, durable: it survives a power cut.
    ///
    /// # Errors
    /// After an error, any of it may be lost, even if a later call succeeds.
    fn sync(&self) -> Result<()>;

    /// A host stream that writes from `offset` on.
    ///
    /// # Errors
    /// [`Unsupported`](FileError::Unsupported) if there are none, and others.
    fn output_stream(&self, _offset: u64) -> Result<Box<dyn Any>> {
        Err(FileError::Unsupported)
    }

    /// A host stream that reads from `offset` to the end of the file.
    ///
    /// # Errors
    /// [`Unsupported`](FileError::Unsupported) if there are none, and others.
    fn input_stream(&self, _offset: u64) -> Result<Box<dyn Any>> {
        Err(FileError::Unsupported)
    }
}
