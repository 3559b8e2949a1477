//! Reading what was appended to a segment, and what each record does.

use super::opening::index_at;
use super::{CHUNK, FAR, MAX_SIZE, PROBE, Phase, RECENT, Segment, Sent, all_found};
use crate::flaw::Flaw;
use crate::frame::{self, HEADER, MAX_FRAME, Read};
use crate::gap::{self, Gap};
use crate::hash::Keys;
use crate::heap::same;
use crate::record::{self, Index, Record, Seen};
use kvfuse_core::Result;
use kvfuse_transport::files::File;
use std::borrow::Cow;

impl<F: File> Segment<F> {
    /// Reads and applies what was appended since the last time, to the end of the file. `expect` is the likely number
    /// of bytes.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn catch_up(&mut self, keys: &Keys, expect: usize) -> Result<()> {
        self.read_on(keys, expect, (Vec::new(), FAR), &mut [])
    }

    /// The same, to the last of the writes that this instance has just appended. Those that took part have an outcome
    /// then; the others are torn or after a seal, and never will.
    pub fn read_back(&mut self, keys: &Keys, sent: &mut [Sent<'_>]) -> Result<()> {
        let expect = sent.iter().map(|sent| sent.frame.len()).sum::<usize>() + PROBE;
        self.read_on(keys, expect, (Vec::new(), u64::MAX), sent)
    }

    /// Goes back to the base, and forgets the index.
    pub fn rewind(&mut self) {
        let end = self.base_end();
        if let Some(base) = self.base.take() {
            self.start_at(base, None, end);
        }
    }

    /// Reads to the end, however far away it is. The segment is not opened again for that.
    pub fn read_all(&mut self, keys: &Keys) -> Result<()> {
        self.read_on(keys, PROBE, (Vec::new(), u64::MAX), &mut [])
    }

    /// `window` is what has already been read from the position on. If there is more than `far`, the segment is opened
    /// again instead.
    pub(super) fn read_on(
        &mut self,
        keys: &Keys,
        expect: usize,
        (mut window, far): (Vec<u8>, u64),
        sent: &mut [Sent<'_>],
    ) -> Result<()> {
        if let Some(old) = &mut self.old {
            old.read_on(&self.file, keys)?;
            (self.phase, self.position) = (old.phase(), old.position());
            return Ok(());
        }
        let begun = self.position;
        let mut want = expect.max(PROBE);
        let mut again = false;
        if !window.is_empty() {
            let used = self.consume(keys, &window, false, sent)?;
            window.drain(..used.min(window.len()));
        }
        while self.sealed().is_none() || self.config.has(Flaw::SealIgnored) {
            let at = self.position + window.len() as u64;
            if at > MAX_SIZE {
                return Err(self.damaged("it is larger than any segment this store writes"));
            }
            let bytes = self.file.read(at, want).map_err(|error| self.failed(error))?;
            let end = bytes.is_empty() || self.config.has(Flaw::ShortReadIsEnd) && bytes.len() < want;
            if window.is_empty() {
                window = bytes;
            } else {
                window.try_reserve(bytes.len()).map_err(|_| self.damaged("no memory is left to read it"))?;
                window.extend_from_slice(&bytes);
            }
            let used = self.consume(keys, &window, end, sent)?;
            window.drain(..used.min(window.len()));
            if all_found(sent) {
                break;
            }
            if end {
                // The rest may be a record that is being written, but never a complete one.
                let rest = (self.position, window.len());
                if window.is_empty() || self.judged == rest {
                    break;
                }
                if self.judge(&window, self.position)? != Gap::Damaged {
                    self.judged = rest;
                    break;
                }
                if std::mem::replace(&mut again, true) {
                    self.break_at(self.position);
                    break;
                }
                window.clear();
                want = CHUNK;
                continue;
            }
            if self.position > begun.saturating_add(far) && !self.is_waiting() {
                return self.open(keys);
            }
            want = CHUNK;
        }
        Ok(())
    }

    /// Applies the records at the front of `window`, which begins at the position, and returns how many bytes are done.
    /// The position advances with every record, so that after an error it still matches the state.
    pub(super) fn consume(&mut self, keys: &Keys, window: &[u8], end: bool, sent: &mut [Sent<'_>]) -> Result<usize> {
        let mut at = 0;
        while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(size) = self.take(keys, rest, self.position, sent)? {
                at += size;
                self.position += size as u64;
                self.recent
                    .push_back(Seen { position: self.position as u32, version: self.tail.next_version() as u32 });
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
                if (self.sealed().is_some() && !self.config.has(Flaw::SealIgnored)) || all_found(sent) {
                    return Ok(at);
                }
                continue;
            }
            // No whole record. It may be one that is being written, unless there is a whole one after it or more bytes
            // than it can have.
            if matches!(frame::read(&self.checks, rest), Read::Short(_)) && !end && rest.len() < MAX_FRAME {
                return Ok(at);
            }
            match self.scan(rest)? {
                Some(gap) => {
                    let bytes = rest.get(..gap).unwrap_or_default();
                    match self.judge(bytes, self.position)? {
                        Gap::Torn => {}
                        Gap::Lost | Gap::Unclear if self.ended => {}
                        gap @ (Gap::Lost | Gap::Unclear) => {
                            self.unclear = gap == Gap::Unclear;
                            (self.ended, self.lost_at) = (!self.config.has(Flaw::LostPageSkipped), self.position);
                        }
                        Gap::Damaged => self.break_at(self.position),
                    }
                    self.skipped += gap as u64;
                    at += gap;
                    self.position += gap as u64;
                }
                None => {
                    let past = rest.len().saturating_sub(MAX_FRAME);
                    self.skipped += past as u64;
                    self.position += past as u64;
                    return Ok(at + past);
                }
            }
        }
        Ok(at)
    }

    /// Judges bytes that are not a whole record.
    pub fn judge(&self, bytes: &[u8], at: u64) -> Result<Gap> {
        // Once something is damaged, one gap more makes no difference.
        let gap = gap::judge_back(&self.checks, bytes, at, self.hole.is_some(), |from| {
            self.exactly(from, (at - from) as usize).map(Cow::Owned)
        })?;
        // It may be the rest of a record that a host cut, and whose front was on the page that was lost.
        let lost = self.ended && !self.unclear && at > self.lost_at;
        Ok(if gap == Gap::Damaged && lost && !bytes.starts_with(&self.checks.marker()) { Gap::Lost } else { gap })
    }

    /// The distance to the next whole record after the front of `rest`.
    pub(super) fn scan(&mut self, rest: &[u8]) -> Result<Option<usize>> {
        if self.config.has(Flaw::TornHidesRest) {
            return Ok(None);
        }
        let marker = self.checks.marker();
        let mut from = 1;
        while let Some(found) = rest.get(from..).and_then(|rest| rest.windows(4).position(|bytes| bytes == marker)) {
            let at = from + found;
            let candidate = rest.get(at..).unwrap_or_default();
            if !self.spend(candidate) {
                return Err(self.damaged("it has too many broken records"));
            }
            if let Read::Whole(frame) = frame::read(&self.checks, candidate)
                && record::decode(&self.checks, frame.head, frame.blobs).is_some()
            {
                return Ok(Some(at));
            }
            from = at + 1;
        }
        Ok(None)
    }

    /// Applies the record at the beginning of `rest`, if it is a whole one, and returns its size.
    pub(super) fn take(&mut self, keys: &Keys, rest: &[u8], at: u64, sent: &mut [Sent<'_>]) -> Result<Option<usize>> {
        let live = self.phase == Phase::Live || self.sealed().is_some() && self.config.has(Flaw::SealIgnored);
        let counts = live && !self.ended;
        let pending = sent.iter_mut().find(|sent| sent.outcome.is_none());
        // A record that this instance sent a moment ago needs no checksum and no decoding: it is compared.
        if let Some(sent) = pending
            && counts
            && sent.complete
            && rest.get(..sent.frame.len()).is_some_and(|there| same(there, &sent.frame))
        {
            for (ordinal, (place, op)) in (0u16..).zip(&sent.ops) {
                sent.outcome = Some(self.tail.apply(*place, *op, at, at + sent.blobs as u64, ordinal));
            }
            return Ok(Some(sent.frame.len()));
        }
        let Read::Whole(frame) = frame::read(&self.checks, rest) else { return Ok(None) };
        let Some(record) = record::decode(&self.checks, frame.head, frame.blobs) else { return Ok(None) };
        let size = frame.size();
        let blobs = at + (HEADER + frame.head.len()) as u64;
        match record {
            Record::Write { id, seen, ops } if counts && self.agrees(seen, at) => {
                let mut last = None;
                for (ordinal, op) in (0u16..).zip(ops.flatten()) {
                    let place = keys.place(op.key().id());
                    let outcome = self.tail.apply(place, op, at, blobs, ordinal);
                    if self.heard.is_some() {
                        self.hear(id, place, &op, blobs, &outcome)?;
                    }
                    last = Some(outcome);
                }
                if let Some(sent) = sent.iter_mut().find(|sent| sent.id == id) {
                    sent.outcome = last;
                }
            }
            Record::Seal { seal, seen } if self.phase == Phase::Live && (self.ended || self.agrees(seen, at)) => {
                self.phase = Phase::Sealed(seal);
            }
            Record::Index(index) if self.phase == Phase::Live => self.adopt(&index, at),
            Record::Base(base) if self.is_waiting() && base.follows == self.follows => {
                let base = self.base_at(&base, at, 0, size)?;
                self.start_at(base, None, self.position);
            }
            Record::Foreign(format) if self.is_waiting() => return Err(self.foreign(format)),
            // A false alarm takes nothing that any reader counted.
            Record::Write { seen, .. } if live && self.unclear => {
                self.agrees(seen, at);
            }
            // Before the base, or nothing that changes the state.
            _ => {}
        }
        Ok(Some(size))
    }

    /// Whether a writer had seen the same as this reader. If not, a record that counted has vanished.
    pub(super) fn agrees(&mut self, seen: Seen, at: u64) -> bool {
        let known = self.recent.iter().rev().find(|known| known.position <= seen.position);
        let agrees = known.is_none_or(|known| known.position != seen.position || known.version == seen.version);
        if !agrees && !self.config.has(Flaw::LostPageSkipped) {
            self.break_at(at);
            return false;
        }
        true
    }

    /// Switches to an index that was found while reading on.
    pub(super) fn adopt(&mut self, index: &Index<'_>, at: u64) {
        let Some(base) = &self.base else { return };
        if self.ended {
            // Everything that it covers was synced before it was written: no power cut took any of that.
            if u64::from(index.seen.position) > self.lost_at {
                self.break_at(at);
            }
            return;
        }
        if self.heard.is_some() || index.base != base.at || u64::from(index.seen.position) <= self.covered() {
            return;
        }
        let known = self.recent.iter().find(|known| known.position == index.seen.position);
        match known {
            Some(known) if known.version == index.seen.version => {
                self.tail.forget_below(index.next);
                (self.tail.dead, self.tail.dead_bytes) = (Vec::new(), 0);
                self.index = Some(index_at(index));
            }
            Some(_) => self.break_at(at),
            // It is found the next time the segment is opened.
            None => {}
        }
    }
}
