//! What the driver asks of a store.

use crate::directory::Calls;
use crate::stores::{Files, Redb, Sqlite};
use anyhow::{Context, Result};
use kvfuse_bench_guest::key;
use kvfuse_bench_guest::session::{Engine, Session, Sizes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

/// Host calls by name.
pub type Counts = BTreeMap<String, f64>;

/// How many keys there are, and how large their values.
#[derive(Clone, Copy)]
pub struct Shape {
    pub keys: usize,
    /// As [`Sizes::parse`] reads it.
    pub sizes: &'static str,
}

/// A way to open one kind of store.
pub trait Contender {
    fn name(&self) -> &str;

    /// Opens the store in a folder; it stays open.
    fn open(&self, folder: &Path, shape: Shape) -> Result<Box<dyn Open>>;

    /// One get in a fresh instance, in nanoseconds, without starting it; `None` where there are no instances.
    fn fresh(&self, _folder: &Path, _shape: Shape) -> Result<Option<f64>> {
        Ok(None)
    }

    /// Host calls per operation of a command that ran once before to warm up, or of a get in a fresh instance.
    fn calls(&self, _folder: &Path, _shape: Shape, _command: Option<&str>) -> Result<Option<Counts>> {
        Ok(None)
    }

    /// Peak memory of a guest that runs these commands, in bytes.
    fn memory(&self, _folder: &Path, _shape: Shape, _commands: &[&str]) -> Result<Option<usize>> {
        Ok(None)
    }
}

/// A store that is open.
pub trait Open {
    /// As [`Session::run`]: nanoseconds per operation.
    fn run(&mut self, command: &str) -> Result<f64>;
}

impl<E: Engine> Open for Session<E> {
    fn run(&mut self, command: &str) -> Result<f64> {
        Ok(Session::run(self, command))
    }
}

fn session<E: Engine + 'static>(engine: E, shape: Shape) -> Box<dyn Open> {
    Box::new(Session::new(engine, shape.keys, Sizes::parse(shape.sizes)))
}

/// kvfuse's file store, natively.
pub struct Native {
    pub memory: Option<usize>,
}

impl Contender for Native {
    fn name(&self) -> &str {
        if self.memory.is_some() { "file store, larger memory" } else { "file store, native" }
    }

    fn open(&self, folder: &Path, shape: Shape) -> Result<Box<dyn Open>> {
        Ok(session(Files::open(folder, self.memory, &Calls::default())?, shape))
    }

    fn fresh(&self, folder: &Path, shape: Shape) -> Result<Option<f64>> {
        let start = Instant::now();
        let mut store = Files::open(folder, self.memory, &Calls::default())?;
        store.get(&key(shape.keys / 2)).context("a key is missing")?;
        Ok(Some(start.elapsed().as_nanos() as f64))
    }

    fn calls(&self, folder: &Path, shape: Shape, command: Option<&str>) -> Result<Option<Counts>> {
        let calls = Calls::default();
        let mut store = Files::open(folder, self.memory, &calls)?;
        let Some(command) = command else {
            store.get(&key(shape.keys / 2)).context("a key is missing")?;
            return Ok(Some(calls.borrow().iter().map(|(name, count)| (name.to_string(), *count as f64)).collect()));
        };
        let mut session = session(store, shape);
        session.run(command)?;
        let before = calls.borrow().clone();
        session.run(command)?;
        let times: f64 = command.split_whitespace().nth(1).context("how often")?.parse()?;
        let each = |(name, count): (&&'static str, &u64)| {
            (name.to_string(), (count - before.get(name).unwrap_or(&0)) as f64 / times)
        };
        Ok(Some(calls.borrow().iter().map(each).collect()))
    }
}

/// A peer, natively.
pub enum Peer {
    Sqlite,
    Redb,
}

impl Contender for Peer {
    fn name(&self) -> &str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Redb => "redb",
        }
    }

    fn open(&self, folder: &Path, shape: Shape) -> Result<Box<dyn Open>> {
        Ok(match self {
            Self::Sqlite => session(Sqlite::open(folder)?, shape),
            Self::Redb => session(Redb::open(folder)?, shape),
        })
    }
}

/// A folder for a store: in the one that `BENCH_DIR` names, or below the build folder, as the system's temporary folder
/// may be in memory.
///
/// # Errors
/// If the file system fails.
pub fn scratch() -> Result<TempDir> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let folder = std::env::var_os("BENCH_DIR").map_or_else(|| target.join("bench"), PathBuf::from);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(tempfile::tempdir_in(folder)?)
}
