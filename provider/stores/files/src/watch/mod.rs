//! Watching a bucket: its segments are the log of its changes, so they are read.
//!
//! For each part of the key space, a [`Mark`] says up to which version its changes were taken. Each time, the live
//! segment of every part is checked. If it has something new:
//!
//! - If the mark is in this generation, its records are [heard](heard) one by one.
//! - If the generation of the mark is gone (compacted, or split), and this watch still has its file open, the rest of
//!   it is heard first. A sealed file loses only its name. So a watch that keeps up hears everything.
//! - Otherwise the state is compared: every pair with a version that was not taken is a change. Versions continue from
//!   one generation to the next, so no set is missed, but only the last of several sets of a key is there. Deletions
//!   are missing, and that is reported.
//! - If the history does not agree with the mark, a power cut took a part of what was delivered. Then everything is
//!   delivered again, and that is reported.

mod deliver;
mod ends;
mod heard;
mod leaf;
mod position;

use deliver::Out;
use ends::Ends;
pub use heard::Heard;
use leaf::{Leaf, beginning, leaf, new, now};
use position::{Mark, Marks, NEW, decode, encode, foreign};

use crate::bucket::FileBucket;
use crate::config::Durability;
use crate::item::{Found, Item, Stored};
use crate::name::Node;
use crate::segment::Segment;
use crate::sweep::Sweep;
use crate::tree::Tree;
use kvfuse_core::watch::{From, MOST_CHANGES};
use kvfuse_core::{Changes, Result, Watch};
use kvfuse_transport::files::Directory;
use std::time::Duration;

/// Segments that are kept open to hear the rest of them when they are compacted.
const KEPT: usize = 64;

const COMPACTED: &str = "the files that had some of the changes were compacted meanwhile: deletions may be missing, and of \
                         several changes of a key only the last one follows";
const TAKEN_BACK: &str = "some of what was delivered is no longer in the store, as after a power cut: everything that is \
                          there follows";
const NAMELESS: &str = "a key of more than 4096 bytes was deleted, and its name is gone";

pub struct FileWatch<D: Directory> {
    bucket: FileBucket<D>,
    state: State<D>,
}

struct State<D: Directory> {
    prefix: String,
    /// Empty until the bucket is first written to.
    marks: Marks,
    /// Where the next check begins.
    at: u64,
    /// Segments that are listened to, the most recently used at the end.
    followed: Vec<Segment<D::File>>,
    /// How many more may be opened before there is anything to hear. Those that were closed for lack of memory are not
    /// opened again and again.
    ahead: usize,
    comparing: Option<Comparing<D>>,
    /// Keys with lifetimes.
    ends: Ends,
    /// Where it begins, until what has a lifetime there was looked for; `None` in it for a watch from now on.
    begins: Option<Option<Marks>>,
    missed: Option<String>,
}

/// A part whose state is being compared.
struct Comparing<D: Directory> {
    segment: Segment<D::File>,
    /// Its first version that may not have been taken.
    from: u64,
    slice: u32,
    /// Pairs of the slice that were not delivered yet, the last ones first.
    rest: Vec<Item>,
    sweep: Sweep,
}

impl<D: Directory> FileWatch<D> {
    pub fn new(bucket: FileBucket<D>, prefix: &str, from: From<'_>) -> Result<Self> {
        let started = bucket.reading(|tree| match from {
            From::Now => now(tree),
            From::Beginning => Ok(beginning()),
            From::Position(NEW) => Ok(new()),
            From::Position(text) => decode(&tree.keys, text),
        })?;
        let marks = match (started, from) {
            (Some(marks), _) => marks,
            (None, From::Now | From::Beginning | From::Position(NEW)) => new(),
            (None, From::Position(_)) => return Err(foreign()),
        };
        let begins = match from {
            From::Now => Some(None),
            From::Beginning => None,
            From::Position(_) => Some(Some(marks.clone())),
        };
        let state = State {
            prefix: prefix.to_string(),
            marks,
            at: 0,
            followed: Vec::new(),
            ahead: KEPT,
            comparing: None,
            ends: Ends::default(),
            begins,
            missed: None,
        };
        Ok(Self { bucket, state })
    }
}

impl<D: Directory> Watch for FileWatch<D> {
    fn next(&mut self, _: Duration) -> Result<Changes> {
        let Self { bucket, state } = self;
        let changes = bucket.reading(|tree| state.next(tree))?;
        Ok(changes.unwrap_or_else(|| Changes { position: Some(NEW.to_string()), ..Changes::default() }))
    }
}

impl<D: Directory> State<D> {
    fn next(&mut self, tree: &mut Tree<D>) -> Result<Changes> {
        if let Some(begins) = self.begins.clone() {
            self.look_for_ends(tree, begins.as_ref())?;
            self.begins = None;
        }
        let mut out = Out { prefix: &self.prefix.clone(), changes: Vec::new(), size: 0, ends: Vec::new() };
        let mut looked = 0u64;
        while !out.is_full() && looked <= Node::ROOT.last() {
            tree.evict();
            let last = match self.part(tree, &mut out) {
                Ok(Some(last)) => last,
                Ok(None) if out.is_full() => break,
                Ok(None) => return Ok(Changes { position: Some(NEW.to_string()), ..Changes::default() }),
                Err(error) if out.changes.is_empty() => return Err(error),
                // The changes taken so far are delivered; the error will occur again.
                Err(_) => break,
            };
            looked = looked.saturating_add(last - self.at + 1);
            self.at = if last >= Node::ROOT.last() { 0 } else { last + 1 };
        }
        for (end, key) in std::mem::take(&mut out.ends) {
            self.ends_at(end, key);
        }
        match self.ended(tree, MOST_CHANGES.saturating_sub(out.changes.len())) {
            Ok(ended) => out.changes.extend(ended),
            Err(error) if out.changes.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(Changes {
            changes: out.changes,
            position: Some(encode(&tree.keys, &self.marks)),
            missed: self.missed.take(),
        })
    }

    /// Takes the new changes in the part at `at`. Returns its last place; `None` if there is more than fits, or nothing
    /// at all in the bucket.
    fn part(&mut self, tree: &mut Tree<D>, out: &mut Out<'_>) -> Result<Option<u64>> {
        let at = self.at;
        // Each iteration replaces the mark by one that is further on.
        loop {
            if self.comparing.is_some() {
                if !self.compare(tree, out)? {
                    return Ok(None);
                }
                continue;
            }
            let Some(leaf) = leaf(tree, at)? else { return Ok(None) };
            let Some(mark) = self.marks.range(..=at).next_back().map(|(_, mark)| *mark) else { return Err(foreign()) };
            if mark.node.depth() > leaf.node.depth() {
                let waits = leaf.splits && mark.node.parent() == Some(leaf.node);
                if waits && mark.generation == 0 && mark.version <= leaf.next {
                    // The child that it refers to does not exist yet.
                    return Ok(Some(mark.node.last()));
                }
                self.begin_again(leaf.node);
                continue;
            }
            let gone = mark.node != leaf.node || mark.generation < leaf.generation;
            if gone && mark.version > 0 && self.follows(&mark) {
                let Some(mark) = self.hear_rest(tree, mark, out)? else { return Ok(None) };
                self.advance(&mark, &leaf, at);
                continue;
            }
            if mark.node != leaf.node {
                self.advance(&mark, &leaf, at);
                continue;
            }
            if mark.version == 0 || mark.version < leaf.first {
                if mark.version > 0 {
                    self.missed.get_or_insert_with(|| COMPACTED.to_string());
                }
                let segment = self.open(tree, &leaf, u64::MAX)?;
                let sweep = Sweep::whole(&tree.config);
                let (from, rest) = (mark.version, Vec::new());
                self.comparing = Some(Comparing { segment, from, slice: 0, rest, sweep });
                continue;
            }
            let taken_back = mark.version > leaf.next || mark.generation > leaf.generation;
            if taken_back || mark.generation < leaf.generation && mark.version > leaf.first {
                self.begin_again(leaf.node);
                continue;
            }
            let mark = Mark { generation: leaf.generation, ..mark };
            self.marks.insert(mark.node.first(), mark);
            let idle = mark.version == leaf.next;
            // If the node is being split, the other children may exist already.
            let last = if leaf.splits { leaf.node.child(at).last() } else { leaf.node.last() };
            if idle {
                if self.follows(&mark) || self.ahead == 0 {
                    return Ok(Some(last));
                }
                self.ahead -= 1;
            }
            if !self.follow(tree, &mark, &leaf)? {
                self.begin_again(leaf.node);
                continue;
            }
            if self.hear(tree, mark, leaf.next, out)?.is_none() {
                return Ok(None);
            }
            return Ok(Some(last));
        }
    }

    /// Forgets what was taken from a part.
    fn begin_again(&mut self, node: Node) {
        self.missed.get_or_insert_with(|| TAKEN_BACK.to_string());
        self.marks.retain(|first, _| !node.covers(*first));
        self.marks.insert(node.first(), Mark::nothing(node));
        self.followed.retain(|segment| !node.covers(segment.node.first()));
    }

    /// Goes on from a generation that was taken completely to its successor.
    fn advance(&mut self, mark: &Mark, leaf: &Leaf, at: u64) {
        let before = self.followed.len();
        self.followed.retain(|segment| segment.node != mark.node);
        let parts = if mark.node == leaf.node { 1 } else { mark.node.children().count() };
        self.ahead = (self.ahead + parts * (before - self.followed.len())).min(KEPT);
        if mark.node == leaf.node {
            let generation = if mark.version == leaf.first { leaf.generation } else { mark.generation };
            self.marks.insert(mark.node.first(), Mark { generation, id: 0, ..*mark });
            return;
        }
        let mut node = mark.node;
        while node != leaf.node {
            for child in node.children() {
                self.marks.insert(child.first(), Mark { node: child, generation: 0, version: mark.version, id: 0 });
            }
            node = node.child(at);
        }
    }

    fn follows(&self, mark: &Mark) -> bool {
        self.followed.iter().any(|segment| segment.node == mark.node && segment.generation == mark.generation)
    }

    /// Opens the live segment of a part, to hear its changes from a version on.
    fn open(&mut self, tree: &mut Tree<D>, leaf: &Leaf, from: u64) -> Result<Segment<D::File>> {
        let load = |tree: &mut Tree<D>| tree.load(leaf.node, leaf.generation, leaf.follows);
        let loaded = match load(tree) {
            // Perhaps for lack of descriptors.
            Err(_) if !self.followed.is_empty() => {
                self.followed.clear();
                load(tree)
            }
            other => other,
        };
        // It may just have been compacted.
        let mut segment = loaded?.ok_or_else(crate::tree::unstable)?;
        segment.listen(&tree.keys, from)?;
        if tree.config.durability == Durability::Full && segment.writable {
            segment.sync()?;
        }
        Ok(segment)
    }

    /// Listens to the live segment of a part. False if the mark does not belong to its history.
    fn follow(&mut self, tree: &mut Tree<D>, mark: &Mark, leaf: &Leaf) -> Result<bool> {
        let place = self.followed.iter().position(|segment| segment.node == mark.node);
        let segment = match place.map(|place| self.followed.remove(place)) {
            Some(mut segment) if segment.generation == mark.generation => {
                segment.hear_on(&tree.keys)?;
                segment
            }
            _ => {
                let segment = self.open(tree, leaf, mark.version)?;
                let before = segment.heard.as_ref().and_then(|heard| heard.before);
                if mark.id != 0 && before.is_some_and(|before| before != mark.id) {
                    return Ok(false);
                }
                segment
            }
        };
        self.followed.push(segment);
        // The least recently used are closed; their generation can be heard again while it is the live one.
        let most = tree.config.memory / 2;
        while self.followed.len() > 1
            && (self.followed.len() > KEPT || self.followed.iter().map(Segment::memory).sum::<usize>() > most)
        {
            self.followed.remove(0);
        }
        Ok(true)
    }

    /// Takes the changes of a followed segment up to a version. Returns the mark after them; `None` if there is no more
    /// room.
    fn hear(&mut self, tree: &mut Tree<D>, mut mark: Mark, limit: u64, out: &mut Out<'_>) -> Result<Option<Mark>> {
        loop {
            let followed = self.followed.iter_mut();
            let Some(segment) = followed.rev().find(|segment| segment.node == mark.node) else { return Ok(Some(mark)) };
            let next = segment.next_version();
            let last = segment.heard.as_ref().map_or(0, |heard| heard.last);
            let one = segment.heard.as_mut().and_then(|heard| heard.queue.front()).filter(|one| one.version < limit);
            let Some(one) = one else {
                // Operations that changed nothing have versions as well.
                if mark.version < next.min(limit) {
                    mark = Mark { version: next.min(limit), id: if next <= limit { last } else { 0 }, ..mark };
                }
                self.marks.insert(mark.node.first(), mark);
                return Ok(Some(mark));
            };
            if out.is_full() {
                return Ok(None);
            }
            let (version, id) = (one.version, one.id);
            let deleted = one.value.is_none() || tree.directory.is_over(one.end);
            let value = one.value.clone().unwrap_or(Stored::Bytes(Vec::new()));
            let found = Found { version, value, end: one.end };
            let item = Item { place: one.place, key: one.key.clone(), found };
            let segment = &*segment;
            let missed = out.add(tree, segment, item, deleted)?;
            if missed {
                self.missed.get_or_insert_with(|| NAMELESS.to_string());
            }
            mark = Mark { version: version.saturating_add(1), id, ..mark };
            self.marks.insert(mark.node.first(), mark);
            let heard = self.followed.iter_mut().rev().find(|segment| segment.node == mark.node);
            if let Some(heard) = heard.and_then(|segment| segment.heard.as_mut()) {
                heard.queue.pop_front();
            }
        }
    }

    /// Takes the rest of a generation that is gone.
    fn hear_rest(&mut self, tree: &mut Tree<D>, mark: Mark, out: &mut Out<'_>) -> Result<Option<Mark>> {
        if let Some(segment) = self.followed.iter_mut().find(|segment| segment.node == mark.node) {
            segment.hear_on(&tree.keys)?;
        }
        self.hear(tree, mark, u64::MAX, out)
    }

    /// Delivers pairs that are newer than the mark of their part. False if there is no more room.
    fn compare(&mut self, tree: &mut Tree<D>, out: &mut Out<'_>) -> Result<bool> {
        let Some(comparing) = &mut self.comparing else { return Ok(true) };
        loop {
            while let Some(item) = comparing.rest.last() {
                if out.is_full() {
                    return Ok(false);
                }
                let over = tree.directory.is_over(item.found.end);
                // What was never delivered need not be deleted.
                if !over || comparing.from > 0 {
                    out.add(tree, &comparing.segment, item.clone(), over)?;
                }
                comparing.rest.pop();
            }
            if comparing.slice >= comparing.segment.slices() {
                break;
            }
            let slice = comparing.segment.slice(&tree.keys, comparing.slice, &mut comparing.sweep)?;
            comparing.slice += 1;
            let from = comparing.from;
            comparing.rest = slice.items.into_iter().rev().filter(|item| item.found.version >= from).collect();
        }
        if let Some(Comparing { segment, .. }) = self.comparing.take() {
            let (node, generation, version) = (segment.node, segment.generation, segment.next_version());
            self.marks.retain(|first, _| !node.covers(*first));
            self.marks.insert(node.first(), Mark { node, generation, version, id: 0 });
        }
        Ok(true)
    }
}
