//! The parts of a bucket as they are at this moment, and where a watch begins in them.

use super::position::{Mark, Marks};
use crate::name::Node;
use crate::record::Plan;
use crate::tree::{Access, Tree};
use kvfuse_core::{Error, Result};
use kvfuse_transport::files::Directory;

/// The live segment of a part.
pub struct Leaf {
    pub node: Node,
    pub generation: u64,
    pub follows: u64,
    /// The version of its first change.
    pub first: u64,
    /// The version that the next change gets.
    pub next: u64,
    /// Whether it is sealed for a split.
    pub splits: bool,
}

/// Before all content.
pub fn beginning() -> Marks {
    Marks::from([(0, Mark::nothing(Node::ROOT))])
}

/// The position of a bucket that was never written to: before its first change.
pub fn new() -> Marks {
    Marks::from([(0, Mark { version: 1, ..Mark::nothing(Node::ROOT) })])
}

/// The position of every part at this moment.
pub fn now<D: Directory>(tree: &mut Tree<D>) -> Result<Marks> {
    let mut marks = Marks::new();
    let mut from = 0;
    while from <= Node::ROOT.last() {
        tree.evict();
        let Some(leaf) = leaf(tree, from)? else { return Ok(new()) };
        // Children that do not exist yet begin where their parent ended.
        let node = if leaf.splits { leaf.node.child(from) } else { leaf.node };
        let generation = if leaf.splits { 0 } else { leaf.generation };
        marks.insert(node.first(), Mark { node, generation, version: leaf.next, id: 0 });
        from = node.last() + 1;
    }
    Ok(marks)
}

pub fn leaf<D: Directory>(tree: &mut Tree<D>, place: u64) -> Result<Option<Leaf>> {
    let Some(node) = tree.seek(place, Access::Read)? else { return Ok(None) };
    let Some(segment) = tree.segments.get(&node) else { return Err(crate::tree::unstable()) };
    if segment.old.is_some() {
        return Err(Error::unsupported(format!(
            "the file {} is in format 2, whose changes cannot be watched; `kvfuse upgrade` upgrades it",
            segment.name()
        )));
    }
    Ok(Some(Leaf {
        node,
        generation: segment.generation,
        follows: segment.follows,
        first: segment.base.as_ref().map_or(1, |base| base.next),
        next: segment.next_version(),
        splits: segment.sealed().is_some_and(|seal| seal.plan == Plan::Split),
    }))
}
