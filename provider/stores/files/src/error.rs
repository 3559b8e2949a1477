//! File errors as errors of the contract.

use kvfuse_core::{Error, Kind};
use kvfuse_transport::files::FileError;

/// What failed, and what to do about it. Nothing was changed.
pub fn failed(what: &str, error: FileError) -> Error {
    let (kind, advice) = match error {
        FileError::NoSpace => (Kind::QuotaExceeded, "; make room and try again, nothing was changed"),
        FileError::TooManyOpen => (Kind::QuotaExceeded, "; raise the limit of open files"),
        // Not AccessDenied: that case of the interface carries no text, and this error needs it.
        FileError::ReadOnly | FileError::Access => {
            (Kind::Unavailable, "; the data can be read but not changed unless the host permits writing")
        }
        FileError::NotFound => (Kind::Damaged, "; something other than this store removed it"),
        FileError::WrongType => (Kind::Damaged, "; something other than this store put it there"),
        FileError::Unsupported => (Kind::Unsupported, ""),
        FileError::NameTooLong => (Kind::InvalidArgument, ""),
        // WASI has no code for a host that has run out of descriptors.
        FileError::Io => (Kind::Unavailable, "; the disk fails, or the host's limit of open files is too low"),
        FileError::Exists => (Kind::Unavailable, ""),
    };
    Error::new(kind, format!("{what}: {error}{advice}"))
}

/// The error of an operation whose record was sent but could not be read back.
pub fn unknown(cause: &Error) -> Error {
    Error::new(
        Kind::OutcomeUnknown,
        format!(
            "the change was sent, but whether it took effect could not be read ({cause}); read before trying again"
        ),
    )
}
