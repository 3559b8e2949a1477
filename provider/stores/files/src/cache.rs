//! Pages that were read and checked, of all segments of an instance. Those not used for a while are dropped first.

use crate::hash::NodeHasher;
use crate::segment::CHUNK;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

/// Bytes of memory that a page takes besides its own.
const OVERHEAD: usize = 64;

/// The number of pages that an instance reads one by one before it reads ahead.
const FEW: usize = 64;

/// Identifies a page: the number of the run, which is unique, and that of the page in it.
type Name = (u64, u32);

/// The pages of all runs. Those of indices have precedence: there are few of them beside those of bases, and every
/// lookup in their segment needs one.
#[derive(Default)]
pub struct Pages {
    index: Ring,
    base: Ring,
    /// Bytes that all pages may take.
    most: usize,
    /// Pages of bases that were looked for and not here.
    missed: usize,
    /// Whether all room was taken, and there is little since.
    full: bool,
}

impl Pages {
    pub fn get(&mut self, of: RunKind, run: u64, page: u32) -> Option<Rc<Vec<u8>>> {
        self.ring(of).get((run, page))
    }

    pub fn put(&mut self, of: RunKind, run: u64, page: u32, bytes: Rc<Vec<u8>>) {
        self.ring(of).put((run, page), bytes);
        self.base.limit(self.most - self.index.bytes);
    }

    /// Sets how much all pages may take, and drops the excess.
    pub fn limit(&mut self, most: usize) {
        self.most = most;
        self.index.limit(most / 8 * 7);
        self.base.limit(most - self.index.bytes);
    }

    /// Whether a page of a base that is not cached is better read together with those after it: there is room for them,
    /// and more than a few pages are needed. Room that comes and goes with the tails is not worth it: once there was
    /// none, a quarter of all has to be free.
    pub fn is_filling(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        let (bytes, most) = (self.base.bytes, self.base.most);
        self.full = bytes + 2 * CHUNK > most || self.full && bytes > most / 4 * 3;
        self.missed > FEW && !self.full
    }

    fn ring(&mut self, of: RunKind) -> &mut Ring {
        match of {
            RunKind::Index => &mut self.index,
            RunKind::Base => &mut self.base,
        }
    }
}

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    Index,
    Base,
}

/// Pages of which one that was not used for a while goes first.
#[derive(Default)]
struct Ring {
    slots: Vec<Slot>,
    places: HashMap<Name, u32, BuildHasherDefault<NodeHasher>>,
    /// Where the next search for an unused page begins.
    hand: usize,
    bytes: usize,
    /// Bytes that all pages may take.
    most: usize,
}

struct Slot {
    name: Name,
    page: Rc<Vec<u8>>,
    /// Whether it was used since the hand passed.
    used: bool,
}

impl Ring {
    fn get(&mut self, name: Name) -> Option<Rc<Vec<u8>>> {
        let place = *self.places.get(&name)?;
        let slot = self.slots.get_mut(place as usize)?;
        slot.used = true;
        Some(slot.page.clone())
    }

    fn put(&mut self, name: Name, page: Rc<Vec<u8>>) {
        let size = page.len() + OVERHEAD;
        if size > self.most || self.places.contains_key(&name) {
            return;
        }
        self.shrink(self.most - size);
        self.bytes += size;
        self.places.insert(name, self.slots.len() as u32);
        self.slots.push(Slot { name, page, used: false });
    }

    fn limit(&mut self, most: usize) {
        self.most = most;
        self.shrink(most);
    }

    fn shrink(&mut self, most: usize) {
        while self.bytes > most && !self.slots.is_empty() {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some(slot) = self.slots.get_mut(self.hand) else { return };
            if std::mem::take(&mut slot.used) {
                self.hand += 1;
                continue;
            }
            let gone = self.slots.swap_remove(self.hand);
            self.places.remove(&gone.name);
            self.bytes = self.bytes.saturating_sub(gone.page.len() + OVERHEAD);
            if let Some(moved) = self.slots.get(self.hand) {
                self.places.insert(moved.name, self.hand as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n: u8) -> Rc<Vec<u8>> {
        Rc::new(vec![n; 100])
    }

    const SIZE: usize = 100 + OVERHEAD;

    #[test]
    fn the_pages_used_last_stay_and_the_limit_is_kept() {
        let mut pages = Ring::default();
        pages.limit(10 * SIZE);
        for n in 0..200u8 {
            pages.put((1, u32::from(n)), page(n));
            assert!(pages.get((1, 0)).is_some(), "page 0 is used all the time and went at {n}");
            assert!(pages.bytes <= 10 * SIZE);
        }
        let there: Vec<_> = (0..200u8).filter(|n| pages.get((1, u32::from(*n))).is_some()).collect();
        assert_eq!(there.len(), 10);
        assert!(there.iter().all(|n| pages.get((1, u32::from(*n))).is_some_and(|found| found == page(*n))));
        assert_eq!(pages.get((2, 0)), None, "the page of another run");
        pages.limit(0);
        assert_eq!((pages.bytes, pages.get((1, 0))), (0, None));
    }

    #[test]
    fn pages_of_bases_take_no_room_from_those_of_indices() {
        let mut pages = Pages::default();
        pages.limit(16 * SIZE);
        (0..200).for_each(|n| pages.put(RunKind::Base, 1, n, page(0)));
        assert!(pages.base.bytes > 15 * SIZE, "with no other pages they have all the room");
        (0..14).for_each(|n| pages.put(RunKind::Index, 2, n, page(1)));
        (0..200).for_each(|n| pages.put(RunKind::Base, 3, n, page(2)));
        assert!((0..14).all(|n| pages.get(RunKind::Index, 2, n).is_some()));
        (14..200).for_each(|n| pages.put(RunKind::Index, 2, n, page(1)));
        assert!(pages.base.bytes >= 2 * SIZE && pages.index.bytes + pages.base.bytes <= 16 * SIZE);
    }

    #[test]
    fn pages_are_read_ahead_until_there_is_no_room_and_then_only_when_much_is_free_again() {
        const BIG: usize = 32 << 10;
        let most = 16 * (BIG + OVERHEAD);
        let mut pages = Pages::default();
        pages.limit(most);
        assert_eq!((0..100).filter(|_| !pages.is_filling()).count(), FEW, "the first are read one by one");
        let put = |pages: &mut Pages, n| pages.put(RunKind::Base, 1, n, Rc::new(vec![0; BIG]));
        (0..13).for_each(|n| put(&mut pages, n));
        assert!(!pages.is_filling(), "what is read ahead must fit");
        pages.limit(most / 16 * 17);
        assert!(!pages.is_filling(), "a tail that went into an index leaves room for a moment");
        pages.limit(2 * most);
        assert!(pages.is_filling(), "more than a quarter is free");
        (13..16).for_each(|n| put(&mut pages, n));
        assert!(pages.is_filling(), "and there is still room");
    }
}
