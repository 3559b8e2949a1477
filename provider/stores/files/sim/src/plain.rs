//! A director that lets everything pass, and counts.

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

/// SplitMix64's output function.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
