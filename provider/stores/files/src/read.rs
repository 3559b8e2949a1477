//! Reading: check whether anything was appended, then answer from the state.

use crate::body;
use crate::error::failed;
use crate::inside::Life;
use crate::item::{Found, Item, OwnedKey, Stored, is_over};
use crate::name::Node;
use crate::record::{FileValue, MAX_KEY, Plan};
use crate::sweep::Sweep;
use crate::tree::{Access, TRIES, Tree, unstable};
use crate::value;
use crate::write::Name;
use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::{BodyReader, Error, Kind, Page, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};

impl<D: Directory> Tree<D> {
    /// The value and the version of a key.
    pub fn get(&mut self, name: Name<'_>) -> Result<Option<(Vec<u8>, u64)>> {
        let mut missed = None;
        for _ in 0..TRIES {
            let Some((node, found)) = self.lasting(&name)? else { return Ok(None) };
            let Some(segment) = self.segments.get_mut(&node) else { continue };
            let version = found.version;
            return Ok(Some((
                match found.value {
                    Stored::Bytes(bytes) => bytes,
                    Stored::Pieces(pieces) => segment.pieces(&pieces)?,
                    Stored::File(file) => match self.opening(|tree| value::read(&tree.directory, &tree.keys, &file))? {
                        Some(bytes) => bytes,
                        // Replaced and removed since, as the log shows. If it does not, the file is lost.
                        None if missed == Some(version) => return Err(value::gone(file.name, "is missing")),
                        None => {
                            missed = Some(version);
                            self.next_turn();
                            continue;
                        }
                    },
                },
                version,
            )));
        }
        Err(Error::new(Kind::Unavailable, "the value was replaced each time it was being read; try again"))
    }

    /// The value of a key as a host stream.
    pub fn get_body(&mut self, name: Name<'_>) -> Result<Option<BodyReader>> {
        let mut missed = None;
        for _ in 0..TRIES {
            let Some((node, found)) = self.lasting(&name)? else { return Ok(None) };
            let Some(segment) = self.segments.get_mut(&node) else { continue };
            let version = found.version;
            return match found.value {
                Stored::Bytes(bytes) => self.stream_of(&mut std::iter::once(Ok(bytes))).map(Some),
                Stored::Pieces(pieces) => {
                    let value = segment.pieces(&pieces);
                    self.stream_of(&mut std::iter::once(value)).map(Some)
                }
                Stored::File(value) => {
                    let fail = |error| failed("the file of a value", error);
                    let file = match self.directory.open(&value.name.path(), Open::Read) {
                        Ok(file) => file,
                        Err(FileError::NotFound) if missed == Some(version) => {
                            return Err(value::gone(value.name, "is missing"));
                        }
                        Err(FileError::NotFound) => {
                            missed = Some(version);
                            self.next_turn();
                            continue;
                        }
                        Err(error) => return Err(fail(error)),
                    };
                    let size = file.size().map_err(fail)?;
                    if size < value.size {
                        return Err(value::gone(value.name, "is not as it was written"));
                    }
                    if size > value.size {
                        // Its writer went on after it was stored: only the value may be visible.
                        let mut at = 0;
                        let mut pieces = std::iter::from_fn(|| {
                            let length = (value.size - at).min(1 << 20) as usize;
                            let piece = (length > 0).then(|| file.read(at, length).map_err(fail))?;
                            at = match &piece {
                                Ok(bytes) if !bytes.is_empty() => at + bytes.len() as u64,
                                _ => value.size,
                            };
                            Some(piece)
                        });
                        return self.stream_of(&mut pieces).map(Some);
                    }
                    let stream = file.input_stream(0).map_err(fail)?;
                    Ok(Some(BodyReader { size, stream }))
                }
            };
        }
        Err(Error::new(Kind::Unavailable, "the value was replaced each time it was being read; try again"))
    }

    /// A host stream of bytes without a file of their own: it reads a file that is removed before it is read.
    fn stream_of(&self, pieces: &mut dyn Iterator<Item = Result<Vec<u8>>>) -> Result<BodyReader> {
        let fail = |error| failed("the file of a value under way", error);
        let (file, path) = body::create(&*self.root, self.ids.next(&*self.root))?;
        let mut size = 0;
        let write = || {
            for piece in pieces {
                let piece = piece?;
                file.write(size, &piece).map_err(fail)?;
                size += piece.len() as u64;
            }
            Ok(())
        };
        let written = write();
        let stream = written.and_then(|()| file.input_stream(0).map_err(fail));
        let _ = self.root.unlink(&path);
        Ok(BodyReader { size, stream: stream? })
    }

    /// When a key's value ends; `None` if it has none.
    pub fn end(&mut self, name: Name<'_>) -> Result<Option<u64>> {
        Ok(self.lasting(&name)?.map(|(_, found)| found.end))
    }

    /// Whether a segment has an entry of a key, although it may have ended.
    pub fn has_entry(&mut self, name: &Name<'_>) -> Result<bool> {
        for _ in 0..TRIES {
            let Some(node) = self.seek(name.hash, Access::Read)? else { return Ok(false) };
            if let Some(segment) = self.segments.get_mut(&node) {
                return Ok(segment.find(name)?.is_some());
            }
        }
        Err(unstable())
    }

    /// The entry of a key whose value has not ended, and the node whose segment has it.
    fn lasting(&mut self, name: &Name<'_>) -> Result<Option<(Node, Found)>> {
        let mut before = None;
        for _ in 0..TRIES {
            let Some(node) = self.seek(name.hash, Access::Read)? else { return Ok(None) };
            let Some(segment) = self.segments.get_mut(&node) else { continue };
            let Some(found) = segment.find(name)? else { return Ok(None) };
            match self.directory.life(found.end, &mut before) {
                Life::Lasts => return Ok(Some((node, found))),
                Life::Over => return Ok(None),
                Life::Unclear => self.next_turn(),
            }
        }
        Err(unstable())
    }

    /// A page of keys in order of their hashes. A cursor is the last hash returned.
    pub fn list(&mut self, cursor: Option<&str>) -> Result<Page> {
        let mut from = match cursor {
            None => 0,
            Some(text) => parse_cursor(text)? + 1,
        };
        let mut page = Page::default();
        let mut bytes = 0;
        let mut sweep = Sweep::default();
        let (mut before, mut again, mut missed) = (None, None, None);
        let end = Node::ROOT.last();
        'slices: while from <= end {
            self.evict();
            let Some(node) = self.seek(from, Access::Read)? else { break };
            let Some(segment) = self.segments.get_mut(&node) else { continue };
            // A node sealed for a split whose children are not all there answers only for the part asked.
            let part = match segment.sealed() {
                Some(seal) if seal.plan == Plan::Split => node.child(from),
                _ => node,
            };
            let slice = segment.slice_of(from);
            let last = segment.last_of(slice).min(part.last());
            let items = segment.slice(&self.keys, slice, &mut sweep)?.items;
            // The same as for one key, but a slice is read no more than twice: what has ended since is still listed.
            let mut now = before;
            let unclear = |item: &Item| matches!(self.directory.life(item.found.end, &mut now), Life::Unclear);
            if again != Some(from) && items.iter().any(unclear) {
                (before, again) = (now, Some(from));
                sweep = Sweep::default();
                self.next_turn();
                continue;
            }
            let (mut previous, mut complete) = (None, page.keys.len());
            let live = |item: &&Item| !before.is_some_and(|time| is_over(item.found.end, time));
            for item in items.iter().filter(|item| item.place >= from && item.place <= last).filter(live) {
                let full = page.keys.len() >= PAGE_KEYS || bytes >= PAGE_BYTES;
                if full && previous != Some(item.place) {
                    page.cursor = Some(previous.unwrap_or(from.saturating_sub(1)).to_string());
                    return Ok(page);
                }
                if previous != Some(item.place) {
                    (previous, complete) = (Some(item.place), page.keys.len());
                }
                let Some(key) = self.key_text(item)? else {
                    // It may have been replaced.
                    let file = item.files().next();
                    if let Some(name) = missed.filter(|_| missed == file) {
                        return Err(value::gone(name, "is missing"));
                    }
                    page.keys.truncate(complete);
                    (missed, from, sweep) = (file, item.place, Sweep::default());
                    self.next_turn();
                    continue 'slices;
                };
                bytes += key.len();
                page.keys.push(key);
            }
            from = last + 1;
            // The next key may be far away: return where to go on instead of searching for it.
            if (page.keys.len() >= PAGE_KEYS || bytes >= PAGE_BYTES) && from <= end {
                page.cursor = Some(last.to_string());
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// The text of an entry's key; `None` if the entry was replaced and the file of its key is gone.
    pub fn key_text(&self, item: &Item) -> Result<Option<String>> {
        let bytes = match &item.key {
            OwnedKey::Whole(bytes) => bytes.clone(),
            OwnedKey::Far { length, file, digest } => {
                let value = FileValue { name: *file, size: u64::from(*length), check: None };
                let Some(bytes) = value::read(&self.directory, &self.keys, &value)? else { return Ok(None) };
                if bytes.len() <= MAX_KEY || self.keys.digest(&bytes) != *digest {
                    return Err(value::gone(*file, "is not as it was written"));
                }
                bytes
            }
        };
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Error::new(Kind::Damaged, "a key in the bucket is not as it was written: it is not Unicode"))
    }
}

fn parse_cursor(text: &str) -> Result<u64> {
    text.parse::<u64>()
        .ok()
        .filter(|n| *n <= Node::ROOT.last() && n.to_string() == text)
        .ok_or_else(|| Error::invalid("this cursor is not from this store; start again without one"))
}
