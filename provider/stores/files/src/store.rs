//! The contract's store: the buckets of one directory.

use crate::body::FileBody;
use crate::bucket::FileBucket;
use crate::config::Config;
use crate::flaw::Flaw;
use crate::ids::Ids;
use crate::room::Room;
use crate::steady::Steady;
use kvfuse_core::{Body, Bucket, Error, Result, Store};
use kvfuse_transport::files::Directory;
use std::cell::RefCell;
use std::rc::Rc;

/// Longest bucket name, in bytes.
const MAX_BUCKET_NAME: usize = 64 << 10;
/// The number of buckets that stay open after their callers have dropped them.
const KEPT: usize = 8;

/// A bucket that is open.
type Opened<D> = Rc<FileBucket<Steady<D>>>;

/// A store in a directory. Any number of them, in any number of processes, can share one.
///
/// ```
/// use kvfuse_core::{Bucket, Store};
/// use kvfuse_files::{Config, FileStore};
/// use kvfuse_transport::files::native::ReadWrite;
///
/// # let folder = std::env::temp_dir().join(format!("kvfuse-files-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let store = || std::io::Result::Ok(FileStore::new(Ok(ReadWrite::open(&folder)?), Config::default()));
/// let (one, other) = (store()?.open("stock")?, store()?.open("stock")?);
/// one.set("apples", b"7")?;
/// assert_eq!(other.get("apples")?.as_deref(), Some(&b"7"[..]));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStore<D: Directory> {
    /// If there is none, opening a bucket fails with this error.
    directory: Result<Rc<Steady<D>>>,
    config: Config,
    ids: Rc<Ids>,
    room: Rc<Room<Steady<D>>>,
    /// The most recently opened buckets, the newest at the end.
    buckets: RefCell<Vec<(String, Opened<D>)>>,
}

impl<D: Directory> FileStore<D> {
    /// A store in `directory`; if there is none, every bucket fails to open with that error.
    pub fn new(directory: Result<D>, config: Config) -> Self {
        let (ids, room) = (Rc::default(), Rc::new(Room::new(config)));
        let forgets = config.has(Flaw::FailedSyncForgotten);
        let directory = directory.map(|directory| Rc::new(Steady::new(directory, forgets)));
        Self { directory, config, ids, room, buckets: RefCell::default() }
    }
}

impl<D: Directory> Store for FileStore<D> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(self.bucket(bucket)?)
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        Ok(Box::new(FileBody::new(self.directory.clone()?, self.ids.clone())))
    }
}

impl<D: Directory> FileStore<D> {
    /// The bucket whose directory has this name, for tools that do not know the bucket's name.
    pub(crate) fn in_directory(&self, name: &str) -> Result<FileBucket<Steady<D>>> {
        let directory = self.directory.clone()?;
        Ok(FileBucket::in_directory(directory, name, self.config, self.ids.clone(), self.room.clone()))
    }

    fn bucket(&self, bucket: &str) -> Result<Rc<FileBucket<Steady<D>>>> {
        let directory = self.directory.clone()?;
        if bucket.len() > MAX_BUCKET_NAME {
            return Err(Error::invalid(format!(
                "a bucket name of {} bytes is longer than the {MAX_BUCKET_NAME} bytes that this store allows",
                bucket.len()
            )));
        }
        let mut buckets = self.buckets.borrow_mut();
        let open = match buckets.iter().position(|(name, _)| name == bucket) {
            Some(place) => buckets.remove(place).1,
            None => Rc::new(FileBucket::new(directory, bucket, self.config, self.ids.clone(), self.room.clone())),
        };
        if buckets.len() >= KEPT {
            buckets.remove(0);
        }
        buckets.push((bucket.to_string(), open.clone()));
        Ok(open)
    }
}
