//! Runs: entries in order of their places, in pages whose position can be computed.
//!
//! A run divides the places of its node evenly over its pages, so that a place alone determines the page, and one read
//! at a known offset gets it. Places are keyed hashes, so pages are of about equal length. Each page has a check that
//! is bound to the run and to its number in it. A segment has two kinds of runs: the base, whose entries are pairs, and
//! the index, whose entries say where the operation is that gave a key its present state.
//!
//! ```text
//! page:   check 8, entries to its end
//! mark:   place 8, version 8, offset of the frame 4, which of its operations 2, what 1: 0 value, 1 none,
//!         2 counter: value 8, 3 counter with a lifetime: value 8, end 8
//! ```

use crate::encode::{Encoder, RunAt};
use crate::error::failed;
use crate::frame::{MAX_FRAME, OVERHEAD};
use crate::hash::Checks;
use crate::heap::same;
use crate::name::Node;
use crate::part::{Bytes, Directory, Key, NEVER, Pair, Seen};
use crate::record::ENDS;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::File;

/// Bytes of a page before its entries.
const CHECK: usize = 8;
/// The most bytes of the pages in one frame, their lengths included.
const MAX_PART: usize = MAX_FRAME - OVERHEAD - 16;
/// Bytes of a mark; those of counters are longer.
pub const MARK: usize = 23;
/// The last of these bytes, in a counter's, and in that of one with a lifetime.
const COUNTER: u8 = 2;
const ENDING_COUNTER: u8 = 3;
/// The most pages of a run: its directory has to fit into one frame.
pub const MAX_PAGES: u32 = 16 << 10;
/// Attempts at a frame, each undone by a host that cuts appends.
const ATTEMPTS: usize = 4;

/// Where the pages of a run are.
pub struct Run {
    pub id: u64,
    /// For each part, the number of its first page, and its offset in the file.
    parts: Box<[(u32, u32)]>,
    lengths: Box<[u16]>,
}

#[deny(clippy::arithmetic_side_effects)]
impl Run {
    pub fn new(id: u64, directory: &Directory<'_>) -> Self {
        let mut first = 0;
        let mut parts = Vec::new();
        for (at, pages) in directory.parts() {
            parts.push((first, at));
            // A directory has fewer than 2^32 pages: 2^16 - 1 times as many.
            first = u32::saturating_add(first, u32::from(pages));
        }
        Self { id, parts: parts.into(), lengths: directory.lengths().collect() }
    }

    /// How many pages it has.
    pub fn pages(&self) -> u32 {
        self.lengths.len() as u32
    }

    /// Bytes of its pages.
    pub fn bytes(&self) -> u64 {
        self.lengths.iter().map(|length| u64::from(*length)).sum()
    }

    /// An estimate of the memory it takes, in bytes.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.parts).saturating_add(size_of_val(&*self.lengths))
    }

    /// Offset and length of a page.
    pub fn place_of(&self, page: u32) -> Option<(u64, usize)> {
        let part = self.parts.partition_point(|(first, _)| *first <= page).checked_sub(1)?;
        let (first, at) = *self.parts.get(part)?;
        let before = self.lengths.get(first as usize..page as usize)?;
        let before = before.iter().map(|length| u64::from(*length)).sum::<u64>();
        let at = u64::from(at).saturating_add(before);
        Some((at, usize::from(*self.lengths.get(page as usize)?)))
    }
}

/// The page that has a place, of `pages` that divide a node.
pub fn page_of(node: Node, pages: u32, place: u64) -> u32 {
    let inside = place.saturating_sub(node.first());
    ((u128::from(inside) * u128::from(pages)) >> node.bits_below()) as u32
}

/// The first place of a page, of `pages` that divide a node; after the last one, the first place after the node.
pub fn first_of(node: Node, pages: u32, page: u32) -> u64 {
    let inside = (u128::from(page) << node.bits_below()).div_ceil(u128::from(pages.max(1)));
    node.first().saturating_add(inside as u64)
}

/// How many pages of `page` bytes hold this many bytes.
pub fn pages_for(bytes: u64, page: u64) -> u32 {
    (bytes / page.max(1)).clamp(1, u64::from(MAX_PAGES)) as u32
}

fn check(checks: &Checks, run: u64, page: u32, content: &[u8]) -> u64 {
    let mut identity = [0; 12];
    identity.iter_mut().zip(run.to_le_bytes().into_iter().chain(page.to_le_bytes())).for_each(|(to, from)| *to = from);
    checks.sum(content) ^ checks.sum(&identity)
}

/// The entries of a page, if it is undamaged.
pub fn open<'a>(checks: &Checks, run: u64, page: u32, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, content) = bytes.split_first_chunk::<CHECK>()?;
    (u64::from_le_bytes(*sum) == check(checks, run, page, content)).then_some(content)
}

/// The entries of a page that was checked when it was read.
pub fn content(page: &[u8]) -> &[u8] {
    page.get(CHECK..).unwrap_or_default()
}

/// The pairs of a page of a base, each `None` from the first that cannot be read.
pub struct Pairs<'a>(Bytes<'a>);

impl<'a> Pairs<'a> {
    pub fn new(content: &'a [u8]) -> Self {
        Self(Bytes(content))
    }

    fn pair(&mut self) -> Option<Pair<'a>> {
        let bytes = &mut self.0;
        let version = bytes.u64()?;
        let end = if version & ENDS == 0 { NEVER } else { bytes.end()? };
        Some(Pair { version: version & !ENDS, key: bytes.key()?, value: bytes.value(&mut 0)?, end })
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Option<Pair<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.0.is_empty()).then(|| {
            let pair = self.pair();
            if pair.is_none() {
                self.0.0 = &[];
            }
            pair
        })
    }
}

/// An entry of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub place: u64,
    pub version: u64,
    /// The frame of the operation that gave the key its state, and which of its operations that is.
    pub at: u32,
    pub ordinal: u16,
    pub what: What,
}

/// The state that an operation gave a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The operation has the value.
    Value,
    Gone,
    Counter {
        sum: i64,
        /// When it ends, or [`NEVER`].
        end: u64,
    },
}

impl Mark {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.place.to_le_bytes());
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        match self.what {
            What::Value => out.push(0),
            What::Gone => out.push(1),
            What::Counter { sum, end } => {
                out.push(if end == NEVER { COUNTER } else { ENDING_COUNTER });
                out.extend_from_slice(&sum.to_le_bytes());
                if end != NEVER {
                    out.extend_from_slice(&end.to_le_bytes());
                }
            }
        }
    }
}

/// The marks of a page of an index, up to the first that cannot be read.
pub struct Marks<'a>(Bytes<'a>);

impl<'a> Marks<'a> {
    pub fn new(content: &'a [u8]) -> Self {
        Self(Bytes(content))
    }

    /// The marks of one place, from marks in order of places. The others are skipped without being decoded.
    pub fn at(mut content: &'a [u8], place: u64) -> impl Iterator<Item = Mark> + use<'a> {
        while let Some((mark, rest)) = content.split_first_chunk::<MARK>()
            && mark.first_chunk().is_some_and(|there| u64::from_le_bytes(*there) < place)
        {
            let more = match mark.last() {
                Some(&COUNTER) => size_of::<i64>(),
                Some(&ENDING_COUNTER) => 2 * size_of::<i64>(),
                _ => 0,
            };
            content = rest.get(more..).unwrap_or_default();
        }
        Self::new(content).take_while(move |mark| mark.place == place)
    }
}

impl Iterator for Marks<'_> {
    type Item = Mark;

    fn next(&mut self) -> Option<Mark> {
        let bytes = &mut self.0;
        let (place, version, at, ordinal) = (bytes.u64()?, bytes.u64()?, bytes.u32()?, bytes.u16()?);
        let what = match bytes.u8()? {
            0 => What::Value,
            1 => What::Gone,
            COUNTER => What::Counter { sum: bytes.i64()?, end: NEVER },
            ENDING_COUNTER => What::Counter { sum: bytes.i64()?, end: bytes.end()? },
            _ => return None,
        };
        Some(Mark { place, version, at, ordinal, what })
    }
}

/// Appends frames to a file that others may append to as well, and finds out where they are.
pub struct Appender<'a, F> {
    pub file: &'a F,
    pub name: &'a str,
    /// The search starts here.
    pub position: u64,
    /// Where this writer was when it first found appends by others, if there were any.
    pub others: Option<u64>,
}

impl<F: File> Appender<'_, F> {
    /// Appends a frame and returns its offset. The frame is looked for after every attempt, including the last.
    pub fn append(&mut self, frame: &[u8]) -> Result<u64> {
        let fail = |error| failed(&format!("the file {}", self.name), error);
        for _ in 0..ATTEMPTS {
            let sent = self.file.append(frame);
            if let Some(at) = self.find(frame)? {
                if at != self.position && self.others.is_none() {
                    self.others = Some(self.position);
                }
                self.position = at + frame.len() as u64;
                return Ok(at);
            }
            sent.map_err(fail)?;
        }
        Err(Error::new(
            Kind::Unavailable,
            format!(
                "the file {}: appended data cannot be read back; other writers may be in the way, try again",
                self.name
            ),
        ))
    }

    fn find(&self, frame: &[u8]) -> Result<Option<u64>> {
        let fail = |error| failed(&format!("the file {}", self.name), error);
        let (mut at, mut window) = (self.position, Vec::new());
        loop {
            let bytes = self.file.read(at + window.len() as u64, frame.len().max(512)).map_err(fail)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            window.extend_from_slice(&bytes);
            if let Some(found) = position(&window, frame) {
                return Ok(Some(at + found as u64));
            }
            let done = window.len().saturating_sub(frame.len() - 1);
            window.drain(..done);
            at += done as u64;
        }
    }
}

/// The position of bytes in others.
fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first_chunk::<4>()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let found = rest.windows(4).position(|four| four == first)?;
        if rest.get(found..).and_then(|rest| rest.get(..wanted.len())).is_some_and(|there| same(there, wanted)) {
            return Some(from + found);
        }
        from += found + 1;
    }
}

/// Writes the pages of a run.
pub struct Writer<'a, F> {
    pub to: Appender<'a, F>,
    checks: &'a Checks,
    id: u64,
    node: Node,
    pages: u32,
    /// The page that is being filled.
    page: Vec<u8>,
    part: Vec<u8>,
    part_pages: u16,
    parts: Vec<(u32, u16)>,
    lengths: Vec<u16>,
    /// Bytes of the pages in one frame, their lengths included.
    pub most: usize,
}

/// A run whose pages were appended.
pub struct Written {
    pub id: u64,
    parts: Vec<(u32, u16)>,
    lengths: Vec<u16>,
}

impl Written {
    pub fn at(&self, seen: Seen) -> RunAt<'_> {
        RunAt { id: self.id, seen, parts: &self.parts, lengths: &self.lengths }
    }
}

/// Why the pages of a run could not be written.
#[derive(Debug)]
pub enum Trouble {
    /// A page has too many entries: more pages are needed.
    TooFull,
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a, F: File> Writer<'a, F> {
    pub fn new(to: Appender<'a, F>, checks: &'a Checks, id: u64, node: Node, pages: u32) -> Self {
        let (part, parts, lengths) = (Vec::new(), Vec::new(), Vec::new());
        Self { to, checks, id, node, pages, page: vec![0; CHECK], part, part_pages: 0, parts, lengths, most: MAX_PART }
    }

    /// Adds an entry. Entries must be added in order of places.
    pub fn add(&mut self, place: u64, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Trouble> {
        let page = page_of(self.node, self.pages, place);
        while (self.lengths.len() as u32) < page {
            self.end_page()?;
        }
        write(&mut self.page);
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), Trouble> {
        let number = self.lengths.len() as u32;
        let length = u16::try_from(self.page.len()).ok().filter(|length| usize::from(*length) + 2 <= MAX_PART);
        let length = length.ok_or(Trouble::TooFull)?;
        let sum = check(self.checks, self.id, number, self.page.get(CHECK..).unwrap_or_default());
        if let Some(place) = self.page.first_chunk_mut() {
            *place = sum.to_le_bytes();
        }
        if self.part.len() + self.page.len() + 2 * (usize::from(self.part_pages) + 1) > self.most {
            self.end_part()?;
        }
        self.part.extend_from_slice(&self.page);
        self.part_pages += 1;
        self.lengths.push(length);
        self.page.truncate(CHECK);
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), Trouble> {
        let first = self.lengths.len() - usize::from(self.part_pages);
        let lengths = self.lengths.get(first..).unwrap_or_default();
        let (frame, pages) = Encoder::pages(self.checks, self.id, first as u32, lengths, &self.part);
        let at = self.to.append(&frame)? + pages as u64;
        let at = u32::try_from(at).map_err(|_| too_large(self.to.name))?;
        self.parts.push((at, self.part_pages));
        self.part.clear();
        self.part_pages = 0;
        Ok(())
    }

    /// Writes the remaining pages. Returns where the pages are, and up to which offset nobody else appended.
    pub fn finish(mut self) -> Result<(Written, u64), Trouble> {
        while (self.lengths.len() as u32) < self.pages {
            self.end_page()?;
        }
        self.end_part()?;
        // An append by another writer may have begun before this one did.
        let alone = self.to.others.map_or(self.to.position, |others| others.saturating_sub(MAX_FRAME as u64));
        Ok((Written { id: self.id, parts: self.parts, lengths: self.lengths }, alone))
    }
}

/// The error for a segment that is too large for the offsets in records.
pub fn too_large(name: &str) -> Error {
    let message = format!("the file {name} would be larger than 4 GiB; spread the keys over several buckets");
    Error::new(Kind::QuotaExceeded, message)
}

/// Whether two keys are the same.
pub fn same_key(a: &Key<'_>, b: &Key<'_>) -> bool {
    a.is_far() == b.is_far() && a.id() == b.id()
}
