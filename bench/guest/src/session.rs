//! The workload of the curve over sizes. A session works on one bucket and runs commands, so that a driver can interleave
//! rounds of several stores while each of them stays open. Every store runs this code.

use crate::{Order, changed, key};
use std::time::{Duration, Instant};

/// A store under test. A failure panics: there is nothing left to measure.
pub trait Engine {
    /// The length of the value, if there is one.
    fn get(&mut self, key: &str) -> Option<usize>;
    fn set(&mut self, key: &str, value: &[u8]);
    fn set_many(&mut self, pairs: &[(String, Vec<u8>)]);
    fn increment(&mut self, key: &str) -> i64;
    /// How many keys a full listing returns.
    fn list(&mut self) -> usize;
}

/// How large the values are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// Every value has this many bytes.
    Same(usize),
    /// 97 % of 10 to 500 bytes.
    Small,
    /// The same small values under the same keys, 2 % of 4 to 64 KiB and 1 % of 64 KiB to 1 MiB.
    Mixed,
}

impl Sizes {
    /// # Panics
    /// If the text is not a number, `small` or `mixed`.
    pub fn parse(text: &str) -> Self {
        match text {
            "small" => Self::Small,
            "mixed" => Self::Mixed,
            bytes => Self::Same(bytes.parse().expect("a number of bytes, small or mixed")),
        }
    }

    /// The size of a key's value; `None` if this bucket leaves the key out.
    fn of(self, n: usize) -> Option<usize> {
        let draw = scramble(n as u64, 32) as usize;
        match (self, draw % 100) {
            (Self::Same(size), _) => Some(size),
            (_, 3..) => Some(10 + draw / 100 % 491),
            (Self::Small, _) => None,
            (Self::Mixed, 0) => Some((64 << 10) + draw / 100 % (960 << 10)),
            (Self::Mixed, _) => Some((4 << 10) + draw / 100 % (60 << 10)),
        }
    }

    /// Whether operations use this key. They are measured on small values only.
    fn chosen(self, n: usize) -> bool {
        matches!(self, Self::Same(_)) || Self::Small.of(n).is_some()
    }
}

/// A store, the shape of its bucket, and the state of the sequence of random keys.
pub struct Session<E> {
    engine: E,
    keys: usize,
    sizes: Sizes,
    order: Order,
    value: Vec<u8>,
}

/// Keys of a batch.
const BATCH: usize = 100;

impl<E: Engine> Session<E> {
    pub fn new(engine: E, keys: usize, sizes: Sizes) -> Self {
        Self { engine, keys, sizes, order: Order::default(), value: vec![b'v'; 1 << 20] }
    }

    /// Runs the command `NAME TIMES LIMIT` and returns the mean nanoseconds per operation. `LIMIT` is in milliseconds, 0
    /// for none; a round that reaches it stops early.
    ///
    /// | name | operation |
    /// |---|---|
    /// | `fill-ordered`, `fill-random` | one set of each key; after the limit the rest is set in batches, untimed |
    /// | `counters` | one increment of each counter: a tenth as many as keys |
    /// | `get`, `set`, `increment` | of a random key or counter |
    /// | `set-many` | of 100 random keys |
    /// | `list` | all keys once; per key |
    ///
    /// # Panics
    /// On an unknown command, and if the store fails or has lost a key.
    pub fn run(&mut self, command: &str) -> f64 {
        let mut words = command.split_whitespace();
        let name = words.next().unwrap_or("");
        let mut number = || words.next().map_or(0, |text| text.parse().expect("a number"));
        let (times, limit) = (number(), Duration::from_millis(number() as u64));
        match name {
            "fill-ordered" => self.fill(limit, |n, _| n),
            "fill-random" => self.fill(limit, permuted),
            "counters" => {
                let mut n = 0;
                self.timed(self.counters(), limit, |this| {
                    assert!(this.engine.increment(&counter(n)) > 0);
                    n += 1;
                })
            }
            "get" => self.timed(times, limit, |this| {
                let n = this.random_key();
                assert_eq!(this.engine.get(&key(n)), this.sizes.of(n), "the value of {}", key(n));
            }),
            "set" => self.timed(times, limit, |this| {
                let n = this.random_key();
                this.set(n);
            }),
            "increment" => self.timed(times, limit, |this| {
                let n = this.order.below(this.counters());
                assert!(this.engine.increment(&counter(n)) > 0);
            }),
            "set-many" => self.timed(times, limit, |this| {
                let pairs: Vec<_> = (0..BATCH)
                    .filter_map(|_| {
                        let n = this.random_key();
                        this.pair(n)
                    })
                    .collect();
                this.engine.set_many(&pairs);
            }),
            "list" => {
                let start = Instant::now();
                let listed = self.engine.list();
                start.elapsed().as_nanos() as f64 / listed as f64
            }
            other => panic!("no command {other:?}"),
        }
    }

    /// Runs `operation` `times` times, or until the limit. Without a limit the clock is read exactly twice, so that a host
    /// can count the calls in between.
    fn timed(&mut self, times: usize, limit: Duration, mut operation: impl FnMut(&mut Self)) -> f64 {
        const SLICE: usize = 50;
        let start = Instant::now();
        let mut done = 0;
        while done < times {
            operation(self);
            done += 1;
            if !limit.is_zero() && done.is_multiple_of(SLICE) && start.elapsed() > limit {
                break;
            }
        }
        start.elapsed().as_nanos() as f64 / done as f64
    }

    fn fill(&mut self, limit: Duration, nth: fn(usize, usize) -> usize) -> f64 {
        let mut next = 0;
        let figure = self.timed(self.keys, limit, |this| {
            this.set(nth(next, this.keys));
            next += 1;
        });
        while next < self.keys {
            let batch = next..self.keys.min(next + BATCH);
            next = batch.end;
            let pairs: Vec<_> = batch.filter_map(|n| self.pair(nth(n, self.keys))).collect();
            self.engine.set_many(&pairs);
        }
        figure
    }

    fn counters(&self) -> usize {
        self.keys.div_ceil(10)
    }

    fn random_key(&mut self) -> usize {
        loop {
            let n = self.order.below(self.keys);
            if self.sizes.chosen(n) {
                return n;
            }
        }
    }

    fn set(&mut self, n: usize) {
        if let Some(size) = self.sizes.of(n) {
            changed(&mut self.value);
            self.engine.set(&key(n), &self.value[..size]);
        }
    }

    fn pair(&mut self, n: usize) -> Option<(String, Vec<u8>)> {
        let size = self.sizes.of(n)?;
        changed(&mut self.value);
        Some((key(n), self.value[..size].to_vec()))
    }
}

fn counter(n: usize) -> String {
    format!("count:{n:07}")
}

/// A bijection of the numbers below 2^bits.
fn scramble(mut n: u64, bits: u32) -> u64 {
    let mask = (1 << bits) - 1;
    for _ in 0..3 {
        n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask;
        n ^= n >> bits.div_ceil(2);
    }
    n
}

/// The `n`-th of the numbers below `count` in an order that looks random, without a table of them.
fn permuted(n: usize, count: usize) -> usize {
    let bits = (count.max(2) - 1).ilog2() + 1;
    let mut n = n as u64;
    loop {
        n = scramble(n, bits);
        if (n as usize) < count {
            return n as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_random_order_of_filling_has_every_key_once() {
        for count in [1, 2, 3, 1000, 1024, 4097] {
            let mut seen: Vec<usize> = (0..count).map(|n| permuted(n, count)).collect();
            assert!(count < 1000 || !seen.is_sorted());
            seen.sort_unstable();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn mixed_sizes_are_small_mostly_and_the_same_where_a_bucket_has_small_ones_only() {
        let count = |bytes: std::ops::RangeInclusive<usize>| {
            (0..100_000).filter(|n| Sizes::Mixed.of(*n).is_some_and(|size| bytes.contains(&size))).count()
        };
        let (small, middle, large) = (count(10..=500), count(4 << 10..=64 << 10), count((64 << 10) + 1..=1 << 20));
        assert_eq!(small + middle + large, 100_000);
        assert!((96_500..97_500).contains(&small) && (1_800..2_200).contains(&middle), "{small} {middle} {large}");
        assert!((0..100_000).all(|n| Sizes::Small.of(n).is_none_or(|size| Sizes::Mixed.of(n) == Some(size))));
    }
}
