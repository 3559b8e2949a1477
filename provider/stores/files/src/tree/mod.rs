//! A bucket's tree of segments, as far as this instance knows it.
//!
//! A key's segment is found from the root: a node has split, or has a live generation. This knowledge can be out of
//! date. The segment itself shows that, because it is sealed then.

mod files;

use crate::anchor::Anchor;
use crate::config::{Config, Durability};
use crate::flaw::Flaw;
use crate::hash::{Keys, NodeHasher};
use crate::ids::Ids;
use crate::inside::Inside;
use crate::name::{MAX_DEPTH, Node};
use crate::nodelog::NodeState;
use crate::record::Plan;
use crate::room::Shared;
use crate::segment::{PROBE, Segment, damaged};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, FileError, Open};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

/// Steps after which an operation gives up: each means that other instances moved on at just that moment.
pub const TRIES: usize = 64;
/// The number of splits that are remembered. Others are looked up again.
const MAX_SPLITS: usize = 1 << 16;
/// Operations after which the memory budget is always checked.
const LOOK: u64 = 256;

pub struct Tree<D: Directory> {
    /// The store's directory, and the bucket's in it: its name, and the directory itself.
    pub root: Rc<D>,
    pub name: Rc<str>,
    pub directory: Inside<D>,
    pub keys: Keys,
    pub config: Config,
    pub ids: Rc<Ids>,
    /// Whether the anchor says that there is a first segment.
    pub begun: bool,
    /// Whether it says that there are lifetimes.
    pub lifetimes: bool,
    pub segments: HashMap<Node, Segment<D::File>, BuildHasherDefault<NodeHasher>>,
    /// Nodes that have split, and the seals that their children follow.
    splits: HashMap<Node, u64, BuildHasherDefault<NodeHasher>>,
    /// Whether segments were added since the budget was last checked.
    grown: bool,
    pub shared: Rc<Shared>,
    /// The number of this operation. Within one operation, a segment is checked for news only once.
    turn: u64,
    /// The operation in which the budget was last checked.
    fitted: u64,
    /// The bytes of memory that all tails took then, without those that were written to an index since.
    pub tails: usize,
}

/// What an operation needs of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its state, up to date.
    Read,
    /// To append to it: it has to be the live one as far as is known.
    Write,
}

/// How [`Tree::open`] found a node.
enum Opened {
    Ready,
    Split,
    /// There is no segment with a base, and the node's log has this state.
    Missing(NodeState),
}

impl<D: Directory> Tree<D> {
    pub fn new(root: Rc<D>, name: Rc<str>, anchor: Anchor, config: Config, ids: Rc<Ids>, shared: Rc<Shared>) -> Self {
        let splits = anchor.splits.into_iter().collect();
        Self {
            directory: Inside::new(root.clone(), name.clone()),
            root,
            name,
            keys: anchor.keys,
            config,
            ids,
            begun: anchor.begun,
            lifetimes: anchor.lifetimes,
            segments: HashMap::default(),
            splits,
            grown: false,
            shared,
            turn: 0,
            fitted: 0,
            tails: 0,
        }
    }

    /// Begins an operation: from here on, segments are checked for news again.
    pub fn next_turn(&mut self) {
        self.turn = self.shared.turn.get() + 1;
        self.shared.turn.set(self.turn);
    }

    /// The node whose segment has the hash, in `segments`. For [`Access::Read`] its state holds at a moment of this
    /// operation. `None` if the bucket was never written to.
    pub fn seek(&mut self, hash: u64, access: Access) -> Result<Option<Node>> {
        for _ in 0..TRIES {
            let Some(node) = self.find(hash, access)? else { return Ok(None) };
            if access == Access::Write || self.config.durability == Durability::Relaxed {
                return Ok(Some(node));
            }
            match self.persist(node) {
                // What was not synced is written again.
                Err(_) if self.segments.get(&node).is_some_and(|segment| segment.poisoned) => {
                    self.renew(node)?;
                    continue;
                }
                other => other?,
            }
            // Persisting opens files, for which segments may have been closed.
            if self.segments.contains_key(&node) {
                return Ok(Some(node));
            }
        }
        Err(unstable())
    }

    /// In full durability: waits until what was read of a node's segment survives a power cut, so that no answer is
    /// undone by a power cut.
    pub fn persist(&mut self, node: Node) -> Result<()> {
        if self.config.durability == Durability::Relaxed {
            return Ok(());
        }
        let Some(segment) = self.segments.get_mut(&node).filter(|segment| segment.writable) else { return Ok(()) };
        if segment.synced < segment.position {
            segment.sync()?;
            segment.synced = segment.position;
        }
        if segment.named {
            return Ok(());
        }
        self.sync_directory()?;
        // The logs that lead there: an instance in relaxed durability may have written them.
        for node in [Some(node), node.parent()].into_iter().flatten() {
            if !self.config.has(Flaw::WayNotSynced) {
                self.opening(|tree| tree.sync_log(node))?;
            }
        }
        if let Some(segment) = self.segments.get_mut(&node) {
            segment.named = true;
        }
        Ok(())
    }

    fn find(&mut self, hash: u64, access: Access) -> Result<Option<Node>> {
        let mut node = Node::ROOT;
        // The last node passed that is sealed for a split that is not known to be complete.
        let mut parent = None;
        let mut doubted = false;
        let mut tries = 0;
        loop {
            tries += 1;
            if tries > TRIES + usize::from(MAX_DEPTH) {
                return Err(unstable());
            }
            let turn = self.turn;
            // A node that has split has no segment here. So the steady state takes one lookup in one map.
            let sealed = if let Some(segment) = self.segments.get_mut(&node) {
                if segment.is_waiting() {
                    // Opening it again failed halfway.
                    self.forget(node);
                    continue;
                }
                if access == Access::Read && segment.looked != turn {
                    segment.catch_up(&self.keys, PROBE)?;
                    segment.looked = turn;
                }
                segment.used = turn;
                segment.sealed()
            } else if self.splits.contains_key(&node) {
                (node, parent) = (child(node, hash)?, None);
                continue;
            } else {
                match self.open(node, parent)? {
                    Opened::Ready | Opened::Split => continue,
                    Opened::Missing(state) if state != NodeState::default() => return Err(missing(node, state)),
                    Opened::Missing(state) => match parent {
                        Some(parent) => return Ok(Some(parent)),
                        None if node != Node::ROOT => return Err(missing(node, state)),
                        // Otherwise the bucket would look empty, and be created again.
                        None if self.begun || self.has_records()? => {
                            if doubted {
                                return Err(missing(node, state));
                            }
                            // It may have been written just now.
                            doubted = true;
                            continue;
                        }
                        None if access == Access::Read => return Ok(None),
                        None => {
                            self.begin()?;
                            continue;
                        }
                    },
                }
            };
            match sealed.map(|seal| seal.plan) {
                None => return Ok(Some(node)),
                Some(_) if access == Access::Write => {
                    self.go_on(node)?;
                    parent = None;
                }
                Some(plan) => {
                    // A successor lasts no longer than the seal does, unless the node's log names it.
                    if !self.config.has(Flaw::WayNotSynced) {
                        match self.persist(node) {
                            // What was not synced is written again.
                            Err(_) if self.segments.get(&node).is_some_and(|segment| segment.poisoned) => {
                                self.succeed(node)?;
                                parent = None;
                                continue;
                            }
                            other => other?,
                        }
                    }
                    match plan {
                        Plan::Split => (parent, node) = (Some(node), child(node, hash)?),
                        Plan::Compact if self.follow(node)? => {}
                        Plan::Compact => return Ok(Some(node)),
                    }
                }
            }
        }
    }

    /// Opens a node's live segment. `parent` is a sealed one whose split is not known to be complete.
    fn open(&mut self, node: Node, parent: Option<Node>) -> Result<Opened> {
        let mut state = self.state_of(node)?;
        for _ in 0..TRIES {
            if state.split {
                self.mark_split(node, state.seal);
                return Ok(Opened::Split);
            }
            let follows = match (state.generation, parent) {
                (0, Some(parent)) => self.segments.get(&parent).and_then(Segment::sealed).map_or(0, |seal| seal.id),
                (0, None) => self.first_follows(node),
                _ => state.seal,
            };
            if let Some(segment) = self.load(node, state.generation, follows)? {
                self.insert(segment);
                return Ok(Opened::Ready);
            }
            // A segment is removed only after the log says what follows it. So if the log, read now, does not, the
            // segment was not there yet when it was looked for.
            if self.config.has(Flaw::AbsenceBelieved) {
                return Ok(Opened::Missing(NodeState::default()));
            }
            let now = self.state_of(node)?;
            if now == state {
                return Ok(Opened::Missing(state));
            }
            state = now;
        }
        Err(unstable())
    }

    /// The seal that the first generation of a node follows: that of its parent, which has split.
    pub fn first_follows(&self, node: Node) -> u64 {
        node.parent().and_then(|parent| self.splits.get(&parent)).copied().unwrap_or(0)
    }

    /// Opens a segment and reads it; `None` if it does not exist or has no base that follows the seal.
    pub fn load(&mut self, node: Node, generation: u64, follows: u64) -> Result<Option<Segment<D::File>>> {
        let name = node.segment(generation);
        let mut opened = self.open_file(&name, Open::Write).map(|file| (file, true));
        if let Err(FileError::ReadOnly | FileError::Access) = opened {
            opened = self.open_file(&name, Open::Read).map(|file| (file, false));
        }
        let (file, writable) = match opened {
            Ok(opened) => opened,
            Err(FileError::NotFound) => return Ok(None),
            Err(error) => return Err(crate::error::failed(&format!("the file {name}"), error)),
        };
        let about = (self.shared.clone(), self.config);
        let mut segment = Segment::new(file, &self.keys, (node, generation, follows), writable, about);
        segment.open(&self.keys)?;
        // The instance that sealed it may be dead.
        segment.owes = segment.sealed().is_some();
        segment.looked = self.turn;
        Ok((!segment.is_waiting()).then_some(segment))
    }

    /// Whether the file of the first segment, which has no base, nevertheless has records, or is damaged.
    pub fn has_records(&mut self) -> Result<bool> {
        let name = Node::ROOT.segment(0);
        let file = match self.open_file(&name, Open::Read) {
            Ok(file) => file,
            Err(FileError::NotFound) => return Ok(false),
            Err(error) => return Err(crate::error::failed(&format!("the file {name}"), error)),
        };
        let about = (self.shared.clone(), self.config);
        let mut segment = Segment::new(file, &self.keys, (Node::ROOT, 0, 0), false, about);
        segment.is_more_than_begun()
    }

    pub fn insert(&mut self, segment: Segment<D::File>) {
        self.grown = true;
        self.segments.insert(segment.node, segment);
    }

    pub fn forget(&mut self, node: Node) {
        self.segments.remove(&node);
    }

    /// `seal` is the one that its children follow.
    pub fn mark_split(&mut self, node: Node, seal: u64) {
        self.forget(node);
        if self.splits.len() >= MAX_SPLITS {
            self.splits.clear();
        }
        self.splits.insert(node, seal);
    }

    /// An estimate of the memory that the segments take, in bytes.
    pub fn memory(&self) -> usize {
        self.segments.values().map(Segment::memory).sum()
    }

    /// The least recently used segment.
    pub fn oldest(&self) -> Option<(u64, Node)> {
        self.segments.values().map(|segment| (segment.used, segment.node)).min()
    }

    /// Whether the budget has to be checked: segments were added, or may have grown, which they do slowly.
    pub fn may_have_grown(&mut self) -> bool {
        let due = self.grown || self.turn.saturating_sub(self.fitted) >= LOOK;
        if due {
            (self.grown, self.fitted) = (false, self.turn);
            self.tails = self.segments.values().map(|segment| segment.tail.memory()).sum();
        }
        due
    }

    /// The bytes of memory that one tail may take. All tails together must fit, or the segments with the others are
    /// closed and read again, which costs more than an index. So the tails above the average are written to an index
    /// as soon as there is no more room for all.
    pub fn share(&self) -> usize {
        if self.tails > self.config.memory / 8 * 5 { self.tails / self.segments.len().max(1) } else { usize::MAX }
    }

    /// Within one operation: keeps to the budget, as if the other trees were empty.
    pub fn evict(&mut self) {
        let most = self.shared.most_open.get();
        while self.grown
            && self.segments.len() > 1
            && (self.segments.len() > most || self.memory() > self.config.memory)
        {
            let Some((_, node)) = self.oldest() else { return };
            self.forget(node);
        }
    }
}

fn child(node: Node, hash: u64) -> Result<Node> {
    if node.depth() == MAX_DEPTH {
        return Err(damaged(&node.log(), "it records a split of a node that is too deep to split"));
    }
    Ok(node.child(hash))
}

fn missing(node: Node, state: NodeState) -> Error {
    damaged(&node.segment(state.generation), "it is missing or has no base")
}

pub fn unstable() -> Error {
    Error::new(Kind::Unavailable, "the bucket's files kept changing while they were being opened; try again")
}
