//! What the buckets of an instance share: a budget of memory, and of open files.

use crate::cache::Pages;
use crate::config::Config;
use crate::tree::Tree;
use kvfuse_transport::files::Directory;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashSet;
use std::rc::{Rc, Weak};

/// Segments kept open. A host gives a process some hundreds of descriptors for all its instances.
const MAX_OPEN: usize = 256;

/// State shared by the trees of one instance.
pub struct Shared {
    /// Counts their operations, so that the least recently used segments are known.
    pub turn: Cell<u64>,
    /// How many segments may be open: fewer once the host had run out of descriptors.
    pub most_open: Cell<usize>,
    /// The files whose sync failed: data that was not synced before may never be, even if a later sync succeeds.
    pub failed: RefCell<HashSet<u64>>,
    /// Pages of their segments.
    pub pages: RefCell<Pages>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            turn: Cell::new(0),
            most_open: Cell::new(MAX_OPEN),
            failed: RefCell::default(),
            pages: RefCell::default(),
        }
    }
}

/// A bucket's tree; `None` until its directory and anchor have been found or created.
pub type Slot<D> = Rc<Content<D>>;
type Content<D> = RefCell<Option<Tree<D>>>;

/// The trees of one instance.
pub struct Room<D: Directory> {
    config: Config,
    pub shared: Rc<Shared>,
    slots: RefCell<Vec<Weak<Content<D>>>>,
}

impl<D: Directory> Room<D> {
    pub fn new(config: Config) -> Self {
        let shared = Rc::<Shared>::default();
        shared.pages.borrow_mut().limit(config.memory);
        Self { config, shared, slots: RefCell::default() }
    }

    /// A place for one more tree.
    pub fn slot(&self) -> Slot<D> {
        let slot = Slot::default();
        let mut slots = self.slots.borrow_mut();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Rc::downgrade(&slot));
        slot
    }

    /// Begins an operation of a tree: closes the least recently used segments, across all buckets, until the others
    /// fit. The tree itself keeps its last one.
    pub fn enter(&self, tree: &mut Tree<D>) {
        if tree.may_have_grown() {
            self.fit(tree);
        }
        tree.next_turn();
    }

    fn fit(&self, tree: &mut Tree<D>) {
        let slots: Vec<_> = self.slots.borrow().iter().filter_map(Weak::upgrade).collect();
        // The one that is borrowed is the tree itself.
        let mut others: Vec<RefMut<'_, _>> = slots.iter().filter_map(|slot| slot.try_borrow_mut().ok()).collect();
        let mut others: Vec<&mut Tree<D>> = others.iter_mut().filter_map(|slot| slot.as_mut()).collect();
        let sum = |of: fn(&Tree<D>) -> usize| others.iter().map(|other| of(other)).sum::<usize>();
        let (mut memory, mut open) = (sum(Tree::memory), sum(|tree| tree.segments.len()));
        // Pages can be read again sooner than segments.
        let most = self.config.memory / 8 * 7;
        while memory + tree.memory() > most || open + tree.segments.len() > self.shared.most_open.get() {
            let own = tree.oldest().filter(|_| tree.segments.len() > 1);
            let theirs = others.iter_mut().filter_map(|other| Some((other.oldest()?, other)));
            match theirs.min_by_key(|(oldest, _)| *oldest) {
                Some((oldest, other)) if own.is_none_or(|own| oldest < own) => {
                    let before = other.memory();
                    other.forget(oldest.1);
                    memory = memory.saturating_sub(before - other.memory());
                    open = open.saturating_sub(1);
                }
                _ => match own {
                    Some((_, node)) => tree.forget(node),
                    None => break,
                },
            }
        }
        self.shared.pages.borrow_mut().limit(self.config.memory.saturating_sub(memory + tree.memory()));
    }
}
