//! Values and keys too large for a record: each in a file of its own, written once, with a name never used again.

use crate::config::Config;
use crate::error::failed;
use crate::flaw::Flaw;
use crate::hash::Keys;
use crate::name::{Node, ValueName};
use crate::record::FileValue;
use kvfuse_core::limits::MAX_VALUE_CEILING;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};

/// Bytes of one read or write.
const CHUNK: usize = 1 << 20;

fn fail(name: ValueName, error: FileError) -> Error {
    failed(&format!("the value file {}", name.path()), error)
}

/// The checksum of a value file's content. Its name can change while its writer looks for the right segment; its
/// number never does.
fn sum(keys: &Keys, name: ValueName, bytes: &[u8]) -> u64 {
    keys.checks(b'v', Node::ROOT, name.id).sum(bytes)
}

/// Creates a file, and its directory if that does not exist.
pub fn create<D: Directory>(directory: &D, name: ValueName) -> Result<D::File> {
    let path = name.path();
    let opened = match directory.open(&path, Open::CreateNew) {
        Err(FileError::NotFound) => {
            match directory.create_directory(&name.node.values()) {
                Ok(()) | Err(FileError::Exists) => {}
                Err(error) => return Err(fail(name, error)),
            }
            directory.open(&path, Open::CreateNew)
        }
        other => other,
    };
    opened.map_err(|error| fail(name, error))
}

/// Makes a file's content and name survive a power cut. Done before a record names the file, whatever the
/// durability: otherwise a record could outlive what it names.
pub fn persist<D: Directory>(directory: &D, name: ValueName, file: &D::File, config: Config) -> Result<()> {
    if config.has(Flaw::ValueNotSynced) {
        return Ok(());
    }
    file.sync()
        .and_then(|()| directory.directory(&name.node.values())?.sync())
        .and_then(|()| directory.sync())
        .map_err(|error| fail(name, error))
}

/// Writes a value to a new file. After an error, the file is removed.
pub fn write<D: Directory>(
    directory: &D,
    keys: &Keys,
    name: ValueName,
    bytes: &[u8],
    config: Config,
) -> Result<FileValue> {
    let file = create(directory, name)?;
    let mut at = 0;
    let written = bytes.chunks(CHUNK).try_for_each(|piece| {
        file.write(at, piece)?;
        at += piece.len() as u64;
        Ok(())
    });
    if let Err(error) =
        written.map_err(|error| fail(name, error)).and_then(|()| persist(directory, name, &file, config))
    {
        remove(directory, name);
        return Err(error);
    }
    Ok(FileValue { name, size: at, check: Some(sum(keys, name, bytes)) })
}

/// Reads a value whole; `None` if its file is gone.
pub fn read<D: Directory>(directory: &D, keys: &Keys, value: &FileValue) -> Result<Option<Vec<u8>>> {
    let file = match directory.open(&value.name.path(), Open::Read) {
        Ok(file) => file,
        Err(FileError::NotFound) => return Ok(None),
        Err(error) => return Err(fail(value.name, error)),
    };
    let size = usize::try_from(value.size).ok().filter(|size| *size <= MAX_VALUE_CEILING).ok_or_else(|| {
        Error::new(
            Kind::QuotaExceeded,
            format!("a value of {} bytes does not fit into memory; read it as a stream", value.size),
        )
    })?;
    // A record may claim any size; memory is allocated for what is there.
    if file.size().map_err(|error| fail(value.name, error))? < value.size {
        return Err(gone(value.name, "is not as it was written"));
    }
    let mut out = Vec::new();
    out.try_reserve_exact(size).map_err(|_| {
        Error::new(Kind::QuotaExceeded, format!("no memory is left for a value of {size} bytes; read it as a stream"))
    })?;
    while out.len() < size {
        let bytes =
            file.read(out.len() as u64, (size - out.len()).min(CHUNK)).map_err(|error| fail(value.name, error))?;
        if bytes.is_empty() {
            break;
        }
        out.extend_from_slice(&bytes);
    }
    let right = out.len() == size && value.check.is_none_or(|check| sum(keys, value.name, &out) == check);
    if !right {
        return Err(gone(value.name, "is not as it was written"));
    }
    Ok(Some(out))
}

/// Removes a file that no record names, if it is there.
pub fn remove<D: Directory>(directory: &D, name: ValueName) {
    // If this fails, the file remains until the segment is compacted.
    let _ = directory.unlink(&name.path());
}

/// The error for a value that a record names but that cannot be read.
pub fn gone(name: ValueName, how: &str) -> Error {
    Error::new(
        Kind::Damaged,
        format!("the value file {} {how}; something other than this store changed it", name.path()),
    )
}
