//! What the middlewares share. Each imports and exports one interface of a generation, hands every call on, and counts
//! them; `kvfuse:counting/calls` tells how many there were. The bucket passes through: its interface is imported only, so
//! that the exported functions take the same buckets as the imported ones.

use std::cell::Cell;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

pub fn count() {
    CALLS.set(CALLS.get() + 1);
}

pub fn total() -> u64 {
    CALLS.get()
}
