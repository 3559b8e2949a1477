//! `wasi:random`.

use wasip2::random::random::{get_random_bytes, get_random_u64};

/// Unpredictable bytes.
pub fn bytes() -> [u8; 16] {
    let halves = u128::from(get_random_u64()) << 64 | u128::from(get_random_u64());
    halves.to_le_bytes()
}

/// Fills a buffer with bytes that nobody can predict.
pub fn fill(buffer: &mut [u8]) {
    // The interface returns as many as were asked for; no byte may keep what it was if a host returns fewer.
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let bytes = get_random_bytes(rest.len() as u64);
        rest.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        filled += bytes.len();
    }
}
