//! Whether one order of single steps explains what happened to a key.
//!
//! The checker is Wing and Gong's search with Lowe's memory of states seen, for one key at a time: linearizability is
//! local, so a history is linearizable if its part for each key is.

use crate::history::{Ask, Event, Tell};
use std::collections::HashSet;

/// A key's state: its value, the version it was seen with if any, and the highest version seen so far.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    pub value: Option<Vec<u8>>,
    version: Option<u64>,
    highest: u64,
    /// When the value ends; 0 if it does not.
    end: u64,
    /// The version of the value that ended, and when, until the next write.
    ended: Option<(u64, u64)>,
}

impl State {
    pub fn new(value: Option<Vec<u8>>) -> Self {
        Self { value, ..Self::default() }
    }

    fn write(&mut self, value: Option<Vec<u8>>) {
        self.write_until(value, 0);
    }

    fn write_until(&mut self, value: Option<Vec<u8>>, end: u64) {
        (self.value, self.end) = (value, end);
        (self.version, self.ended) = (None, None);
    }

    /// The state after the end of its value.
    fn after(&self) -> Self {
        let ended = self.version.map(|version| (version, self.end));
        Self { value: None, version: None, end: 0, ended, ..self.clone() }
    }

    /// The next state; `None` if the answer is impossible.
    fn step(&self, ask: &Ask, asked: u64, tell: Option<&Tell>) -> Option<Self> {
        if self.end != 0 && self.end <= asked {
            // It ended before.
            return None;
        }
        let mut next = self.clone();
        let right = match (ask, tell) {
            (Ask::Get, Some(Tell::Value(value))) => *value == self.value,
            (Ask::Exists, Some(Tell::There(there))) => *there == self.value.is_some(),
            (Ask::Snapshot, Some(Tell::Seen(None))) => self.value.is_none(),
            (Ask::Snapshot, Some(Tell::Seen(Some((value, version))))) => {
                // A version belongs to one write, and a later write has a higher one.
                let fresh = self.version.is_none() && *version > self.highest;
                next.highest = self.highest.max(*version);
                next.version = Some(*version);
                self.value.as_ref() == Some(value) && (fresh || self.version == Some(*version))
            }
            (Ask::Set(value), None | Some(Tell::Done)) => {
                next.write(Some(value.clone()));
                true
            }
            (Ask::Delete, None | Some(Tell::Done)) => {
                next.write(None);
                true
            }
            (Ask::Increment(delta), tell) => {
                let before = match &self.value {
                    None => Some(0),
                    Some(bytes) => counter(bytes),
                };
                let after = before.and_then(|before| before.checked_add(*delta));
                if let Some(after) = after {
                    next.write_until(Some(after.to_string().into_bytes()), self.end);
                }
                match tell {
                    None => true,
                    Some(Tell::Number(told)) => after == Some(*told),
                    Some(Tell::Refused) => after.is_none(),
                    _ => false,
                }
            }
            (Ask::Swap(expected, value), tell) => {
                let holds = match expected {
                    None => self.value.is_none(),
                    Some(_) => self.value.is_some() && self.version == *expected,
                };
                // The one who swaps looks at the clock before.
                let late = self.ended.is_some_and(|(ended, end)| Some(ended) == *expected && asked < end);
                if holds || late && tell.is_none_or(|tell| *tell == Tell::Done) {
                    next.write(Some(value.clone()));
                }
                match tell {
                    None => true,
                    Some(Tell::Done) => holds || late,
                    Some(Tell::Conflict) => !holds,
                    _ => false,
                }
            }
            (Ask::SetFor(value, end), None | Some(Tell::Done)) => {
                next.write_until(Some(value.clone()), *end);
                true
            }
            (Ask::Create(value, end), tell) => {
                let holds = self.value.is_none();
                if holds {
                    next.write_until(Some(value.clone()), end.unwrap_or(0));
                }
                matches!(tell, None | Some(Tell::There(_))) && tell.is_none_or(|tell| *tell == Tell::There(holds))
            }
            _ => false,
        };
        right.then_some(next)
    }
}

/// A counter as the interface describes it: decimal digits without a leading zero, with a minus if it is below zero, of
/// 64 bits. Not the store's own code, which this checks.
fn counter(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    let mut number: i128 = 0;
    for digit in digits {
        number =
            number.checked_mul(10)?.checked_add(i128::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))?;
    }
    let number = i64::try_from(sign * number).ok()?;
    // Anything written in another way is not a counter.
    (number.to_string().as_bytes() == bytes).then_some(number)
}

/// States after which the search for an order is given up.
const UNDECIDED: usize = 1 << 20;

/// Whether some order of the events explains the answers, and passes through a state with the value `through`, if one
/// is given. `None` if the search was given up.
pub fn linearizable(events: &[&Event], start: &State, through: Option<Option<&Vec<u8>>>) -> Option<bool> {
    let words = events.len().div_ceil(64);
    // What was lost may have ended before anybody looked.
    let passes =
        |state: &State| through.is_none_or(|value| value == state.value.as_ref() || value.is_none() && state.end != 0);
    let mut seen: HashSet<(Vec<u64>, State, bool)> = HashSet::new();
    // Depth first: what has taken effect so far, the state it led to, and whether it has passed through the value.
    let mut stack = vec![(vec![0u64; words], start.clone(), passes(start))];
    while let Some((done, state, passed)) = stack.pop() {
        if seen.len() > UNDECIDED {
            return None;
        }
        let is_done = |index: usize| done[index / 64] >> (index % 64) & 1 == 1;
        let open = |index: &usize| !is_done(*index);
        // What was told first of what has not taken effect yet bounds what can be next.
        let bound = (0..events.len()).filter(open).filter_map(|i| events[i].told.as_ref().map(|(at, _)| *at)).min();
        if bound.is_none() && passed {
            return Some(true);
        }
        let candidates =
            (0..events.len()).filter(open).filter(|index| bound.is_none_or(|bound| events[*index].asked < bound));
        // Of equal operations without an answer, the one asked first can stand for all. What was answered is tried
        // first: it comes off the stack first.
        let (told, untold): (Vec<_>, Vec<_>) = candidates.partition(|index| events[*index].told.is_some());
        let stands = |at: &usize| !untold.iter().take(*at).any(|other| events[*other].ask == events[untold[*at]].ask);
        let untold: Vec<_> = (0..untold.len()).filter(stands).map(|at| untold[at]).collect();
        if state.end != 0 && bound.is_none_or(|bound| state.end < bound) {
            let next = state.after();
            let passed = passed || passes(&next);
            if seen.insert((done.clone(), next.clone(), passed)) {
                stack.push((done.clone(), next, passed));
            }
        }
        for index in untold.into_iter().chain(told.into_iter().rev()) {
            let event = events[index];
            let tell = event.told.as_ref().map(|(_, tell)| tell);
            let Some(next) = state.step(&event.ask, event.asked, tell) else { continue };
            let mut done = done.clone();
            done[index / 64] |= 1 << (index % 64);
            let passed = passed || passes(&next);
            if seen.insert((done.clone(), next.clone(), passed)) {
                stack.push((done, next, passed));
            }
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn only_the_canonical_text_of_64_bits_is_a_counter() {
        for (text, number) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
        ] {
            assert_eq!(counter(text.as_bytes()), number, "{text}");
        }
        let others = ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "x", "9223372036854775808", "-9223372036854775809"];
        let longer = "1".repeat(50);
        assert!(others.into_iter().chain([longer.as_str()]).all(|text| counter(text.as_bytes()).is_none()));
    }
}
