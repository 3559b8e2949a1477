//! What the timed consumers and the native baselines share: the workload.

pub mod requests;
pub mod session;

use std::time::Instant;

/// A small deterministic generator (xorshift64*), so that every store sees the same order of keys.
pub struct Order(u64);

impl Default for Order {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Order {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

pub fn key(n: usize) -> String {
    format!("user:{n:07}")
}

/// The next value to write. It differs from the last one, because SQLite does not write a page that would not change.
pub fn changed(value: &mut [u8]) -> &[u8] {
    for byte in value.iter_mut().take(8) {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    value
}

/// Runs `operation` `times` times and returns the median over slices of a hundred, in nanoseconds per operation. The
/// median hides short disturbances by other programs on the machine.
pub fn median(times: usize, mut operation: impl FnMut()) -> f64 {
    const SLICE: usize = 100;
    let slice = SLICE.min(times.max(1));
    let mut slices: Vec<f64> = (0..times.div_ceil(slice))
        .map(|_| {
            let start = Instant::now();
            (0..slice).for_each(|_| operation());
            start.elapsed().as_nanos() as f64 / slice as f64
        })
        .collect();
    slices.sort_by(f64::total_cmp);
    slices[slices.len() / 2]
}

/// Prints the [`median`]: how a guest reports its figure.
pub fn time(times: usize, operation: impl FnMut()) {
    println!("{:.1}", median(times, operation));
}

/// Writes to a stream in as few calls as the interface allows.
#[cfg(target_arch = "wasm32")]
pub fn send(stream: &wasip2::io::streams::OutputStream, mut bytes: &[u8]) {
    use wasip2::io::streams::StreamError;
    if bytes.len() <= 4096 {
        return stream.blocking_write_and_flush(bytes).unwrap();
    }
    while !bytes.is_empty() {
        let room = stream.check_write().unwrap() as usize;
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (piece, rest) = bytes.split_at(room.min(bytes.len()));
        stream.write(piece).unwrap();
        bytes = rest;
    }
    // The host closes a body once it has all its bytes.
    assert!(matches!(stream.flush(), Ok(()) | Err(StreamError::Closed)));
}
