//! Values that pass as host streams: the host writes them to a file, which then becomes the value's own.
//!
//! A body is a file in the directory `bodies` of the store. Storing it moves the file to where value files are, and
//! appends a record that names it and its size at that moment. So nobody sees the value before the record, and what is
//! written to the stream later is beyond the value's end. A body that is dropped removes its file; one whose instance
//! was killed leaves it, and nothing ever reads it.

use crate::error::failed;
use crate::ids::Ids;
use crate::name::ValueName;
use kvfuse_core::{Body, Error, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

/// The directory of values that are being written.
const BODIES: &str = "bodies";
/// Bytes of one read or write.
const CHUNK: u64 = 1 << 20;

/// A file that is to become a value.
pub struct Moving {
    /// Relative to the store's directory.
    pub path: String,
    pub id: u64,
    /// In bytes.
    pub size: u64,
    /// Copies this many bytes of it to a new file at the given path, wherever the file itself is now.
    copy: Box<Copy>,
}

type Copy = dyn Fn(&str, u64) -> Result<(), FileError>;

pub struct FileBody<D: Directory> {
    root: Rc<D>,
    ids: Rc<Ids>,
    file: Option<(Rc<D::File>, RefCell<Moving>)>,
    stored: bool,
}

fn fail(error: FileError) -> Error {
    failed("the file of a value under way", error)
}

/// A new file in the directory of bodies, and its path.
pub fn create<D: Directory>(root: &D, id: u64) -> Result<(D::File, String)> {
    let path = format!("{BODIES}/{id:016x}");
    let file = match root.open(&path, Open::CreateNew) {
        Err(FileError::NotFound) => match root.create_directory(BODIES) {
            Ok(()) | Err(FileError::Exists) => root.open(&path, Open::CreateNew),
            Err(error) => Err(error),
        },
        other => other,
    };
    Ok((file.map_err(fail)?, path))
}

/// A file made by [`create`] that is to become a value.
pub fn moving<D: Directory>(root: &Rc<D>, file: Rc<D::File>, (id, path): (u64, String), size: u64) -> Moving {
    let root = root.clone();
    Moving { path, id, size, copy: Box::new(move |to: &str, size| copy(&*root, &*file, to, size)) }
}

impl<D: Directory> FileBody<D> {
    pub fn new(root: Rc<D>, ids: Rc<Ids>) -> Self {
        Self { root, ids, file: None, stored: false }
    }

    /// Runs `store` on what has been written so far: a whole value if it has at most `small` bytes, otherwise its file.
    /// After that, the body has no further effect, unless `store` failed and did nothing.
    pub fn finish(
        &mut self,
        small: usize,
        store: impl FnOnce(Result<&[u8], &RefCell<Moving>>) -> Result<()>,
    ) -> Result<()> {
        if self.stored {
            return Err(Error::invalid("this value has already been stored; create a new one"));
        }
        let Some((file, moving)) = &self.file else {
            store(Ok(&[]))?;
            self.stored = true;
            return Ok(());
        };
        let size = file.size().map_err(fail)?;
        moving.borrow_mut().size = size;
        let result = if size <= small as u64 {
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < size {
                let more = file.read(bytes.len() as u64, small - bytes.len()).map_err(fail)?;
                if more.is_empty() {
                    break;
                }
                bytes.extend_from_slice(&more);
            }
            bytes.truncate(size as usize);
            store(Ok(&bytes)).map(|()| false)
        } else {
            if let Err(error) = file.sync() {
                // A later sync would say nothing about it.
                self.stored = true;
                return Err(fail(error));
            }
            store(Err(moving)).map(|()| true)
        };
        match result {
            Ok(moved) => {
                self.stored = true;
                if moved {
                    self.file = None;
                }
                Ok(())
            }
            Err(error) => {
                if error.kind() == kvfuse_core::Kind::OutcomeUnknown {
                    // The file may be a value now.
                    (self.stored, self.file) = (true, None);
                }
                Err(error)
            }
        }
    }
}

impl<D: Directory> Body for FileBody<D> {
    fn take_stream(&mut self) -> Result<Box<dyn Any>> {
        if self.stored || self.file.is_some() {
            return Err(Error::invalid("this value's stream has already been taken"));
        }
        let id = self.ids.next(&*self.root);
        let (file, path) = create(&*self.root, id)?;
        let stream = file.output_stream(0);
        let file = Rc::new(file);
        let moving = moving(&self.root, file.clone(), (id, path), 0);
        self.file = Some((file, RefCell::new(moving)));
        stream.map_err(fail)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl<D: Directory> Drop for FileBody<D> {
    fn drop(&mut self) {
        if let Some((_, moving)) = &self.file {
            // If this fails, the file remains, but nothing reads it.
            let _ = self.root.unlink(&moving.borrow().path);
        }
    }
}

/// Copies the first bytes of a file to a new one, and makes that durable.
fn copy<D: Directory>(root: &D, from: &D::File, to: &str, size: u64) -> Result<(), FileError> {
    let new = root.open(to, Open::CreateNew)?;
    let write = || {
        let mut at = 0;
        while at < size {
            let bytes = from.read(at, (size - at).min(CHUNK) as usize)?;
            if bytes.is_empty() {
                return Err(FileError::Io);
            }
            new.write(at, &bytes)?;
            at += bytes.len() as u64;
        }
        new.sync()
    };
    write().inspect_err(|_| {
        let _ = root.unlink(to);
    })
}

/// Moves a file to be a value of the bucket in `directory`. `lasting` says whether it has to survive a power cut there.
pub fn adopt<D: Directory>(
    root: &D,
    directory: &str,
    moving: &RefCell<Moving>,
    name: ValueName,
    lasting: bool,
) -> Result<()> {
    let to = format!("{directory}/{}", name.path());
    let mut moving = moving.borrow_mut();
    if moving.path != to {
        let folder = format!("{directory}/{}", name.node.values());
        match root.create_directory(&folder) {
            Ok(()) | Err(FileError::Exists) => {}
            Err(error) => return Err(fail(error)),
        }
        match root.rename(&moving.path, &to) {
            // It was moved before, for a record that did not count, and the segment of that record is gone by now.
            Err(FileError::NotFound) => (moving.copy)(&to, moving.size),
            other => other,
        }
        .map_err(fail)?;
        moving.path = to;
    }
    if !lasting {
        return Ok(());
    }
    let sync = |path: &str| root.directory(path)?.sync();
    sync(&format!("{directory}/{}", name.node.values())).and_then(|()| sync(directory)).map_err(fail)
}
