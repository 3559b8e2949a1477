//! The file store: an append-only log per part of a bucket, shared by any number of instances without locks.
//!
//! `docs/files.md` describes the format byte by byte, and the reasons. In short: the order of records in a file *is*
//! the order of operations, and every reader derives the same state from it. A write appends a record and reads it
//! back; a read checks whether anything was appended. Most of a segment is its base, whose pages are at positions that
//! can be computed. A segment that has grown too large is sealed, and the next instance that needs it makes its
//! successor.
//!
//! | file | |
//! |---|---|
//! | [`store`], `bucket` | the contract |
//! | `read`, `write` | the operations |
//! | `maintain` | sealing and indexing, on the way |
//! | `tree` | from a key to its segment |
//! | `room`, `cache` | the memory and open files that all trees of an instance share |
//! | `succeed` | from a sealed segment to its successor |
//! | `segment`, `lookup` | reading one file up to its end; finding a key in it |
//! | `index` | recording where changes are, so that they need not all be read |
//! | `policy` | when a segment is sealed, and for what |
//! | `tail`, `heap`, `item` | the state that the last records of a segment result in; pure |
//! | `run` | pages in order of places |
//! | `frame`, `record`, `part`, `encode`, `gap` | the bytes of records, and the bytes between them; pure |
//! | `anchor`, `nodelog`, `value` | the other files |
//! | `inside`, `steady` | a bucket's directory, accessed through the store's; directories whose sync failed |
//! | `body` | values that pass as host streams |
//! | [`upgrade`] | from an older format to this one |
//! | [`repair`] | what can still be read of a damaged directory, copied to a new one |
//! | [`survey`] | the content of a directory's files and the damage in them, for people |
//! | `hash`, `name`, `ids` | keyed hashes, file names, unique numbers |
//! | `v2` | segments in format 2 |
//! | `watch` | the changes of a bucket, one by one |
//!
//! # Example
//!
//! ```
//! use kvfuse_core::{Bucket, Store};
//! use kvfuse_files::{Config, FileStore, survey};
//! use kvfuse_transport::files::native::{Native, ReadWrite};
//!
//! # let folder = std::env::temp_dir().join(format!("kvfuse-files-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let store = FileStore::new(Ok(ReadWrite::open(&folder)?), Config::default());
//! let bucket = store.open("stock")?;
//! bucket.set("apples", b"7")?;
//! assert_eq!(bucket.increment("apples", -2, 0)?, 5);
//!
//! // What a tool sees in the directory.
//! let stock = survey::bucket(&std::rc::Rc::new(Native::open(&folder)?), "b-stock")?;
//! assert_eq!((stock.segments[0].keys, stock.damage.len()), (1, 0));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod anchor;
mod body;
mod bucket;
mod cache;
pub mod config;
mod encode;
mod error;
mod flaw;
mod follow;
mod frame;
mod gap;
mod hash;
mod heap;
mod ids;
mod index;
mod inside;
mod item;
mod lookup;
mod maintain;
mod name;
mod nodelog;
mod part;
mod policy;
mod read;
mod record;
pub mod repair;
mod room;
mod run;
mod segment;
mod steady;
pub mod store;
mod succeed;
pub mod survey;
mod sweep;
mod tail;
mod tree;
pub mod upgrade;
mod v2;
mod value;
#[cfg(target_arch = "wasm32")]
pub mod wasi;
mod watch;
mod write;

pub use config::{Config, Durability};
#[cfg(feature = "flaws")]
pub use flaw::Flaw;

/// Its example is a test, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Writing what only someone with the directory could write, for tests.
#[cfg(feature = "flaws")]
pub mod forge {
    use crate::{frame, hash::Keys, name::Node, v2};

    /// A frame with valid checks around any head and blobs, for the file `kind` of a node (`S` a segment, `s` one of
    /// format 2, `n` a log), as the bucket's anchor keys it.
    pub fn frame(anchor: &[u8], kind: u8, node: (u8, u64), number: u64, head: &[u8], blobs: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let random = anchor.get(16..32).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; 16]);
        if let Some(node) = Node::new(node.0, node.1) {
            let checks = Keys::new(&random).checks(kind, node, number);
            match kind {
                b'S' => frame::write(&checks, head, blobs, &mut out),
                _ => v2::frame::write(&checks, head, blobs, &mut out),
            }
        }
        out
    }
}
pub use store::FileStore;
