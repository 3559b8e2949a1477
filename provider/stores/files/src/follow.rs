//! Going on from a sealed segment to the generation after it.
//!
//! Any instance can make the successor, but it takes some syncs, and one instance is enough. In relaxed durability, the
//! others go on in the successor as soon as it has a base: it lasts no longer than the seal before it, and relaxed
//! durability promises no more. The maker is the instance whose seal counts. If that dies, an instance that finds the
//! segment sealed when opening it does the rest.

use crate::config::Durability;
use crate::name::Node;
use crate::record::Plan;
use crate::segment::Segment;
use crate::tree::{TRIES, Tree};

use kvfuse_core::Result;
use kvfuse_transport::files::{Directory, File, FileError, Open};

/// How often a file may be found not to grow before its maker is taken for dead.
const PATIENCE: usize = 8;

impl<D: Directory> Tree<D> {
    /// Goes on from a node's sealed segment, for a write: to the successor that another instance makes, or else makes
    /// it.
    pub fn go_on(&mut self, node: Node) -> Result<()> {
        let others = self.segments.get(&node).is_some_and(|segment| {
            let plan = segment.sealed().map(|seal| seal.plan);
            !segment.owes && segment.old.is_none() && plan == Some(Plan::Compact)
        });
        if others && self.config.durability == Durability::Relaxed && self.wait(node)? {
            return Ok(());
        }
        self.succeed(node)
    }

    /// Goes on to the next generation, which another instance is making. False if that makes no progress, so that it
    /// has to be made here. The only way to wait is to sync what the other instance wrote, as it does itself.
    fn wait(&mut self, node: Node) -> Result<bool> {
        let (mut size, mut patience) = (None, PATIENCE);
        for _ in 0..TRIES {
            if self.follow(node)? {
                return Ok(true);
            }
            let Some(old) = self.segments.get_mut(&node) else { return Ok(true) };
            let next = old.generation.saturating_add(1);
            let name = node.segment(next);
            let now = match self.open_file(&name, Open::Write) {
                Ok(file) => {
                    if file.sync().is_err() {
                        self.shared.failed.borrow_mut().insert(self.keys.checks(b'S', node, next).file());
                        return Ok(false);
                    }
                    file.size().ok()
                }
                // It is about to be made.
                Err(FileError::NotFound) => match self.segments.get_mut(&node).map(Segment::sync) {
                    Some(Ok(())) => None,
                    _ => return Ok(false),
                },
                Err(_) => return Ok(false),
            };
            patience = if now == size { patience - 1 } else { PATIENCE };
            if patience == 0 {
                return Ok(false);
            }
            size = now;
        }
        Ok(false)
    }

    /// Goes on to the generation that follows a sealed one, without making it; false if there is none yet.
    pub fn follow(&mut self, node: Node) -> Result<bool> {
        let Some((generation, seal)) = self.segments.get(&node).and_then(|old| Some((old.generation, old.sealed()?)))
        else {
            return Ok(true);
        };
        if let Some(next) = self.load(node, generation.saturating_add(1), seal.id)? {
            self.insert(next);
            return Ok(true);
        }
        // As in `open`, the log is read after the file was looked for.
        let state = self.state_of(node)?;
        if state.is_past(generation) {
            self.forget(node);
            return Ok(true);
        }
        Ok(false)
    }
}
