//! Going on from a sealed segment to the generation after it.
//!
//! Any instance can make what follows, but it takes some syncs, and one instance is enough. In relaxed durability, the
//! others go on in what it makes as soon as that has a base: it lasts no longer than the seal before it, which is what
//! relaxed durability promises. The one that makes it is the one whose seal counts. Should it die, whoever finds the
//! segment sealed when opening it does the rest.

use crate::config::Durability;
use crate::name::Node;
use crate::record::Plan;
use crate::segment::Segment;
use crate::tree::{TRIES, Tree};

use kvfuse_core::Result;
use kvfuse_transport::files::{Directory, File, FileError, Open};

/// Looks at what does not grow before it is taken for left.
const PATIENCE: usize = 8;

impl<D: Directory> Tree<D> {
    /// Goes on from a node's sealed segment, for a write: to what another instance is making, or else to what is made here.
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

    /// Goes on to the next generation, which another instance is making; false if they do not get ahead with it, so that it
    /// has to be made here. There is no other way to wait than to sync what they wrote, which they do too.
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
                // They are about to make it.
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
        // As in `open`: the log is read after the file was looked for.
        let state = self.state_of(node)?;
        if state.is_past(generation) {
            self.forget(node);
            return Ok(true);
        }
        Ok(false)
    }
}
