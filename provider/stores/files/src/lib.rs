//! The file store: an append-only log per part of a bucket, shared by any number of instances without locks.
//!
//! `docs/files.md` has the format byte by byte and the reasons. In short: the order of records in a file *is* the
//! order of operations, and every reader works the same state out of it. A write appends a record and reads it back; a
//! read looks whether something was appended. A segment grown too large is sealed, and whoever comes next makes what
//! follows it.
//!
//! | file | |
//! |---|---|
//! | [`store`], `bucket` | the contract |
//! | `read`, `write` | the operations |
//! | `tree` | from a key to its segment |
//! | `room` | what all trees of an instance take together |
//! | `succeed` | from a sealed segment to what follows it |
//! | `segment` | reading one file up to its end |
//! | `policy` | when a segment is sealed, and for what |
//! | `state`, `heap`, `item` | what a segment's records amount to; pure |
//! | `frame`, `record`, `encode` | bytes of records; pure |
//! | `anchor`, `nodelog`, `value` | the other files |
//! | `body` | values that pass as host streams |
//! | [`stat`] | what a bucket's files hold, for people |
//! | [`survey`], `gaps` | the same of a whole directory, with what is damaged |
//! | `hash`, `name`, `ids` | keyed hashes, file names, numbers nobody else uses |

mod anchor;
mod body;
mod bucket;
pub mod config;
mod encode;
mod error;
mod flaw;
mod frame;
mod gaps;
mod hash;
mod heap;
mod ids;
mod item;
mod name;
mod nodelog;
mod policy;
mod read;
mod record;
mod room;
mod segment;
pub mod stat;
mod state;
pub mod store;
mod succeed;
pub mod survey;
mod tree;
mod value;
#[cfg(target_arch = "wasm32")]
pub mod wasi;
mod write;

pub use config::{Config, Durability};
#[cfg(feature = "flaws")]
pub use flaw::Flaw;

/// Writing what only someone with the directory could write, for tests.
#[cfg(feature = "flaws")]
pub mod forge {
    use crate::{frame, hash::Keys, name::Node};

    /// A frame with a right checksum around any head and blobs, for the file `kind` (`s` or `n`) of a node, as the
    /// bucket's anchor keys it.
    pub fn frame(anchor: &[u8], kind: u8, node: (u8, u64), number: u64, head: &[u8], blobs: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let random = anchor.get(16..32).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; 16]);
        if let Some(node) = Node::new(node.0, node.1) {
            frame::write(&Keys::new(&random).checks(kind, node, number), head, blobs, &mut out);
        }
        out
    }
}
pub use store::FileStore;
