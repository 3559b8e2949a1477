//! The calls of instances and their answers, and whether one order of single steps explains them.

use crate::check::{State, linearizable};
use std::collections::BTreeMap;
use std::fmt;

/// A call about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Get,
    Exists,
    Snapshot,
    Set(Vec<u8>),
    Delete,
    Increment(i64),
    /// With a version seen, `None` for absent.
    Swap(Option<u64>, Vec<u8>),
    /// With when it ends: in milliseconds on the machine's clock and, for the checker, on that of the history.
    SetFor(Vec<u8>, u64),
    /// Set if absent, with when it ends if it does.
    Create(Vec<u8>, Option<u64>),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tell {
    Done,
    Value(Option<Vec<u8>>),
    There(bool),
    Seen(Option<(Vec<u8>, u64)>),
    Number(i64),
    Refused,
    Conflict,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub instance: usize,
    pub key: String,
    pub ask: Ask,
    pub asked: u64,
    /// The answer and its time; `None` if the instance died, or the answer was that the outcome is unknown: the
    /// operation may or may not have happened.
    pub told: Option<(u64, Tell)>,
}

#[derive(Clone, Default)]
pub struct History {
    /// What keys have before the first event.
    pub initial: BTreeMap<String, Vec<u8>>,
    pub events: Vec<Event>,
    pub clock: u64,
    /// When the machine's clock moved, and the milliseconds it showed from then on.
    pub passed: Vec<(u64, u64)>,
}

impl History {
    pub fn ask(&mut self, instance: usize, key: &str, ask: Ask) -> usize {
        self.clock += 1;
        self.events.push(Event { instance, key: key.into(), ask, asked: self.clock, told: None });
        self.events.len() - 1
    }

    pub fn tell(&mut self, event: usize, tell: Tell) {
        self.clock += 1;
        self.events[event].told = Some((self.clock, tell));
    }

    /// The machine's clock has moved.
    pub fn pass(&mut self, milliseconds: u64) {
        self.clock += 1;
        self.passed.push((self.clock, milliseconds));
    }

    /// When the machine's clock reached a time.
    fn reached(&self, milliseconds: u64) -> u64 {
        let moves = self.passed.iter().find(|(_, now)| *now >= milliseconds);
        moves.map_or(u64::MAX, |(clock, _)| *clock)
    }

    /// The event as the checker takes it.
    fn timed(&self, event: &Event) -> Event {
        let mut event = event.clone();
        match &mut event.ask {
            Ask::SetFor(_, end) | Ask::Create(_, Some(end)) => *end = self.reached(*end),
            _ => {}
        }
        event
    }

    /// Takes an operation back that is known not to have happened.
    pub fn forget(&mut self, event: usize) {
        self.clock += 1;
        let clock = self.clock;
        let event = &mut self.events[event];
        (event.ask, event.told) = (Ask::Get, None);
        event.asked = clock;
    }

    /// Whether anything is known of a key.
    pub fn knows(&self, key: &str) -> bool {
        self.initial.contains_key(key) || self.events.iter().any(|event| event.key == key)
    }

    /// Returns the number of keys for which the search for an order was given up.
    ///
    /// # Errors
    /// The part of the history for one key, if no order explains it.
    pub fn check(&self) -> Result<usize, String> {
        self.check_each(&|_| None)
    }

    /// The same for what was there after the end may have been lost: besides, each key must have what a first part of
    /// its order gives. `found` has the values of all keys that have one.
    ///
    /// # Errors
    /// As of [`check`](Self::check).
    pub fn check_lost(&self, found: &BTreeMap<String, Vec<u8>>) -> Result<usize, String> {
        self.check_each(&|key| Some(found.get(key)))
    }

    fn check_each<'a>(&self, found: &dyn Fn(&str) -> Option<Option<&'a Vec<u8>>>) -> Result<usize, String> {
        let mut undecided = 0;
        let mut keys: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for key in self.initial.keys() {
            keys.entry(key).or_default();
        }
        for event in &self.events {
            let reads = matches!(event.ask, Ask::Get | Ask::Exists | Ask::Snapshot);
            if !(reads && event.told.is_none()) {
                keys.entry(&event.key).or_default().push(event);
            }
        }
        for (key, events) in keys {
            let start = State::new(self.initial.get(key).cloned());
            let timed: Vec<_> = events.iter().map(|event| self.timed(event)).collect();
            let right = |after| linearizable(&timed.iter().collect::<Vec<_>>(), &start, after);
            let lines = || events.iter().map(|event| event.to_string()).collect::<Vec<_>>().join("\n");
            let begin = start.value.as_deref().map(text);
            let told = |what: &str| {
                let passed =
                    if self.passed.is_empty() { String::new() } else { format!("\n  the clock: {:?}", self.passed) };
                Err(format!("{what} {key:.30?}, which began with {begin:?}:\n{}{passed}", lines()))
            };
            match right(None) {
                None => undecided += 1,
                Some(false) => return told("no order explains what happened to the key"),
                Some(true) => {}
            }
            let Some(after) = found(key) else { continue };
            match right(Some(after)) {
                None => undecided += 1,
                Some(false) => {
                    let found = after.map(|value| text(value));
                    return told(&format!(
                        "no first part of an order gives {found:?}, which was found afterwards, to the key"
                    ));
                }
                Some(true) => {}
            }
        }
        Ok(undecided)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: String| text.chars().take(160).collect::<String>();
        let ask = match &self.ask {
            Ask::Set(value) => format!("Set({})", text(value)),
            Ask::Swap(expected, value) => format!("Swap({expected:?}, {})", text(value)),
            Ask::SetFor(value, end) => format!("SetFor({}, until {end})", text(value)),
            Ask::Create(value, end) => format!("Create({}, until {end:?})", text(value)),
            other => format!("{other:?}"),
        };
        let (until, told) = match &self.told {
            None => (String::new(), "nothing".to_string()),
            Some((at, Tell::Value(value))) => (at.to_string(), format!("Value({:?})", value.as_deref().map(text))),
            Some((at, Tell::Seen(Some((value, version))))) => {
                (at.to_string(), format!("Seen({}, {version})", text(value)))
            }
            Some((at, tell)) => (at.to_string(), format!("{tell:?}")),
        };
        write!(f, "  {:>4}-{until:<4} {}: {} -> {}", self.asked, self.instance, short(ask), short(told))
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(&value[..value.len().min(24)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events as (asked, ask, told at, told).
    fn check(events: &[(u64, Ask, u64, Option<Tell>)]) -> bool {
        check_with(events, &[])
    }

    /// The same, where the machine's clock went on at some moments.
    fn check_with(events: &[(u64, Ask, u64, Option<Tell>)], passed: &[(u64, u64)]) -> bool {
        let events = events.iter().map(|(asked, ask, at, tell)| Event {
            instance: 0,
            key: String::new(),
            ask: ask.clone(),
            asked: *asked,
            told: tell.clone().map(|tell| (*at, tell)),
        });
        History { events: events.collect(), passed: passed.to_vec(), ..History::default() }.check().is_ok()
    }

    fn value(text: &str) -> Option<Tell> {
        Some(Tell::Value(Some(text.into())))
    }

    #[test]
    fn overlapping_operations_take_effect_in_either_order_and_others_in_one() {
        let set = |text: &str| Ask::Set(text.into());
        for (second, told, right) in [(2, "a", true), (2, "b", true), (4, "a", false), (4, "b", true)] {
            let events = [
                (1, set("a"), 3, Some(Tell::Done)),
                (second, set("b"), 5, Some(Tell::Done)),
                (6, Ask::Get, 7, value(told)),
            ];
            assert_eq!(check(&events), right, "{second} {told}");
        }
    }

    #[test]
    fn a_lost_write_a_doubled_increment_and_a_stale_read_are_noticed() {
        let done = Some(Tell::Done);
        assert!(!check(&[(1, Ask::Set("a".into()), 2, done.clone()), (3, Ask::Get, 4, Some(Tell::Value(None)))]));
        assert!(check(&[(1, Ask::Set("a".into()), 0, None), (3, Ask::Get, 4, Some(Tell::Value(None)))]));
        assert!(check(&[(1, Ask::Set("a".into()), 0, None), (3, Ask::Get, 4, value("a"))]));
        let one = |asked, told, number| (asked, Ask::Increment(1), told, Some(Tell::Number(number)));
        assert!(check(&[one(1, 4, 2), one(2, 5, 1), (6, Ask::Get, 7, value("2"))]));
        assert!(!check(&[one(1, 4, 1), one(2, 5, 1)]));
        assert!(!check(&[one(1, 4, 1), (6, Ask::Get, 7, value("2"))]));
        assert!(!check(&[
            (1, Ask::Set("a".into()), 0, None),
            (2, Ask::Get, 3, value("a")),
            (4, Ask::Get, 5, Some(Tell::Value(None))),
        ]));
    }

    /// Whether a key may have `found` after the end of a history was lost.
    fn check_lost(initial: Option<&str>, events: &[(Ask, Option<Tell>)], found: Option<&str>) -> bool {
        let mut history = History::default();
        history.initial.extend(initial.map(|value| (String::new(), value.into())));
        for (ask, tell) in events {
            let event = history.ask(0, "", ask.clone());
            tell.iter().for_each(|tell| history.tell(event, tell.clone()));
        }
        history.check_lost(&found.map(|value| (String::new(), value.into())).into_iter().collect()).is_ok()
    }

    #[test]
    fn what_is_found_after_a_loss_must_be_what_a_first_part_of_the_history_gives() {
        let done = || Some(Tell::Done);
        let events = [
            (Ask::Set("10".into()), done()),
            (Ask::Increment(5), Some(Tell::Number(15))),
            (Ask::Delete, done()),
            (Ask::Increment(1), Some(Tell::Number(1))),
            (Ask::Increment(2), None),
        ];
        for (found, right) in [
            (None, true),
            (Some("10"), true),
            (Some("15"), true),
            (Some("1"), true),
            (Some("3"), true),
            // Of steps that follow a lost one.
            (Some("5"), false),
            (Some("16"), false),
            (Some("17"), false),
            (Some("12"), false),
            (Some("20"), false),
        ] {
            assert_eq!(check_lost(None, &events, found), right, "{found:?}");
        }
    }

    #[test]
    fn what_lasted_before_cannot_be_gone_unless_somebody_deleted_it() {
        let set = [(Ask::Set("b".into()), Some(Tell::Done))];
        assert!(check_lost(Some("a"), &set, Some("a")) && check_lost(Some("a"), &set, Some("b")));
        assert!(!check_lost(Some("a"), &set, None) && !check_lost(Some("a"), &[], None));
        assert!(check_lost(Some("a"), &[(Ask::Delete, None)], None));
        assert!(!check_lost(None, &set, Some("c")));
    }

    #[test]
    fn a_value_is_there_until_its_end_and_not_from_then_on() {
        // At 10, the machine's clock went on to 500.
        let check = |events: &[_]| check_with(events, &[(10, 500)]);
        let (done, nothing) = (Some(Tell::Done), Some(Tell::Value(None)));
        let set = |end| (1, Ask::SetFor("5".into(), end), 2, done.clone());
        for (end, asked, told, there, gone) in
            [(500, 3, 4, true, false), (500, 3, 12, true, true), (400, 11, 12, false, true), (501, 11, 12, true, false)]
        {
            assert_eq!(check(&[set(end), (asked, Ask::Get, told, value("5"))]), there, "{end} {asked} {told}");
            assert_eq!(check(&[set(end), (asked, Ask::Get, told, nothing.clone())]), gone, "{end} {asked} {told}");
        }
        // It does not come back, and what is set without an end has none.
        let read = |asked, tell: &Option<Tell>| (asked, Ask::Get, 20, tell.clone());
        assert!(check(&[set(500), read(3, &nothing), read(4, &value("5"))]));
        assert!(!check(&[set(500), (3, Ask::Get, 12, nothing.clone()), (13, Ask::Get, 14, value("5"))]));
        assert!(check(&[set(500), (3, Ask::Set("6".into()), 4, done.clone()), read(11, &value("6"))]));
        // An increment keeps the end, or begins anew after it.
        let one = |asked, told, number| (asked, Ask::Increment(1), told, Some(Tell::Number(number)));
        assert!(check(&[set(500), one(3, 4, 6), read(11, &nothing)]));
        assert!(!check(&[set(500), one(3, 4, 6), read(11, &value("6"))]));
        assert!(check(&[set(500), one(11, 12, 1), (13, Ask::Get, 14, value("1"))]));
        assert!(!check(&[set(500), one(11, 12, 6)]));
        // What ended can be created, once.
        let create = |asked, told, there| (asked, Ask::Create("7".into(), None), told, Some(Tell::There(there)));
        assert!(check(&[set(500), create(3, 4, false), create(11, 12, true), create(13, 14, false)]));
        assert!(!check(&[set(500), create(3, 4, true)]) && !check(&[set(500), create(11, 12, false)]));
        // A swap that began before the end of what it expects may take place after it.
        let seen = (3, Ask::Snapshot, 4, Some(Tell::Seen(Some(("5".into(), 1)))));
        let swap = |asked| (asked, Ask::Swap(Some(1), "8".into()), 15, done.clone());
        let gone = (11, Ask::Get, 12, nothing.clone());
        assert!(check(&[set(500), seen.clone(), swap(5), gone.clone(), (16, Ask::Get, 17, value("8"))]));
        assert!(!check(&[set(500), seen, swap(13), gone]));
    }

    #[test]
    fn a_version_given_twice_is_noticed() {
        let seen = |text: &str, version| Some(Tell::Seen(Some((text.into(), version))));
        let done = Some(Tell::Done);
        let events = |second| {
            [
                (1, Ask::Set("a".into()), 2, done.clone()),
                (3, Ask::Snapshot, 4, seen("a", 7)),
                (5, Ask::Set("a".into()), 6, done.clone()),
                (7, Ask::Snapshot, 8, seen("a", second)),
            ]
        };
        assert!(check(&events(8)) && !check(&events(7)) && !check(&events(6)));
        let mut swapped = events(8).to_vec();
        swapped.push((9, Ask::Swap(Some(7), "b".into()), 10, done.clone()));
        assert!(!check(&swapped));
        swapped.pop();
        swapped.push((9, Ask::Swap(Some(8), "b".into()), 10, done));
        assert!(check(&swapped));
    }
}
