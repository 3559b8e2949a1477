//! Directors that let everything pass: one counts, and one does something in between.

use crate::director::{Call, Director, Verdict};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Counts calls; its random numbers are a sequence set by a seed.
#[derive(Default)]
pub struct Plain {
    seed: Cell<u64>,
    pub calls: RefCell<Vec<(Call, String)>>,
}

impl Plain {
    pub fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self { seed: Cell::new(seed), calls: RefCell::default() })
    }
}

impl Director for Plain {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        self.calls.borrow_mut().push((call, path.to_string()));
        Verdict::Go
    }

    fn random(&self) -> u64 {
        self.seed.set(self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        mix(self.seed.get())
    }
}

/// Does something before one of an instance's calls, as others do while it sleeps.
pub struct Before {
    /// Calls until then; 0 if it is over, or is not to happen.
    pub left: Cell<usize>,
    /// The call that is counted first is the first one for a path that ends so.
    from: &'static str,
    counts: Cell<bool>,
    act: Box<dyn Fn()>,
    plain: Rc<Plain>,
}

impl Before {
    pub fn new(left: usize, from: &'static str, act: impl Fn() + 'static) -> Rc<Self> {
        let (left, counts, act) = (Cell::new(left), Cell::new(false), Box::new(act));
        Rc::new(Self { left, from, counts, act, plain: Plain::new(2) })
    }
}

impl Director for Before {
    fn judge(&self, _: Call, path: &str) -> Verdict {
        self.counts.set(self.counts.get() || path.ends_with(self.from));
        if let Some(left) = self.left.get().checked_sub(1).filter(|_| self.counts.get()) {
            self.left.set(left);
            if left == 0 {
                (self.act)();
            }
        }
        Verdict::Go
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// SplitMix64's output function.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
