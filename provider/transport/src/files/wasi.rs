//! The file port on `wasi:filesystem`.

use super::{Directory, File, FileError, Open, Result, grant};
use kvfuse_core::{Error, Kind, Settings};
use std::any::Any;
use std::cell::RefCell;
use std::time::Duration;
use wasip2::clocks::wall_clock;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, filesystem_error_code};
use wasip2::io::streams::{OutputStream, StreamError};
use wasip2::random::random::get_random_u64;

/// The most bytes that `blocking-write-and-flush` accepts.
const ONE_CALL: usize = 4096;

/// A descriptor of a directory.
pub struct WasiDirectory {
    descriptor: Descriptor,
    /// Whether the append streams of the host always write to the current end of the file, so that one can be kept.
    /// Those of jco start at the end as of their opening, so a kept one would overwrite what others have appended
    /// since. There is no way to ask; hosts that support the permission `mutate-directory` are the ones that write to
    /// the current end.
    follows: bool,
}

/// The granted directory, or the one that `KEYVALUE_DIR` chooses.
///
/// # Errors
/// [`Kind::Unavailable`], with what to grant or set.
pub fn granted(settings: &Settings) -> kvfuse_core::Result<WasiDirectory> {
    let mut directories = get_directories();
    let names: Vec<String> = directories.iter().map(|(_, name)| name.clone()).collect();
    let (index, rest) = grant::choose(&names, settings)?;
    if index >= directories.len() {
        return Err(Error::new(Kind::Unavailable, "the host no longer grants its directories"));
    }
    let directory = WasiDirectory { descriptor: directories.swap_remove(index).0, follows: false };
    if rest.is_empty() {
        return Ok(directory);
    }
    directory.directory(&rest).map_err(|error| {
        let name = names.get(index).map_or("", String::as_str);
        Error::new(
            Kind::Unavailable,
            format!(
                "{}: cannot open the directory {rest} in the granted directory {name} ({error}); create it first",
                grant::VARIABLE
            ),
        )
    })
}

impl Directory for WasiDirectory {
    type File = WasiFile;

    fn open(&self, path: &str, how: Open) -> Result<WasiFile> {
        let (open, flags) = match how {
            Open::Read => (OpenFlags::empty(), DescriptorFlags::READ),
            Open::Write => (OpenFlags::empty(), DescriptorFlags::READ | DescriptorFlags::WRITE),
            Open::Create => (OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE),
            Open::CreateNew => {
                (OpenFlags::CREATE | OpenFlags::EXCLUSIVE, DescriptorFlags::READ | DescriptorFlags::WRITE)
            }
        };
        let descriptor = self.descriptor.open_at(PathFlags::empty(), path, open, flags).map_err(convert)?;
        Ok(WasiFile { end: RefCell::new(None), follows: self.follows, descriptor })
    }

    fn directory(&self, path: &str) -> Result<Self> {
        let open = |flags, follows| {
            let opened = self.descriptor.open_at(PathFlags::empty(), path, OpenFlags::DIRECTORY, flags);
            opened.map(|descriptor| Self { descriptor, follows }).map_err(convert)
        };
        match open(DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY, true) {
            // A read-only directory still serves readers. And jco's host does not support this permission: there, a
            // directory that was opened for reading can be changed.
            Err(FileError::ReadOnly | FileError::Access | FileError::Unsupported) => open(DescriptorFlags::READ, false),
            other => other,
        }
    }

    fn create_directory(&self, path: &str) -> Result<()> {
        self.descriptor.create_directory_at(path).map_err(convert)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        let entries = self.descriptor.read_directory().map_err(convert)?;
        while let Some(entry) = entries.read_directory_entry().map_err(convert)? {
            each(&entry.name);
        }
        Ok(())
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.descriptor.unlink_file_at(path).map_err(convert)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.descriptor.rename_at(from, &self.descriptor, to).map_err(convert)
    }

    fn sync(&self) -> Result<()> {
        let result = match self.descriptor.sync() {
            // jco's host can sync a directory that was opened, but not the one that was granted.
            Err(ErrorCode::Invalid) => {
                let opened =
                    self.descriptor.open_at(PathFlags::empty(), ".", OpenFlags::DIRECTORY, DescriptorFlags::READ);
                opened.and_then(|directory| directory.sync())
            }
            other => other,
        };
        match result.map_err(convert) {
            // Windows does not support this, and makes names durable by itself. Some of its hosts say so; on others it is
            // refused, which for a directory that can be read has no other reason.
            Err(FileError::Unsupported) => Ok(()),
            Err(FileError::Access) if self.descriptor.read_directory().is_ok() => Ok(()),
            other => other,
        }
    }

    fn random(&self) -> u64 {
        get_random_u64()
    }

    fn now(&self) -> Duration {
        let now = wall_clock::now();
        Duration::from_secs(now.seconds).saturating_add(Duration::from_nanos(now.nanoseconds.into()))
    }
}

/// A descriptor of a file, and the stream that appends to it, if it can be kept.
pub struct WasiFile {
    /// Dropped before the descriptor it belongs to.
    end: RefCell<Option<OutputStream>>,
    /// As for the directory.
    follows: bool,
    descriptor: Descriptor,
}

impl File for WasiFile {
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        self.descriptor.read(length as u64, offset).map(|(bytes, _)| bytes).map_err(convert)
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        let mut end = self.end.borrow_mut();
        let stream = match end.take() {
            Some(stream) => stream,
            None => self.descriptor.append_via_stream().map_err(convert)?,
        };
        let result = send(&stream, bytes);
        // A stream that has failed stays closed.
        if result.is_ok() && self.follows {
            *end = Some(stream);
        }
        result
    }

    fn write(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = self.descriptor.write(bytes, offset).map_err(convert)?;
            let rest = usize::try_from(written).ok().filter(|n| *n > 0).and_then(|n| bytes.split_at_checked(n));
            bytes = rest.ok_or(FileError::Io)?.1;
            offset = offset.checked_add(written).ok_or(FileError::Io)?;
        }
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        self.descriptor.stat().map(|stat| stat.size).map_err(convert)
    }

    fn sync(&self) -> Result<()> {
        self.descriptor.sync_data().map_err(convert)
    }

    fn output_stream(&self, offset: u64) -> Result<Box<dyn Any>> {
        Ok(Box::new(self.descriptor.write_via_stream(offset).map_err(convert)?))
    }

    fn input_stream(&self, offset: u64) -> Result<Box<dyn Any>> {
        Ok(Box::new(self.descriptor.read_via_stream(offset).map_err(convert)?))
    }
}

/// Writes bytes, and waits until they are in the file.
fn send(stream: &OutputStream, bytes: &[u8]) -> Result<()> {
    if bytes.len() <= ONE_CALL {
        return stream.blocking_write_and_flush(bytes).map_err(failed);
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let room = usize::try_from(stream.check_write().map_err(failed)?).unwrap_or(usize::MAX).min(rest.len());
        if room == 0 {
            stream.blocking_flush().map_err(failed)?;
            continue;
        }
        let (piece, after) = rest.split_at_checked(room).ok_or(FileError::Io)?;
        stream.write(piece).map_err(failed)?;
        stream.blocking_flush().map_err(failed)?;
        rest = after;
    }
    Ok(())
}

fn failed(error: StreamError) -> FileError {
    match error {
        StreamError::LastOperationFailed(error) => filesystem_error_code(&error).map_or(FileError::Io, convert),
        StreamError::Closed => FileError::Io,
    }
}

fn convert(code: ErrorCode) -> FileError {
    match code {
        ErrorCode::NoEntry => FileError::NotFound,
        ErrorCode::Exist => FileError::Exists,
        ErrorCode::InsufficientSpace | ErrorCode::Quota | ErrorCode::FileTooLarge => FileError::NoSpace,
        ErrorCode::ReadOnly => FileError::ReadOnly,
        ErrorCode::Access | ErrorCode::NotPermitted => FileError::Access,
        ErrorCode::NotDirectory | ErrorCode::IsDirectory | ErrorCode::Loop => FileError::WrongType,
        ErrorCode::NameTooLong => FileError::NameTooLong,
        ErrorCode::Unsupported => FileError::Unsupported,
        _ => FileError::Io,
    }
}
