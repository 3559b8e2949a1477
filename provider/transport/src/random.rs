//! `wasi:random`.

use wasip2::random::random::get_random_u64;

/// Unpredictable bytes.
pub fn bytes() -> [u8; 16] {
    let halves = u128::from(get_random_u64()) << 64 | u128::from(get_random_u64());
    halves.to_le_bytes()
}
