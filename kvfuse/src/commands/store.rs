//! A directory of the store `files`, for the commands that inspect one.

use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use kvfuse_core::{Error, Kind};
use kvfuse_files::survey::{self, Name, Store};
use kvfuse_transport::files::native::Native;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub struct Place {
    path: PathBuf,
    pub root: Rc<Native>,
}

impl Place {
    pub fn open(path: &Path, command: &str) -> Result<Self> {
        let root = Native::open(path).map_err(|e| {
            let what = match e.kind() {
                ErrorKind::NotFound => "there is no such directory".into(),
                ErrorKind::NotADirectory => "this is not a directory".into(),
                _ => format!("the directory cannot be read: {}", reason(&e)),
            };
            Box::new(Refusal::file(path, what).help(format!(
                "kvfuse {command} takes the directory that was granted: data after `kvfuse run app.wasm`, or after \
                 `wasmtime run --dir data::/`",
            )))
        })?;
        Ok(Self { path: path.to_path_buf(), root: Rc::new(root) })
    }

    /// As it was given.
    pub fn text(&self) -> String {
        self.path.display().to_string()
    }

    /// The name of the bucket that has a directory, if it can be known.
    pub fn bucket(directory: &str) -> Option<String> {
        match survey::bucket_name(directory) {
            Some(Name::Plain(name)) => Some(name),
            Some(Name::Hashed) | None => None,
        }
    }

    /// The directories of the buckets; refused if there is none.
    pub fn buckets(&self) -> Result<Vec<String>> {
        self.store().map(|store| store.buckets)
    }

    /// The same, but empty if there is none.
    #[cfg(feature = "run")]
    pub fn store_or_none(&self) -> Result<Vec<String>> {
        survey::store(&*self.root).map(|store| store.buckets).map_err(|e| self.failed(None, &e))
    }

    /// The content of the directory; refused if there is no bucket.
    pub fn store(&self) -> Result<Store> {
        let store = survey::store(&*self.root).map_err(|e| self.failed(None, &e))?;
        if !store.buckets.is_empty() {
            return Ok(store);
        }
        let refusal = Refusal::new(self.path.display(), "there is no store in this directory");
        match store.foreign.first() {
            _ if store.foreign.iter().any(|entry| entry == "anchor") => {
                refusal.note("this is one bucket of a store").help("name the directory above it")
            }
            None => refusal.note("it is empty").help("a bucket is created by its first write: run the component first"),
            Some(first) => refusal
                .note(format!(
                    "it contains no bucket, that is, no directory called b-…; it contains {first:?}, among other things"
                ))
                .help("name the directory that was granted, or the one in it that KEYVALUE_DIR names"),
        }
        .err()
    }

    /// The refusal for an error of the store, in one of its buckets if that is known.
    pub fn failed(&self, directory: Option<&str>, e: &Error) -> Box<Refusal> {
        let path = directory.map_or_else(|| self.path.clone(), |directory| self.path.join(directory));
        Box::new(match e.kind() {
            Kind::Unsupported => {
                Refusal::new(path.display(), "this version of kvfuse does not know the format of this store")
                    .note(e.message())
                    .help("use the version of kvfuse whose provider wrote it")
            }
            Kind::Damaged => {
                Refusal::new(path.display(), "this store is damaged").note(e.message()).with_code(code::DAMAGED)
            }
            _ => Refusal::file(&path, "the store cannot be read").note(e.message()),
        })
    }

    pub fn unreadable(&self, e: &std::io::Error) -> Box<Refusal> {
        Box::new(Refusal::file(&self.path, format!("the directory cannot be read: {}", reason(e))))
    }
}

/// A number of things.
pub fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("one {one}") } else { format!("{n} {one}s") }
}
