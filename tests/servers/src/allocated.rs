//! What a test has allocated, for those that are about bounds.
//!
//! A test program counts once it has [`Counting`] as its global allocator:
//! `#[global_allocator] static COUNTING: Counting = Counting;`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting by thread.
pub struct Counting;

/// The bytes that the present thread has allocated and not freed.
pub struct Allocated;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

impl Allocated {
    /// At present.
    pub fn now() -> usize {
        NOW.get()
    }

    /// The most so far.
    pub fn peak() -> usize {
        PEAK.get()
    }

    /// From here on, the peak is that of what follows.
    pub fn forget_peak() {
        PEAK.set(NOW.get());
    }
}

fn count(more: usize, less: usize) {
    // What another thread allocated may be freed here.
    let now = NOW.get().saturating_add(more).saturating_sub(less);
    NOW.set(now);
    PEAK.set(PEAK.get().max(now));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches neither pointers nor layouts, and its
// thread-local cells need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    // While a buffer grows, both sizes count, as if the allocator could not extend it in place.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, 0);
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
