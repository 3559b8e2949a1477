//! The changes that are delivered at a time.

use crate::item::{Item, OwnedKey, Stored};
use crate::record::NEVER;
use crate::segment::Segment;
use crate::tree::Tree;
use crate::value;
use crate::write::Name;
use kvfuse_core::watch::{MOST_BYTES, MOST_CHANGES};
use kvfuse_core::{Change, Result};
use kvfuse_transport::files::Directory;

/// Changes that are gathered.
pub struct Out<'a> {
    pub prefix: &'a str,
    pub changes: Vec<Change>,
    pub size: usize,
    /// When the keys of changes end, of those that do.
    pub ends: Vec<(u64, String)>,
}

impl Out<'_> {
    pub fn is_full(&self) -> bool {
        self.changes.len() >= MOST_CHANGES || self.size >= MOST_BYTES
    }

    /// Adds a change, unless another one of the same key is known to follow. True if it is a deletion of a key whose
    /// name is gone.
    pub fn add<D: Directory>(
        &mut self,
        tree: &mut Tree<D>,
        segment: &Segment<D::File>,
        item: Item,
        deleted: bool,
    ) -> Result<bool> {
        if let OwnedKey::Whole(bytes) = &item.key
            && !bytes.starts_with(self.prefix.as_bytes())
        {
            return Ok(false);
        }
        let Some(key) = tree.key_text(&item)? else { return Ok(deleted) };
        if !key.starts_with(self.prefix) {
            return Ok(false);
        }
        if deleted {
            self.size += key.len();
            self.changes.push(Change::Delete { key });
            return Ok(false);
        }
        let value = match item.found.value {
            Stored::Bytes(bytes) => bytes,
            Stored::Pieces(pieces) => segment.pieces(&pieces)?,
            Stored::File(file) => match value::read(&tree.directory, &tree.keys, &file)? {
                Some(bytes) => bytes,
                None => {
                    // Replaced since: that change is yet to come. If it was not replaced, this reports that it is lost.
                    tree.next_turn();
                    tree.get(Name::new(tree, &key))?;
                    return Ok(false);
                }
            },
        };
        self.size += key.len() + value.len();
        if item.found.end != NEVER {
            self.ends.push((item.found.end, key.clone()));
        }
        self.changes.push(Change::Set { key, value });
        Ok(false)
    }
}
