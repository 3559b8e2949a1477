//! Which segments have a bucket's pairs, even if files that say so are damaged or missing.

use crate::item::{Item, OwnedKey};
use crate::name::Node;
use crate::record::Plan;
use crate::repair::replay::{Replayed, replay};
use crate::repair::state::Held;
use crate::segment::Segment;
use crate::sweep::Sweep;
use crate::tree::Tree;
use crate::{nodelog, segment, v2};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Receives everything that is read.
pub type Take<'a, D> = dyn FnMut(&Tree<D>, Read<'_, D>) -> Result<()> + 'a;

/// What a segment has for a part of the hash space.
pub struct Read<'a, D: Directory> {
    pub segment: &'a Segment<D::File>,
    /// With each pair, whether it is certain.
    pub pairs: Vec<(Item, bool)>,
    /// Keys whose value cannot be read.
    pub unknown: Vec<(u64, OwnedKey)>,
    /// Places where nothing can be read.
    pub lost: Vec<RangeInclusive<u64>>,
    /// The number of keys that exist but whose names cannot be read.
    pub nameless: u64,
}

/// Goes through a bucket.
pub struct Walk<'a, D: Directory> {
    pub tree: Tree<D>,
    /// The names in the bucket's directory.
    pub files: BTreeSet<String>,
    /// Nodes that have split as the anchor says, and the seals that their children follow.
    pub splits: BTreeMap<Node, u64>,
    pub damage: Vec<String>,
    /// Whether what is taken now may be out of date as a whole.
    pub doubt: bool,
    pub take: &'a mut Take<'a, D>,
    /// Called for a part without any segment.
    pub miss: &'a mut dyn FnMut(RangeInclusive<u64>),
}

impl<D: Directory> Walk<'_, D> {
    pub fn run(&mut self) -> Result<()> {
        self.visit(Node::ROOT, Some(0), None)
    }

    fn note(&mut self, error: &Error) {
        let message = error.message();
        // The advice in the message is to do what is being done here.
        let message = message.split("; `kvfuse stat`").next().unwrap_or(message);
        if self.damage.iter().all(|line| line != message) {
            self.damage.push(message.to_string());
        }
    }

    /// A result. Damage is noted, and not an error.
    fn noted<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == Kind::Damaged => {
                self.note(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// `first` is the seal that the node's first generation follows, if it is known; `parent` a segment sealed for a
    /// split that may not be complete.
    fn visit(&mut self, node: Node, first: Option<u64>, parent: Option<&mut Segment<D::File>>) -> Result<()> {
        let (mut state, trouble) = nodelog::salvage(&self.tree.directory, &self.tree.keys, node)?;
        trouble.iter().for_each(|error| self.note(error));
        if let Some(seal) = self.splits.get(&node) {
            (state.split, state.seal) = (true, *seal);
        }
        if state.split {
            return node.children().try_for_each(|child| self.visit(child, Some(state.seal), None));
        }
        let follows = if state.generation == 0 { first } else { Some(state.seal) };
        if self.files.contains(&node.segment(state.generation)) {
            return self.follow(node, state.generation, follows, parent);
        }
        // The segment that the log names is missing: either the log is damaged, or the segment is gone.
        if let Some(generation) = self.generations(node).last().copied() {
            self.note(&segment::damaged(&node.segment(state.generation), "it is missing"));
            return self.follow(node, generation, None, parent);
        }
        if node.children().any(|child| self.has(child)) {
            self.note(&segment::damaged(&node.log(), "it does not record that its node has split"));
            return node.children().try_for_each(|child| self.visit(child, None, None));
        }
        match parent {
            Some(parent) => self.take(parent, None, node),
            None if node == Node::ROOT && !self.tree.begun && trouble.is_none() => Ok(()),
            None => {
                self.note(&segment::damaged(&node.segment(state.generation), "it is missing"));
                (self.miss)(node.first()..=node.last());
                Ok(())
            }
        }
    }

    /// The generations of a node that have a file, in order.
    fn generations(&self, node: Node) -> Vec<u64> {
        let stem = node.segment(0);
        let stem = stem.strip_suffix('0').unwrap_or(&stem);
        let number = |name: &String| name.strip_prefix(stem)?.parse().ok();
        let mut generations: Vec<u64> = self.files.iter().filter_map(number).collect();
        generations.retain(|generation| self.files.contains(&node.segment(*generation)));
        generations.sort_unstable();
        generations
    }

    /// Whether a node or one below it has a segment.
    fn has(&self, node: Node) -> bool {
        let (segment, log) = (node.segment(0), node.log());
        let stem = segment.split('.').next().unwrap_or(&segment);
        self.files.iter().any(|name| name.starts_with(stem) || *name == log)
    }

    /// Goes from a segment to its successors, as far as they exist, and takes the last one.
    fn follow(
        &mut self,
        node: Node,
        mut generation: u64,
        mut follows: Option<u64>,
        parent: Option<&mut Segment<D::File>>,
    ) -> Result<()> {
        let mut before: Option<Segment<D::File>> = None;
        loop {
            let loaded = match follows {
                Some(seal) => self.tree.load(node, generation, seal),
                None => Err(segment::damaged(&node.segment(generation), "the seal that it follows is not known")),
            };
            let whole = matches!(loaded, Ok(Some(_)));
            if matches!(loaded, Ok(None)) {
                if self.is_on_its_way(node, generation)? {
                    // The segment that it follows has everything.
                    return match before.as_mut().or(parent) {
                        Some(older) => self.take(older, None, node),
                        None if node == Node::ROOT && generation == 0 && !self.tree.begun => Ok(()),
                        None => {
                            self.note(&segment::damaged(&node.segment(generation), "it has no base"));
                            (self.miss)(node.first()..=node.last());
                            Ok(())
                        }
                    };
                }
                self.note(&segment::damaged(&node.segment(generation), "it has no valid beginning"));
            }
            let found = if follows.is_some() { self.noted(loaded)?.flatten() } else { None };
            let mut found = match found {
                Some(found) => found,
                None => {
                    let name = node.segment(generation);
                    let file = self.tree.directory.open(&name, Open::Read);
                    let Some(file) = self.noted(file.map_err(|error| crate::error::failed(&name, error)))? else {
                        (self.miss)(node.first()..=node.last());
                        return Ok(());
                    };
                    let about = (self.tree.shared.clone(), self.tree.config);
                    let place = (node, generation, follows.unwrap_or(0));
                    Segment::new(file, &self.tree.keys, place, false, about)
                }
            };
            if !whole {
                let older = before.as_mut().or(parent);
                return self.salvage(&found, follows, node, older);
            }
            match found.sealed() {
                Some(seal) if seal.plan == Plan::Split => {
                    return node.children().try_for_each(|child| self.visit(child, Some(seal.id), Some(&mut found)));
                }
                Some(seal) if self.files.contains(&node.segment(generation.saturating_add(1))) => {
                    (generation, follows) = (generation.saturating_add(1), Some(seal.id));
                    before = Some(found);
                }
                _ => return self.take(&mut found, follows, node),
            }
        }
    }

    /// Whether a segment without a base is just being made, or its maker was killed.
    fn is_on_its_way(&mut self, node: Node, generation: u64) -> Result<bool> {
        let name = node.segment(generation);
        let file = self.tree.directory.open(&name, Open::Read);
        let Some(file) = self.noted(file.map_err(|error| crate::error::failed(&name, error)))? else {
            return Ok(false);
        };
        let about = (self.tree.shared.clone(), self.tree.config);
        let mut segment = Segment::new(file, &self.tree.keys, (node, generation, 0), false, about);
        match v2::is_on_its_way(&segment, &self.tree.keys)? {
            Some(on_its_way) => Ok(on_its_way),
            None => Ok(self.noted(segment.is_more_than_begun())? == Some(false)),
        }
    }

    /// Takes the part of a segment that a node covers: as the store itself reads it or, failing that, what can be read.
    fn take(&mut self, segment: &mut Segment<D::File>, follows: Option<u64>, node: Node) -> Result<()> {
        let (mut pairs, mut sweep) = (Vec::new(), Sweep::whole(&self.tree.config));
        for slice in segment.slice_of(node.first())..=segment.slice_of(node.last()) {
            match segment.slice(&self.tree.keys, slice, &mut sweep) {
                Ok(slice) => pairs.extend(slice.items.into_iter().filter(|item| node.covers(item.place))),
                Err(error) if error.kind() == Kind::Damaged && segment.old.is_none() => {
                    self.note(&error);
                    let follows = follows.or(Some(segment.follows));
                    return self.salvage(segment, follows, node, None);
                }
                Err(error) => return Err(error),
            }
        }
        let pairs = pairs.into_iter().map(|item| (item, !self.doubt)).collect();
        let read = Read { segment, pairs, unknown: Vec::new(), lost: Vec::new(), nameless: 0 };
        (self.take)(&self.tree, read)
    }

    /// Takes what can be read of a damaged segment. `older` is the one that it follows, if that still exists.
    fn salvage(
        &mut self,
        segment: &Segment<D::File>,
        follows: Option<u64>,
        node: Node,
        older: Option<&mut Segment<D::File>>,
    ) -> Result<()> {
        let Some(replayed) = self.noted(replay(segment, &self.tree.keys, follows))? else {
            (self.miss)(node.first()..=node.last());
            return Ok(());
        };
        self.damage.extend(replayed.damage.iter().cloned());
        if !replayed.begun {
            // The records after the seal are lost; those before it are not.
            if let Some(older) = older {
                self.doubt = true;
                let taken = self.take(older, None, node);
                self.doubt = false;
                return taken;
            }
            (self.miss)(node.first()..=node.last());
            return Ok(());
        }
        (self.take)(&self.tree, read(segment, replayed, node))
    }
}

fn read<D: Directory<File = F>, F: File>(segment: &Segment<F>, replayed: Replayed, node: Node) -> Read<'_, D> {
    let Replayed { state, lost, nameless, .. } = replayed;
    let mut read = Read { segment, pairs: Vec::new(), unknown: Vec::new(), lost, nameless };
    for ((place, ..), entry) in state.entries.iter().filter(|((place, ..), _)| node.covers(*place)) {
        match entry.item(*place) {
            Some(item) => read.pairs.push((item, state.is_sure(entry))),
            None if matches!(entry.held, Held::Unknown) => read.unknown.push((*place, entry.key.clone())),
            None => {}
        }
    }
    read.lost.retain(|lost| *lost.end() >= node.first() && *lost.start() <= node.last());
    read
}
