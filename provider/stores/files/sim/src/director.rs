//! Decides the outcome of each file operation.

use kvfuse_transport::files::FileError;

/// A file operation, as far as a director tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Open,
    Read,
    /// Of so many bytes.
    Append(usize),
    Write(usize),
    Size,
    Sync,
    List,
    CreateDirectory,
    Unlink,
    Rename,
    SyncDirectory,
}

/// The outcome of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Go,
    Fail(FileError),
    /// An append or write leaves its first bytes, then fails.
    Tear(usize, FileError),
    /// A read returns at most this many bytes, and at least one.
    Short(usize),
    /// A sync fails, and what it was to make last is dropped: readers see it until the power is cut, and no later sync
    /// makes it last.
    Drop(FileError),
    /// The host cuts an append after this many bytes, and writes the rest later.
    Cut(usize),
    /// The instance is killed before it.
    Kill,
    /// The instance is killed in the middle of an append or write, after this many bytes.
    KillAfter(usize),
}

/// Payload of the unwinding that ends a killed instance.
pub struct Killed;

pub trait Director {
    fn judge(&self, call: Call, path: &str) -> Verdict;

    /// Between the parts of an append that is cut.
    fn pause(&self) {}

    /// Bytes that the host appends in one piece.
    fn piece(&self) -> usize {
        usize::MAX
    }

    fn random(&self) -> u64;
}
