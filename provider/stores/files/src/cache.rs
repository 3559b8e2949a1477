//! Pages that were read and checked, of all segments of an instance. What was not used for a while goes first.

use crate::hash::NodeHasher;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

/// Bytes of memory that a page takes besides its own.
const OVERHEAD: usize = 64;

/// Which page: the run's number, which nobody else has, and the page's in it.
type Name = (u64, u32);

#[derive(Default)]
pub struct Pages {
    slots: Vec<Slot>,
    places: HashMap<Name, u32, BuildHasherDefault<NodeHasher>>,
    /// Where the next look for an unused page begins.
    hand: usize,
    bytes: usize,
    /// Bytes that all pages may take.
    most: usize,
}

struct Slot {
    name: Name,
    page: Rc<[u8]>,
    /// Whether it was used since the hand passed.
    used: bool,
}

impl Pages {
    /// Bytes of memory, about.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.bytes
    }

    pub fn get(&mut self, run: u64, page: u32) -> Option<Rc<[u8]>> {
        let place = *self.places.get(&(run, page))?;
        let slot = self.slots.get_mut(place as usize)?;
        slot.used = true;
        Some(slot.page.clone())
    }

    pub fn put(&mut self, run: u64, page: u32, bytes: Rc<[u8]>) {
        let size = bytes.len() + OVERHEAD;
        if size > self.most || self.places.contains_key(&(run, page)) {
            return;
        }
        self.shrink(self.most - size);
        self.bytes += size;
        self.places.insert((run, page), self.slots.len() as u32);
        self.slots.push(Slot { name: (run, page), page: bytes, used: false });
    }

    /// Sets how much all pages may take, and drops what is above it.
    pub fn limit(&mut self, most: usize) {
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

    fn page(n: u8) -> Rc<[u8]> {
        vec![n; 100].into()
    }

    #[test]
    fn the_pages_used_last_stay_and_the_limit_is_kept() {
        let mut pages = Pages::default();
        pages.limit(10 * (100 + OVERHEAD));
        for n in 0..200u8 {
            pages.put(1, u32::from(n), page(n));
            assert!(pages.get(1, 0).is_some(), "page 0 is used all the time and went at {n}");
            assert!(pages.memory() <= 10 * (100 + OVERHEAD));
        }
        let there: Vec<_> = (0..200u8).filter(|n| pages.get(1, u32::from(*n)).is_some()).collect();
        assert_eq!(there.len(), 10);
        assert!(there.iter().all(|n| pages.get(1, u32::from(*n)).is_some_and(|found| found == page(*n))));
        assert_eq!(pages.get(2, 0), None, "the page of another run");
        pages.limit(0);
        assert_eq!((pages.memory(), pages.get(1, 0)), (0, None));
    }
}
