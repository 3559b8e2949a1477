//! The store keeps the contract, on a real directory and by the machine's clock.

use kvfuse_core::{Body, Bucket, Result, Store};
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::ReadWrite;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A store in a directory that is removed with it.
struct Own(FileStore<ReadWrite>, PathBuf);

fn own(config: Config) -> Own {
    static DIRECTORIES: AtomicU32 = AtomicU32::new(0);
    let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("kvfuse-files-contract-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a directory");
    Own(FileStore::new(Ok(ReadWrite::open(&path).expect("a directory")), config), path)
}

impl Store for Own {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.0.open(bucket)
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        self.0.create_body()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

mod as_it_is {
    use super::{Config, own};

    kvfuse_suite::contract!(|| own(Config::default()));
    kvfuse_suite::lifetimes!(|| own(Config::default()));
}

/// With compactions, splits and indices on the way.
mod in_small_segments {
    use super::{Config, own};

    fn small() -> Config {
        Config { segment: 200, split: 1000, index: 100, small: 10, blob: 100, ..Config::default() }
    }

    kvfuse_suite::contract!(|| own(small()));
    kvfuse_suite::lifetimes!(|| own(small()));
}
