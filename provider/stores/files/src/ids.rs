//! Numbers that no other instance uses: for records, so that a writer recognizes its own, and for value files.

use kvfuse_transport::files::Directory;
use std::cell::Cell;

/// Counts up from a random number, drawn when the first id is needed.
#[derive(Default)]
pub struct Ids(Cell<Option<u64>>);

impl Ids {
    pub fn next<D: Directory>(&self, directory: &D) -> u64 {
        let id = self.0.get().map_or_else(|| directory.random(), |last| last.wrapping_add(1));
        self.0.set(Some(id));
        id
    }
}
