//! `wasi:random`.

use wasip2::random::random::get_random_u64;

/// Unpredictable bytes.
pub fn bytes() -> [u8; 16] {
    let halves = u128::from(get_random_u64()) << 64 | u128::from(get_random_u64());
    halves.to_le_bytes()
}

/// Fills a buffer with unpredictable bytes. They come as numbers and not as lists: a list could be too short, and would
/// leave a copy of a key in memory.
pub fn fill(buffer: &mut [u8]) {
    for piece in buffer.chunks_mut(8) {
        piece.iter_mut().zip(get_random_u64().to_le_bytes()).for_each(|(to, from)| *to = from);
    }
}
