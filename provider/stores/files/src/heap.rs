//! The bytes of keys and small values in one buffer, and comparing them.

/// A place in a heap.
#[derive(Clone, Copy)]
pub struct Span {
    pub at: u32,
    pub length: u32,
}

#[derive(Default)]
pub struct Heap {
    bytes: Vec<u8>,
    /// How many of them are no longer in use.
    dead: usize,
}

impl Heap {
    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn get(&self, span: Span) -> &[u8] {
        let at = span.at as usize;
        self.bytes.get(at..at + span.length as usize).unwrap_or_default()
    }

    pub fn push(&mut self, bytes: &[u8]) -> Span {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Span { at, length: bytes.len() as u32 }
    }

    /// Replaces bytes by others of the same length. False if the lengths differ.
    pub fn replace(&mut self, span: Span, bytes: &[u8]) -> bool {
        let at = span.at as usize;
        match self.bytes.get_mut(at..at + span.length as usize) {
            Some(old) if old.len() == bytes.len() => {
                old.copy_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    pub fn free(&mut self, span: Span) {
        self.dead += span.length as usize;
    }

    /// Packs the heap when most of it is dead. `each` must call the function that it gets with every span in use.
    pub fn tidy(&mut self, each: impl FnOnce(&mut dyn FnMut(&mut Span))) {
        if self.dead < 32 << 10 || self.dead < self.bytes.len() / 2 {
            return;
        }
        let old = std::mem::take(self);
        self.bytes.reserve_exact(old.bytes.len().saturating_sub(old.dead));
        each(&mut |span| *span = self.push(old.get(*span)));
    }
}

/// Whether two slices are equal. In a guest, comparing slices goes byte by byte; this compares eight bytes at once.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    let (Some(a_last), Some(b_last)) = (a.last_chunk(), b.last_chunk()) else {
        return a.iter().eq(b);
    };
    // The last words overlap the others if the length is not a multiple of eight.
    let (a, b) = (a.as_chunks().0, b.as_chunks().0);
    word(a_last) == word(b_last) && a.iter().zip(b).all(|(a, b)| word(a) == word(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_exactly_if_length_and_every_byte_are() {
        for length in 0..40 {
            let a: Vec<u8> = (0..length).collect();
            assert!(same(&a, &a.clone()));
            assert!(!same(&a, &[&a[..], &[0]].concat()));
            for at in 0..a.len() {
                let mut b = a.clone();
                b[at] ^= 0x80;
                assert!(!same(&a, &b), "{length} {at}");
            }
        }
    }

    #[test]
    fn packing_keeps_what_is_in_use_and_drops_the_rest() {
        let mut heap = Heap::default();
        let mut spans: Vec<_> = (0..100u8).map(|n| heap.push(&[n; 1000])).collect();
        let dead = spans.split_off(30);
        dead.iter().for_each(|span| heap.free(*span));
        heap.tidy(|copy| spans.iter_mut().for_each(copy));
        assert!(heap.memory() < 31_000, "{}", heap.memory());
        assert!((0..30u8).all(|n| heap.get(spans[usize::from(n)]) == [n; 1000]));
    }
}
