//! The file port: the few things a store asks of a directory, in terms of what WASI's filesystem gives.
//!
//! | port | WASI |
//! |---|---|
//! | [`Directory::open`] | `descriptor.open-at`, symbolic links not followed |
//! | [`File::read`] | `descriptor.read` |
//! | [`File::append`] | `descriptor.append-via-stream`, then one write |
//! | [`File::write`] | `descriptor.write` |
//! | [`File::sync`], [`Directory::sync`] | `descriptor.sync-data`, `descriptor.sync` |
//!
//! Stores are generic over it, so that they run natively against a simulated directory. `native` is a directory of this
//! machine, for tools that only look.

use std::any::Any;
use std::fmt;

pub mod grant;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

/// Bytes that one [`File::append`] can place as one piece: above it the host cuts. Hosts of `wasi:filesystem` pass at most
/// so many bytes of a stream to the system at once.
pub const MAX_APPEND: usize = 64 << 10;

/// What went wrong, as far as a store acts on it. The rest of WASI's codes are [`Io`](Self::Io).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileError {
    NotFound,
    Exists,
    /// The disk or a quota is full.
    NoSpace,
    ReadOnly,
    /// The host does not permit it.
    Access,
    /// No descriptors left, in this process or the system.
    TooManyOpen,
    /// A file where a directory was meant, or the reverse, or a symbolic link.
    WrongType,
    NameTooLong,
    /// The host cannot do this at all.
    Unsupported,
    Io,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is no such file",
            Self::Exists => "the file is there already",
            Self::NoSpace => "the disk or a quota is full",
            Self::ReadOnly => "the directory is read-only",
            Self::Access => "the host does not permit it",
            Self::TooManyOpen => "no file descriptors are left",
            Self::WrongType => "it is not the sort of file expected",
            Self::NameTooLong => "the name is too long for this file system",
            Self::Unsupported => "the host cannot do this",
            Self::Io => "input/output error",
        })
    }
}

pub type Result<T, E = FileError> = std::result::Result<T, E>;

/// How [`Directory::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// To read and write; made if it is not there.
    Create,
    /// To read and write; must not be there yet.
    CreateNew,
}

/// A directory that was granted, or one below it. Paths are relative to it and use `/`.
pub trait Directory: Sized + 'static {
    type File: File;

    /// # Errors
    /// [`NotFound`](FileError::NotFound), [`Exists`](FileError::Exists) for [`Open::CreateNew`], and the rest.
    fn open(&self, path: &str, how: Open) -> Result<Self::File>;

    /// Opens a directory below this one.
    fn directory(&self, path: &str) -> Result<Self>;

    /// # Errors
    /// [`Exists`](FileError::Exists) if anything has that name.
    fn create_directory(&self, path: &str) -> Result<()>;

    /// Calls `each` with the name of every entry, in no order. What is added or removed meanwhile may be missed.
    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()>;

    fn unlink(&self, path: &str) -> Result<()>;

    /// Replaces what `to` names.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Makes the entries of this directory last through a power cut.
    fn sync(&self) -> Result<()>;

    /// Random bits that nobody can predict.
    fn random(&self) -> u64;
}

/// An open file. Reading and writing do not move any position.
pub trait File: 'static {
    /// At most `length` bytes from `offset` on; fewer only at the end of the file, or where the host stops early: only
    /// an empty answer says that the end was reached.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>>;

    /// Puts bytes at the file's end, whoever else does so at the same time. Up to [`MAX_APPEND`] they usually stay in
    /// one piece; a host may cut them, and after an error a first part of them may be there.
    fn append(&self, bytes: &[u8]) -> Result<()>;

    /// Writes all of `bytes` at `offset`.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// In bytes.
    fn size(&self) -> Result<u64>;

    /// Makes the file's content (not its name) last through a power cut.
    fn sync(&self) -> Result<()>;

    /// A host stream that writes from `offset` on; [`FileError::Unsupported`] where there are none.
    fn output_stream(&self, _offset: u64) -> Result<Box<dyn Any>> {
        Err(FileError::Unsupported)
    }

    /// A host stream that reads from `offset` to the file's end.
    fn input_stream(&self, _offset: u64) -> Result<Box<dyn Any>> {
        Err(FileError::Unsupported)
    }
}
