//! What replaced values and keys leave: memory that is free again, and files to be removed with the segment. Pure.

use super::waiting::{Conditional, Waiting};
use super::{Kept, Tail};
use crate::item::Stored;
use crate::record::{FileValue, Key, Piece, Value};

impl Tail {
    /// Gives back the memory of a replaced value, and notes its file.
    pub(super) fn retire(&mut self, value: Kept) {
        match value {
            Kept::Heap(span) => self.heap.free(span),
            Kept::Pieces(pieces) => self.extra = self.extra.saturating_sub(pieces.len() * size_of::<Piece>()),
            Kept::File(file) => {
                self.extra = self.extra.saturating_sub(size_of::<FileValue>());
                self.lose(Some(Stored::File(*file)));
            }
            Kept::Gone => {}
            Kept::Open(waiting) => {
                self.open = self.open.saturating_sub(1);
                self.extra = self.extra.saturating_sub(waiting.len() * size_of::<Waiting>());
                for one in waiting {
                    if let Conditional::Swap { value, .. } = one.what {
                        self.lose(Some(value));
                    }
                }
            }
        }
    }

    /// Notes the file of a value that no key has any more.
    pub(super) fn lose(&mut self, value: Option<Stored>) {
        if let Some(Stored::File(file)) = value {
            self.dead.push(file.name);
            self.dead_bytes += file.size;
        }
    }

    /// Notes the files of an operation that did nothing.
    pub(super) fn orphan(&mut self, key: Key<'_>, value: Option<Value<'_>>) {
        if let Key::Far { file, length, .. } = key {
            self.dead.push(file);
            self.dead_bytes += u64::from(length);
        }
        if let Some(Value::File(file)) = value {
            self.dead.push(file.name);
            self.dead_bytes += file.size;
        }
    }
}
