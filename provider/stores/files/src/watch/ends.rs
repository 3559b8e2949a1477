//! The ends of lifetimes, of which no record tells: keys that were delivered with one are remembered until then.
//!
//! A watch that continues from a position, in another instance perhaps, first looks for all values with lifetimes.

use super::State;
use super::position::{Mark, Marks};
use crate::item::Item;
use crate::name::Node;
use crate::record::{NEVER, Plan};
use crate::sweep::Sweep;
use crate::tree::{Access, Tree};
use crate::write::Name;
use kvfuse_core::{Change, Result};
use kvfuse_transport::files::Directory;
use std::collections::BTreeSet;

/// The most keys that are remembered.
const MOST: usize = 1 << 16;

const TOO_MANY: &str = "more keys have lifetimes than a watch remembers: their deletions may be missing";
const UNSEEN: &str = "the files that had some of the changes were compacted meanwhile: deletions of keys whose lifetime ended \
                      may be missing";

/// Keys, by when they end.
#[derive(Default)]
pub struct Ends(BTreeSet<(u64, String)>);

impl Ends {
    /// False if there are too many already.
    fn add(&mut self, end: u64, key: String) -> bool {
        let room = self.0.len() < MOST;
        if room {
            self.0.insert((end, key));
        }
        room
    }

    /// A key that ends at `now` or did before.
    fn next(&mut self, now: u64) -> Option<String> {
        self.0.first().filter(|(end, _)| *end <= now)?;
        self.0.pop_first().map(|(_, key)| key)
    }
}

impl<D: Directory> State<D> {
    /// Remembers when a key ends that was delivered.
    pub(super) fn ends_at(&mut self, end: u64, key: String) {
        if !self.ends.add(end, key) {
            self.missed.get_or_insert_with(|| TOO_MANY.to_string());
        }
    }

    /// The deletions of up to `most` keys that have ended, unless they were set again.
    pub(super) fn ended(&mut self, tree: &mut Tree<D>, most: usize) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        if self.ends.0.is_empty() {
            return Ok(changes);
        }
        let now = tree.directory.time();
        while changes.len() < most
            && let Some(key) = self.ends.next(now)
        {
            match tree.end(Name::new(tree, &key)) {
                Ok(None) => changes.push(Change::Delete { key }),
                Ok(Some(_)) => {}
                Err(error) => {
                    self.ends_at(now, key);
                    return Err(error);
                }
            }
        }
        Ok(changes)
    }

    /// Looks for everything that has a lifetime, for a watch that did not deliver it. `marks` says where it begins, unless
    /// it begins now; then what has ended already is of no interest.
    pub(super) fn look_for_ends(&mut self, tree: &mut Tree<D>, marks: Option<&Marks>) -> Result<()> {
        let now = tree.directory.time();
        let (mut from, mut sweep) = (0, Sweep::whole(&tree.config));
        while from <= Node::ROOT.last() {
            tree.evict();
            let Some(node) = tree.seek(from, Access::Read)? else { break };
            let Some(segment) = tree.segments.get_mut(&node) else { continue };
            let part = match segment.sealed() {
                Some(seal) if seal.plan == Plan::Split => node.child(from),
                _ => node,
            };
            if !segment.has_lifetimes() {
                from = part.last() + 1;
                continue;
            }
            let mark = marks.and_then(|marks| marks.range(..=from).next_back()).map(|(_, mark)| *mark);
            let since = |mark: Mark| mark.version > 0 && (mark.node, mark.generation) != (node, segment.generation);
            if mark.is_some_and(since) {
                self.missed.get_or_insert_with(|| UNSEEN.to_string());
            }
            let slice = segment.slice_of(from);
            let last = segment.last_of(slice).min(part.last());
            let items = segment.slice(&tree.keys, slice, &mut sweep)?.items;
            let ends = |item: &&Item| item.found.end != NEVER && (marks.is_some() || item.found.end > now);
            for item in items.iter().filter(|item| item.place >= from && item.place <= last).filter(ends) {
                if let Some(key) = tree.key_text(item)?.filter(|key| key.starts_with(&self.prefix)) {
                    self.ends_at(item.found.end, key);
                }
            }
            from = last + 1;
        }
        Ok(())
    }
}
