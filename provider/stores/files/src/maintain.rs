//! What a write does besides: it seals a segment that has grown too large, and writes an index that is due.

use crate::ids::Ids;
use crate::inside::Inside;
use crate::name::Node;
use crate::record::{Plan, Seal};
use crate::tree::Tree;
use crate::{anchor, index, policy};
use kvfuse_core::Result;
use kvfuse_transport::files::Directory;

impl<D: Directory> Tree<D> {
    /// Seals a segment that has grown past its limit, and goes on to its successor; or writes an index. The change that
    /// led here is already done, so a failure here is left to the next one.
    pub fn maintain(&mut self, node: Node) {
        let (open, share) = (self.segments.len(), self.share());
        let Some(segment) = self.segments.get_mut(&node) else { return };
        if segment.sealed().is_some() || policy::due(segment, &self.config).is_some() {
            let _ = self.renew(node);
        } else if index::due(segment, &self.config, open, share) {
            let before = segment.tail.memory();
            let _ = index::write(segment, &self.keys, self.ids.next(&self.directory));
            self.tails = self.tails.saturating_sub(before.saturating_sub(segment.tail.memory()));
        }
    }

    /// Seals a segment, if that is due, and goes on to its successor.
    pub fn renew(&mut self, node: Node) -> Result<()> {
        let Some(segment) = self.segments.get(&node) else { return Ok(()) };
        let plan = policy::due(segment, &self.config);
        self.seal(node, plan, segment.has_lifetimes())
    }

    /// Goes on to a successor whose values may have lifetimes. Versions that know none refuse the bucket from here on.
    pub fn admit_lifetimes(&mut self, node: Node) -> Result<()> {
        if !self.lifetimes {
            self.opening(|tree| anchor::note_lifetimes(&tree.directory))?;
            self.lifetimes = true;
        }
        self.seal(node, Some(Plan::Compact), true)
    }

    /// Seals a segment, unless it is sealed, if there is a plan for what follows, and goes on to its successor.
    fn seal(&mut self, node: Node, plan: Option<Plan>, lifetimes: bool) -> Result<()> {
        let Some(segment) = self.segments.get_mut(&node) else { return Ok(()) };
        if segment.sealed().is_none() {
            let Some(plan) = plan else { return Ok(()) };
            let seal = new_seal(&self.directory, &self.ids, plan, lifetimes);
            segment.seal(&self.keys, seal)?;
        }
        if segment.sealed().is_some() { self.go_on(node) } else { Ok(()) }
    }
}

/// A seal. `lifetimes` says whether values in what follows may have lifetimes.
pub fn new_seal<D: Directory>(directory: &Inside<D>, ids: &Ids, plan: Plan, lifetimes: bool) -> Seal {
    Seal { id: ids.next(directory), plan, time: if lifetimes { directory.time().max(1) } else { 0 } }
}
