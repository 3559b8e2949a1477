//! A damaged segment's pairs, as far as they can be read: from all of its file, record by record.
//!
//! The store itself refuses keys that a damaged record may have changed. Here they are kept, and marked as uncertain.
//! An index that was written after the damage shows exactly what had changed by then.

use super::scan::{Event, scan};
use super::state::State;
use crate::gap::Gap;
use crate::hash::Keys;
use crate::name::Node;
use crate::record::{self, Base, Op, Record, Seen};
use crate::run::{self, Mark, Marks, Pairs, Run, first_of, page_of};
use crate::segment::{CHUNK, MAX_SIZE, Segment};
use kvfuse_core::Result;
use kvfuse_transport::files::File;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a segment's file still has.
#[derive(Default)]
pub struct Replayed {
    pub state: State,
    /// Places whose pairs in the base cannot be read.
    pub lost: Vec<RangeInclusive<u64>>,
    /// The number of keys that an index refers to but that were found nowhere.
    pub nameless: u64,
    /// Whether a base or pages of one were found.
    pub begun: bool,
    /// One line each.
    pub damage: Vec<String>,
}

/// The pages of a base.
struct Pages<'a> {
    run: u64,
    count: u32,
    /// Those that may be whole.
    at: BTreeMap<u32, &'a [u8]>,
}

/// Reads all of a segment's file. `follows` is the seal that its base follows, if that is known.
pub fn replay<F: File>(segment: &Segment<F>, keys: &Keys, follows: Option<u64>) -> Result<Replayed> {
    let bytes = all(segment)?;
    let events = scan(&segment.checks, &bytes);
    let mut replay = Replay {
        segment,
        keys,
        bytes: &bytes,
        out: Replayed::default(),
        positions: BTreeMap::new(),
        ended: false,
        adrift: false,
    };
    replay.run(&events, follows);
    Ok(replay.out)
}

fn all<F: File>(segment: &Segment<F>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let more = segment.file.read(bytes.len() as u64, CHUNK).map_err(|error| segment.failed(error))?;
        if more.is_empty() {
            return Ok(bytes);
        }
        if (bytes.len() + more.len()) as u64 > MAX_SIZE {
            return Err(segment.damaged("it is larger than any segment this store writes"));
        }
        bytes.extend_from_slice(&more);
    }
}

struct Replay<'a, F> {
    segment: &'a Segment<F>,
    keys: &'a Keys,
    bytes: &'a [u8],
    out: Replayed,
    /// The lowest bits of the version at the end of each record.
    positions: BTreeMap<u32, u32>,
    /// Whether a power cut took something: no write after that counts.
    ended: bool,
    /// Whether the version is not known since a hole.
    adrift: bool,
}

impl<'a, F: File> Replay<'a, F> {
    fn run(&mut self, events: &[Event<'a>], follows: Option<u64>) {
        let base = events.iter().enumerate().find_map(|(place, event)| match event {
            Event::Record { record: Record::Base(base), at, end, .. }
                if follows.is_none_or(|seal| base.follows == seal) =>
            {
                Some((place, *base, (*at as u32, (end - at) as u32)))
            }
            _ => None,
        });
        let (first, pages) = match &base {
            Some((place, base, _)) => (place + 1, Some(self.pages_of(base))),
            None => self.pages_alone(events),
        };
        self.out.begun = pages.is_some();
        let Some(pages) = pages else { return };
        let begin = events.get(first).map_or(self.bytes.len(), Event::at);
        self.load(&pages);
        match &base {
            Some((_, base, _)) => self.out.state.next = base.next,
            None => {
                self.say("its base's record cannot be read; the pages were found without it");
                // The first writer after it recorded the lowest bits of the version.
                self.adrift = true;
            }
        }
        self.positions.insert(begin as u32, self.out.state.next as u32);
        self.go(events.get(first..).unwrap_or_default(), base.map(|(_, _, at)| at));
    }

    fn say(&mut self, what: &str) {
        self.out.damage.push(format!("the file {}: {what}", self.segment.name()));
    }

    fn pages_of(&self, base: &Base<'a>) -> Pages<'a> {
        let run = Run::new(base.run, &base.directory);
        let page = |number| {
            let (at, length) = run.place_of(number)?;
            Some((number, self.bytes.get(at as usize..)?.get(..length)?))
        };
        Pages { run: run.id, count: run.pages(), at: (0..run.pages()).filter_map(page).collect() }
    }

    /// The pages before the first record that stands after a base, and where that is.
    fn pages_alone(&self, events: &[Event<'a>]) -> (usize, Option<Pages<'a>>) {
        let behind = |event: &Event<'_>| {
            matches!(
                event,
                Event::Write { .. } | Event::Record { record: Record::Write { .. } | Record::Seal { .. }, .. }
            )
        };
        let indices: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Event::Record { record: Record::Index(index), .. } => Some(index.run),
                _ => None,
            })
            .collect();
        let end = events.iter().position(behind).unwrap_or(events.len());
        let mut runs = BTreeMap::<u64, BTreeMap<u32, &[u8]>>::new();
        for event in events.get(..end).unwrap_or_default() {
            let Event::Pages { head, blobs, .. } = event else { continue };
            let Some((run, first, lengths)) = record::pages(head).filter(|(run, ..)| !indices.contains(run)) else {
                continue;
            };
            let mut at = *blobs;
            for (number, length) in (first..).zip(lengths) {
                if let Some(page) = self.bytes.get(at..at + usize::from(length)) {
                    runs.entry(run).or_default().insert(number, page);
                }
                at += usize::from(length);
            }
        }
        // Others may have begun the same base; of those that fit, the longest is complete.
        let best =
            runs.into_iter()
                .filter_map(|(run, at)| {
                    let count = at.last_key_value().map_or(0, |(number, _)| number + 1);
                    let fits =
                        at.iter().all(|(number, page)| {
                            let pairs = run::open(&self.segment.checks, run, *number, page).map(Pairs::new);
                            pairs.into_iter().flatten().flatten().all(|pair| {
                                page_of(self.segment.node, count, self.keys.place(pair.key.id())) == *number
                            })
                        });
                    fits.then_some(Pages { run, count, at })
                })
                .max_by_key(|pages| pages.count);
        (end, best)
    }

    fn load(&mut self, pages: &Pages<'_>) {
        let node = self.segment.node;
        for number in 0..pages.count {
            let whole = pages.at.get(&number).and_then(|page| run::open(&self.segment.checks, pages.run, number, page));
            if let Some(content) = whole {
                for pair in Pairs::new(content).flatten() {
                    self.out.state.load(self.keys.place(pair.key.id()), pair);
                }
                continue;
            }
            self.out.lost.push(places(node, pages.count, number));
            self.say(&format!("page {number} of {} of its base is not as it was written", pages.count));
        }
    }

    /// Applies the records after the base.
    fn go(&mut self, events: &[Event<'a>], base: Option<(u32, u32)>) {
        let sealed = |event: &Event<'_>| matches!(event, Event::Record { record: Record::Seal { .. }, .. });
        let end = events.iter().position(sealed).unwrap_or(events.len());
        let events = events.get(..end).unwrap_or_default();
        // The last index of this base: everything it covers was synced before it was written.
        let index = events.iter().rev().find_map(|event| match event {
            Event::Record { record: Record::Index(index), .. } if base.is_none_or(|base| base == index.base) => {
                Some(index)
            }
            _ => None,
        });
        let covers = index.map_or(0, |index| index.seen.position as usize);
        let mut indexed = index.is_none();
        for event in events {
            if !indexed && event.at() >= covers {
                indexed = true;
                index.into_iter().for_each(|index| self.index(index));
            }
            match event {
                Event::Record { record: Record::Write { seen, ops, .. }, at, blobs, end } => {
                    let ops = ops.flatten().map(|op| (op, true));
                    self.write(*seen, ops, (*at, *blobs, *end));
                }
                Event::Write { seen, ops, at, blobs, end } => {
                    self.say(&format!("a value in the record at byte {at} is not as it was written"));
                    self.write(*seen, ops.iter().copied(), (*at, *blobs, *end));
                }
                Event::Gap { gap: Gap::Lost | Gap::Unclear, at } if *at >= covers => self.ended = true,
                // The rest of a record whose front was lost, as for the store.
                Event::Gap { gap: Gap::Damaged, at } if self.ended && !self.begins_record(*at) => {}
                Event::Gap { gap: Gap::Lost | Gap::Unclear | Gap::Damaged, at } => {
                    self.say(&format!("a record at byte {at} is not as it was written"));
                    self.hole();
                }
                Event::Gap { gap: Gap::Torn, .. } | Event::Record { .. } | Event::Pages { .. } => {}
            }
        }
        if !indexed {
            index.into_iter().for_each(|index| self.index(index));
        }
    }

    fn begins_record(&self, at: usize) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(&self.segment.checks.marker()))
    }

    fn hole(&mut self) {
        self.out.state.hole();
        self.adrift = true;
    }

    fn write(
        &mut self,
        seen: Seen,
        ops: impl Iterator<Item = (Op<'a>, bool)>,
        (at, blobs, end): (usize, usize, usize),
    ) {
        if self.ended {
            return;
        }
        self.agree(seen, at);
        for (ordinal, (op, whole)) in (0u16..).zip(ops) {
            let place = self.keys.place(op.key().id());
            let readable = !self.out.lost.iter().any(|lost| lost.contains(&place));
            self.out.state.apply(self.keys, &op, whole, (at as u64, ordinal, blobs as u64), readable);
        }
        self.positions.insert(end as u32, self.out.state.next as u32);
    }

    /// Compares what a writer had seen with what was read here. If the writer had seen more, records are missing.
    fn agree(&mut self, seen: Seen, at: usize) {
        let Some(known) = self.positions.get(&seen.position).copied() else { return };
        let missed = seen.version.wrapping_sub(known);
        if missed == 0 {
            return;
        }
        if !self.adrift {
            self.say(&format!("a record before byte {at} has vanished"));
            self.out.state.hole();
        }
        self.adrift = false;
        self.out.state.next = self.out.state.next.wrapping_add(u64::from(missed));
        for version in self.positions.range_mut(seen.position..).map(|(_, version)| version) {
            *version = version.wrapping_add(missed);
        }
    }

    fn index(&mut self, index: &record::Index<'_>) {
        let (run, node) = (Run::new(index.run, &index.directory), self.segment.node);
        let (mut marks, mut lost) = (BTreeMap::<u64, Mark>::new(), Vec::new());
        let mut add = |mark: Mark| {
            let last = marks.entry(mark.place).or_insert(mark);
            if mark.version > last.version {
                *last = mark;
            }
        };
        for number in 0..run.pages() {
            let page = run.place_of(number).and_then(|(at, length)| self.bytes.get(at as usize..)?.get(..length));
            match page.and_then(|page| run::open(&self.segment.checks, run.id, number, page)) {
                Some(content) => Marks::new(content).for_each(&mut add),
                None => lost.push(places(node, run.pages(), number)),
            }
        }
        Marks::new(index.last).for_each(&mut add);
        if !lost.is_empty() {
            self.say(&format!("{} of {} pages of its index are not as they were written", lost.len(), run.pages()));
        }
        let covers = |place: u64| !lost.iter().any(|lost| lost.contains(&place));
        self.out.nameless += self.out.state.index(&marks, &covers, index.next);
        self.positions.insert(index.seen.position, index.seen.version);
        self.adrift = false;
    }
}

/// The places of a page.
fn places(node: Node, pages: u32, number: u32) -> RangeInclusive<u64> {
    let last = if number + 1 >= pages { node.last() } else { first_of(node, pages, number + 1) - 1 };
    first_of(node, pages, number)..=last
}
