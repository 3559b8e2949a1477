//! Everything that can happen, in random order.

use super::double::{Double, pass};
use kvfuse_core::watch::From;
use kvfuse_core::{Change, Changes, Kind};
use std::collections::BTreeMap;
use std::time::Duration;

/// Random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }
}

/// What a watcher knows.
#[derive(Default)]
struct Heard {
    state: BTreeMap<String, u32>,
    /// The number of each key's last change that was delivered. Every change has the next number of its key.
    last: BTreeMap<String, u32>,
    missed: usize,
}

impl Heard {
    /// `whole`: whether every change of a key has to come.
    fn take(&mut self, answer: Changes, whole: bool) {
        if answer.missed.is_some() {
            self.missed += 1;
            self.state.clear();
            self.last.clear();
        }
        for change in answer.changes {
            let key = change.key().to_string();
            match change {
                Change::Set { value, .. } => {
                    let number = String::from_utf8(value).unwrap().parse().unwrap();
                    let last = self.last.insert(key.clone(), number);
                    // It may come again, but then everything behind it comes again.
                    assert!(!whole || number <= last.unwrap_or(0) + 1, "{key}: {number} after {last:?}");
                    self.state.insert(key, number);
                }
                Change::Delete { .. } => drop(self.state.remove(&key)),
            }
        }
    }
}

/// Without gaps, unless `slow`: then hours pass.
fn play(seed: u64, slow: bool) -> usize {
    let mut dice = Dice(seed);
    let double = Double::new();
    let bucket = double.bucket(&[]);
    let from = if slow { From::Beginning } else { From::Now };
    let (mut watch, mut heard) = (bucket.watch("", from).unwrap(), Heard::default());
    let (mut numbers, mut position) = (BTreeMap::<String, u32>::new(), None::<String>);
    for _ in 0..150 {
        let open = double.open_parts();
        match dice.roll(if slow { 19 } else { 17 }) {
            0..=4 => {
                let key = format!("key {}", dice.roll(6));
                let number = numbers.entry(key.clone()).or_default();
                *number += 1;
                double.set(&key, &number.to_string());
            }
            5 => double.delete(&format!("key {}", dice.roll(6))),
            6 => double.set_elsewhere(&format!("key {}", dice.roll(6))),
            7 if open.len() < 6 => double.split(open[dice.roll(open.len())], 1 + dice.roll(2), dice.roll(2) == 0),
            8 => double.list_all(),
            9 => double.0.borrow_mut().epoch += 1,
            10 => double.instead(1 + dice.roll(3), "", ["LimitExceededException", "ThrottlingException"][dice.roll(2)]),
            11 => double.instead(200, "Get", "InternalServerError"),
            12 => {
                let mut table = double.0.borrow_mut();
                (table.most, table.page) = (1 + dice.roll(4), 1 + dice.roll(4));
            }
            13 => {
                if let Some(position) = &position {
                    // Something may have come behind it, which comes again.
                    double.0.borrow_mut().instead.clear();
                    watch = bucket.watch("", From::Position(position)).unwrap();
                }
            }
            14 | 15 => match watch.next(Duration::from_millis(500)) {
                Ok(answer) => {
                    position = answer.position.clone();
                    heard.take(answer, !slow);
                }
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
                    double.0.borrow_mut().instead.clear();
                }
            },
            16 => pass(Duration::from_secs(60 * u64::try_from(dice.roll(30)).unwrap())),
            17 => pass(Duration::from_secs(60 * 60 * u64::try_from(1 + dice.roll(20)).unwrap())),
            _ => double.trim(),
        }
    }
    double.0.borrow_mut().instead.clear();
    double.list_all();
    loop {
        let answer = watch.next(Duration::from_secs(70)).unwrap();
        if answer.changes.is_empty() && answer.missed.is_none() {
            break;
        }
        heard.take(answer, !slow);
    }
    let items = double.0.borrow().items.clone();
    let state: BTreeMap<String, String> = heard.state.iter().map(|(key, n)| (key.clone(), n.to_string())).collect();
    assert_eq!(state, items);
    heard.missed
}

#[test]
fn whatever_happens_within_a_day_every_change_comes_in_its_turn() {
    for seed in 0..300 {
        let missed = std::panic::catch_unwind(|| play(seed, false)).unwrap_or_else(|_| panic!("seed {seed}"));
        assert_eq!(missed, 0, "seed {seed}");
    }
}

#[test]
fn whatever_happens_in_days_what_is_known_in_the_end_is_what_is_there_or_the_gap_was_told() {
    let mut missed = 0;
    for seed in 0..300 {
        missed += std::panic::catch_unwind(|| play(seed, true)).unwrap_or_else(|_| panic!("seed {seed}"));
    }
    assert!(missed > 20, "{missed}");
}
