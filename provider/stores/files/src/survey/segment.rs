//! The content of one segment.

use super::Bucket;
use crate::frame::{self, MAX_FRAME, Read};
use crate::gap::Gap;
use crate::hash::Keys;
use crate::item::{Item, Stored, is_over};
use crate::record::{self, Key};
use crate::segment::{CHUNK, Segment};
use crate::sweep::Sweep;
use crate::tree::Tree;
use crate::value;
use kvfuse_core::{Kind, Result};
use kvfuse_transport::files::{Directory, File};
use std::collections::BTreeMap;

/// The most lines of damage for one segment.
const LINES: usize = 20;

/// A live segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its file.
    pub name: String,
    /// The number of keys in it.
    pub keys: u64,
    /// The size of its file.
    pub bytes: u64,
    /// Bytes that the live pairs would take in a fresh segment.
    pub live: u64,
    /// Bytes of records that are cut off: their writers died, or are still writing.
    pub torn: u64,
    /// Bytes that something other than this store changed.
    pub damaged: u64,
    /// Whether it is sealed and the next instance that needs it will make its successor.
    pub sealed: bool,
}

impl Part {
    /// Bytes that compaction would free.
    pub fn dead(&self) -> u64 {
        self.bytes.saturating_sub(self.live)
    }
}

/// Reads all of a segment. What has ended at `time`, in milliseconds since 1970, is not counted. What cannot be read is reported in `damage`, and the rest is counted.
pub fn part<F: File>(
    mut segment: Segment<F>,
    (keys, time): (&Keys, u64),
    named: &mut BTreeMap<String, u64>,
    bucket: &mut Bucket,
    files: &dyn Fn(&Item, &mut Bucket) -> Result<()>,
) -> Result<Part> {
    let bytes = segment.file.size().map_err(|error| segment.failed(error))?;
    let mut part =
        Part { name: segment.name(), keys: 0, bytes, live: 0, torn: 0, damaged: 0, sealed: segment.sealed().is_some() };
    if segment.old.is_none() {
        // Bytes after a seal do not count.
        let end = if part.sealed { segment.position } else { bytes };
        gaps(&segment, keys, end, &mut part)?;
    }
    if part.damaged > 0 {
        let line = format!("the file {} has {} bytes that are not as they were written", part.name, part.damaged);
        bucket.damage.push(line);
    }
    let mut lines = 0;
    let mut tell = |bucket: &mut Bucket, result: Result<()>| match result {
        Err(error) if error.kind() == Kind::Damaged => {
            lines += 1;
            if lines <= LINES {
                bucket.damage.push(error.message().to_string());
            }
            Ok(())
        }
        other => other,
    };
    let mut sweep = Sweep::whole(&segment.config);
    for slice in 0..segment.slices() {
        let items = match segment.slice(keys, slice, &mut sweep) {
            Ok(slice) => slice.items,
            Err(error) => {
                tell(bucket, Err(error))?;
                continue;
            }
        };
        for item in &items {
            if !is_over(item.found.end, time) {
                part.keys += 1;
                part.live += 14 + item.key.borrow().id().len() as u64 + item.found.value.bytes();
            }
            named.extend(files_of(item));
            if let Stored::Pieces(pieces) = &item.found.value {
                tell(bucket, segment.pieces(pieces).map(drop))?;
            }
            let read = files(item, bucket);
            tell(bucket, read)?;
        }
    }
    Ok(part)
}

/// Reads the files of a pair and compares their checks. Missing files are found without reading.
pub fn verified<D: Directory>(tree: &Tree<D>, item: &Item, bucket: &mut Bucket) -> Result<()> {
    if let Key::Far { length, .. } = item.key.borrow()
        && tree.key_text(item)?.is_some()
    {
        bucket.verified.add(u64::from(length));
    }
    match &item.found.value {
        Stored::File(file) if file.check.is_none() => bucket.unchecked.add(file.size),
        Stored::File(file) if value::read(&tree.directory, &tree.keys, file)?.is_some() => {
            bucket.verified.add(file.size)
        }
        _ => {}
    }
    Ok(())
}

/// Counts the bytes of a segment that are not a whole record.
fn gaps<F: File>(segment: &Segment<F>, keys: &Keys, end: u64, part: &mut Part) -> Result<()> {
    let (mut at, mut window, mut gap) = (0, Vec::new(), Vec::new());
    let old = keys.checks(b's', segment.node, segment.generation).marker();
    let mut count = |gap: &mut Vec<u8>, end: u64| -> Result<()> {
        let begin = end - gap.len() as u64;
        match segment.judge(gap, begin)? {
            _ if gap.is_empty() => {}
            // Begun in format 2 by a writer that died, before there was a base.
            _ if begin == 0 && gap.starts_with(&old) => part.torn += gap.len() as u64,
            Gap::Torn | Gap::Lost | Gap::Unclear => part.torn += gap.len() as u64,
            Gap::Damaged => part.damaged += gap.len() as u64,
        }
        gap.clear();
        Ok(())
    };
    while at < end {
        let next = at + window.len() as u64;
        let more = if window.len() < MAX_FRAME && next < end {
            let want = (end - next).min(CHUNK as u64) as usize;
            segment.file.read(next, want).map_err(|error| segment.failed(error))?
        } else {
            Vec::new()
        };
        let ended = more.is_empty();
        window.extend_from_slice(&more);
        if window.len() < MAX_FRAME && !ended {
            continue;
        }
        let mut done = 0;
        while let Some(rest) = window.get(done..).filter(|rest| rest.len() >= MAX_FRAME || ended && !rest.is_empty()) {
            match frame::read(&segment.checks, rest) {
                Read::Whole(frame) if record::decode(&segment.checks, frame.head, frame.blobs).is_some() => {
                    count(&mut gap, at + done as u64)?;
                    done += frame.size();
                }
                _ => {
                    gap.extend(rest.first());
                    done += 1;
                }
            }
        }
        window.drain(..done);
        at += done as u64;
        if ended && window.is_empty() {
            break;
        }
    }
    count(&mut gap, at)
}

fn files_of(item: &Item) -> impl Iterator<Item = (String, u64)> + use<> {
    let key = match item.key.borrow() {
        Key::Far { length, file, .. } => Some((file.path(), u64::from(length))),
        Key::Whole(_) => None,
    };
    let value = match &item.found.value {
        Stored::File(file) => Some((file.name.path(), file.size)),
        Stored::Bytes(_) | Stored::Pieces(_) => None,
    };
    key.into_iter().chain(value)
}
