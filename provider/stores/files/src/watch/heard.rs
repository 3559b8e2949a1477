//! Every change of a segment, one by one. Only a watch needs this.
//!
//! A segment that is read for its state switches to an index if there is one, and keeps the latest change of each key.
//! A segment that is listened to starts at its base, whatever indices there are, and keeps every change in a queue. So
//! an increment's sum and a swap's outcome are known when they are read.

use crate::hash::Keys;
use crate::item::{Outcome, OwnedKey, Stored};
use crate::record::{Key, NEVER, Op};
use crate::run::same_key;
use crate::segment::Segment;
use kvfuse_core::{Result, counter};
use kvfuse_transport::files::File;
use std::collections::VecDeque;

/// One change, as its record has it.
pub struct One {
    pub version: u64,
    /// The end of its record's id.
    pub id: u32,
    pub place: u64,
    pub key: OwnedKey,
    /// `None` if it was deleted.
    pub value: Option<Stored>,
    /// When it ends, or [`NEVER`].
    pub end: u64,
}

/// The changes that were heard and not taken yet.
pub struct Heard {
    /// Changes with lower versions are skipped.
    from: u64,
    pub queue: VecDeque<One>,
    /// The end of the id of the record that has the version before `from`, if this generation has it.
    pub before: Option<u32>,
    /// The same for the last record.
    pub last: u32,
}

impl<F: File> Segment<F> {
    /// Goes back to the base, and hears every change from the version `from` on.
    pub fn listen(&mut self, keys: &Keys, from: u64) -> Result<()> {
        self.rewind();
        self.heard = Some(Box::new(Heard { from, queue: VecDeque::new(), before: None, last: 0 }));
        self.hear_on(keys)
    }

    /// Hears what was appended since.
    pub fn hear_on(&mut self, keys: &Keys) -> Result<()> {
        self.read_all(keys)?;
        match self.hole {
            Some(hole) => Err(self.broken(hole)),
            None => Ok(()),
        }
    }

    /// Takes note of an operation that was just applied.
    pub fn hear(&mut self, id: u64, place: u64, op: &Op<'_>, blobs: u64, outcome: &Outcome) -> Result<()> {
        let version = self.tail.next_version().saturating_sub(1);
        let Some(from) = self.heard.as_ref().map(|heard| heard.from) else { return Ok(()) };
        let id = id as u32;
        let decided = match outcome {
            // Its key has not been changed since the base.
            Outcome::Open(of) if version >= from => self.decide(place, *op.key(), *of)?,
            other => Some(other.clone()),
        };
        let Some(heard) = &mut self.heard else { return Ok(()) };
        heard.last = id;
        if version < from {
            if version.saturating_add(1) == from {
                heard.before = Some(id);
            }
            return Ok(());
        }
        let (value, end) = match (op, decided) {
            (Op::Set { value, end, .. }, _) | (Op::Swap { value, end, .. }, Some(Outcome::Done)) => {
                (Some(Stored::new(*value, blobs)), *end)
            }
            (Op::Increment { key, .. }, Some(Outcome::Counter(sum))) => {
                (Some(Stored::Bytes(counter::format(sum))), self.tail.end_of(place, key))
            }
            (Op::Delete { .. }, _) | (Op::End { .. }, Some(Outcome::Done)) => (None, NEVER),
            // A swap that came too late, or what is not a counter: nothing changed.
            _ => return Ok(()),
        };
        heard.queue.push_back(One { version, id, place, key: (*op.key()).into(), value, end });
        Ok(())
    }

    fn decide(&mut self, place: u64, key: Key<'_>, of: u64) -> Result<Option<Outcome>> {
        let below = self.below(place, &|other| same_key(&key, other))?;
        Ok(self.tail.warm(place, key, below, of))
    }
}
