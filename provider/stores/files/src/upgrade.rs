//! From an older format to the present one, in place: what the first write to each segment does.
//!
//! A segment of format 2 is sealed, and its successor is in format 3. This is the store's own succession: it may be
//! killed at any point, others may be at work, and finished parts are not done again.

use crate::name::Node;
use crate::record::Plan;
use crate::store::FileStore;
use crate::tree::{Access, TRIES, Tree, unstable};
use kvfuse_core::Result;
use kvfuse_transport::files::{Directory, File, FileError};

/// The result of an upgrade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upgraded {
    /// The number of segments that were in an older format.
    pub segments: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl<D: Directory> FileStore<D> {
    /// Upgrades all segments of the bucket whose directory has this name to the present format. From time to time,
    /// `progress` is called with the part that is done, from 0 to 1.
    ///
    /// ```
    /// use kvfuse_core::{Bucket, Store};
    /// use kvfuse_files::{Config, FileStore, upgrade::Upgraded};
    /// use kvfuse_transport::files::native::ReadWrite;
    ///
    /// # let folder = std::env::temp_dir().join(format!("kvfuse-files-upgrade-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let store = FileStore::new(Ok(ReadWrite::open(&folder)?), Config::default());
    /// store.open("stock")?.set("apples", b"7")?;
    /// // It is in the present format already.
    /// assert_eq!(store.upgrade("b-stock", &mut |_| {})?, Upgraded { segments: 0, bytes: 0 });
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of reading and writing. The segments upgraded until then stay so, and another call does the rest.
    pub fn upgrade(&self, directory: &str, progress: &mut dyn FnMut(f64)) -> Result<Upgraded> {
        let bucket = self.in_directory(directory)?;
        // A bucket that was never written to is left as it is.
        if bucket.reading(|tree| tree.seek(0, Access::Read))?.flatten().is_none() {
            return Ok(Upgraded::default());
        }
        bucket.writing(|tree| tree.upgrade(progress))
    }
}

impl<D: Directory> Tree<D> {
    fn upgrade(&mut self, progress: &mut dyn FnMut(f64)) -> Result<Upgraded> {
        let mut done = Upgraded::default();
        let (mut from, end, mut tries) = (0, Node::ROOT.last(), 0);
        while from <= end {
            self.evict();
            self.next_turn();
            let Some(node) = self.seek(from, Access::Read)? else { break };
            let Some(segment) = self.segments.get(&node) else { continue };
            if segment.old.is_none() {
                // One that is sealed for a split answers only for the part asked.
                let split = segment.sealed().is_some_and(|seal| seal.plan == Plan::Split);
                from = if split { node.child(from).last() } else { node.last() } + 1;
                tries = 0;
                progress(from as f64 / end as f64);
                continue;
            }
            tries += 1;
            if tries > TRIES {
                return Err(unstable());
            }
            if !segment.writable {
                return Err(segment.failed(FileError::ReadOnly));
            }
            let bytes = segment.file.size().map_err(|error| segment.failed(error))?;
            self.renew(node)?;
            done.segments += 1;
            done.bytes += bytes;
        }
        Ok(done)
    }
}
