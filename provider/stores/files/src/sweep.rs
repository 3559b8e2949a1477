//! Reading a segment in order of places, with few and large reads.
//!
//! Pages are in order of places, so they are read ahead. The records that an index refers to are in the order in which
//! they were written. For a walk through a whole segment, the records of many places are collected in one pass over the
//! file, instead of one by one.

use crate::cache::RunKind;
use crate::config::Config;
use crate::frame::{self, HEADER};
use crate::name::Node;
use crate::run::{self, Marks, Run, first_of, page_of};
use crate::segment::{CHUNK, Segment};
use kvfuse_core::Result;
use kvfuse_transport::files::File;
use std::collections::HashMap;

/// What was read ahead on a walk through a segment. Moving to another segment drops it.
#[derive(Default)]
pub struct Sweep {
    /// The file that it belongs to.
    file: u64,
    /// Approximately how many bytes of records are collected at once, and never twice as many. With 0, each record is
    /// read when it is asked for.
    most: usize,
    /// A part of the file, and its offset.
    ahead: (u64, Vec<u8>),
    /// The first and the last place whose records are collected.
    places: Option<(u64, u64)>,
    /// Where in `bytes` the record at an offset of the file is.
    records: HashMap<u32, std::ops::Range<usize>>,
    bytes: Vec<u8>,
}

impl Sweep {
    /// A walk through all of a segment, with about an eighth of the memory for records.
    pub fn whole(config: &Config) -> Self {
        Self { most: config.memory / 8, ..Self::default() }
    }

    fn on(&mut self, file: u64) {
        if self.file != file {
            *self = Self { most: self.most, file, ..Self::default() };
        }
    }

    /// The record at an offset, if it was collected.
    pub fn record(&self, at: u32) -> Option<&[u8]> {
        self.bytes.get(self.records.get(&at)?.clone())
    }

    fn piece(&self, at: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.ahead.0)?).ok()?;
        self.ahead.1.get(from..from.checked_add(length)?)
    }
}

impl<F: File> Segment<F> {
    /// A page of a run, checked, but not cached: the next one needed is another page.
    pub(crate) fn swept<'a>(&self, run: &Run, number: u32, sweep: &'a mut Sweep) -> Result<&'a [u8]> {
        sweep.on(self.checks.file());
        let (at, length) = run.place_of(number).ok_or_else(|| self.damaged("a page of it is missing"))?;
        if sweep.piece(at, length).is_none() {
            let read = self.file.read(at, CHUNK.max(length)).ok().filter(|bytes| bytes.len() >= length);
            // The part that cannot be read may be after the page.
            sweep.ahead = (at, read.map_or_else(|| self.exactly(at, length), Ok)?);
        }
        let bytes = sweep.piece(at, length).unwrap_or_default();
        let content = run::open(&self.checks, run.id, number, bytes);
        content.ok_or_else(|| self.damaged(&format!("the page at byte {at} is not as it was written")))
    }

    /// Collects the records that the index refers to for places from `from` on, at least up to `to`.
    pub(crate) fn collect(&self, from: u64, to: u64, sweep: &mut Sweep) -> Result<()> {
        sweep.on(self.checks.file());
        let there = sweep.places.is_some_and(|(first, last)| first <= from && to <= last);
        let Some(index) = self.index.as_ref().filter(|_| sweep.most > 0 && !there) else { return Ok(()) };
        let Sweep { most, places, records, bytes, .. } = sweep;
        records.clear();
        bytes.clear();
        let (offsets, last) = self.offsets(index.run.pages(), from, to, *most)?;
        *places = Some((from, last));
        let mut window = (0, Vec::new());
        for at in offsets {
            if bytes.len() > 2 * *most {
                break;
            }
            // Damage is reported when that record is asked for.
            let Some(record) = self.record_in(&mut window, at) else { continue };
            if bytes.try_reserve(record.len()).is_err() {
                break;
            }
            records.insert(at, bytes.len()..bytes.len() + record.len());
            bytes.extend_from_slice(record);
        }
        Ok(())
    }

    /// The offsets of as many records as fit into `most` bytes, in order, and the last place that they cover.
    fn offsets(&self, pages: u32, from: u64, to: u64, most: usize) -> Result<(Vec<u32>, u64)> {
        let Some(index) = &self.index else { return Ok((Vec::new(), to)) };
        let written = self.covered().saturating_sub(self.base_end());
        let marks = (index.run.bytes() / run::MARK as u64).max(1);
        let enough = (most as u64 / (written / marks).max(1)) as usize;
        let mut offsets: Vec<u32> = Marks::new(&index.last).map(|mark| mark.at).collect();
        let node: Node = self.node;
        let mut number = page_of(node, pages, from);
        loop {
            let page = self.page(RunKind::Index, &index.run, number)?;
            let marks = Marks::new(run::content(&page)).filter(|mark| mark.place >= from);
            offsets.extend(marks.map(|mark| mark.at));
            number += 1;
            if number >= pages || offsets.len() > enough && number > page_of(node, pages, to) {
                break;
            }
        }
        let last = if number >= pages { node.last() } else { first_of(node, pages, number) - 1 };
        offsets.sort_unstable();
        offsets.dedup();
        Ok((offsets, last))
    }

    /// The record at an offset, from the window if it is there.
    fn record_in<'a>(&self, window: &'a mut (u64, Vec<u8>), at: u32) -> Option<&'a [u8]> {
        let at = u64::from(at);
        let inside = |window: &(u64, Vec<u8>), length: usize| {
            let from = at.checked_sub(window.0).and_then(|from| usize::try_from(from).ok())?;
            window.1.get(from..from.checked_add(length)?).map(|_| from)
        };
        let mut size = HEADER;
        loop {
            let Some(from) = inside(window, size) else {
                let bytes = self.file.read(at, CHUNK.max(size)).ok()?;
                let enough = bytes.len() >= size;
                *window = (at, bytes);
                if enough { continue } else { return None }
            };
            let (head, blobs) = frame::lengths(&self.checks, window.1.get(from..)?)?;
            let whole = frame::size(head, blobs);
            if whole <= size {
                return window.1.get(from..from + whole);
            }
            size = whole;
        }
    }
}
