//! A bucket's anchor: the random number that its hashes and checksums are keyed with.
//!
//! ```text
//!  0  8  "kvfuse\0L"
//!  8  2  format: 2 or 3, or 4 to note that there are lifetimes
//! 10  1  stage: 0, or 1 once the bucket has a first segment, or 2 for a node that has split,
//!        or 3 for one that says nothing about what survives
//! 11  1  depth of that node, otherwise 0
//! 12  4  zero
//! 16 16  random number; in stage 2 the bits of the node 8, and the seal that its children follow 8
//! 32  8  SipHash-1-3 with key 0 of the 32 bytes before
//! ```
//! The file is append-only, and its first whole anchor counts, so instances that create one at the same time agree.
//! Once it survives a power cut it is appended a second time, which tells readers so; and with stage 1 once there is a
//! first segment, so that a bucket whose files are gone is distinguished from a new one. After a failed sync it is
//! first appended again with stage 3, and synced. Splits of nodes are recorded here as well, so that a first read need
//! not read the logs of all nodes on its way. The logs are authoritative.

use crate::config::Config;
use crate::flaw::Flaw;
use crate::hash::Keys;
use crate::name::{ANCHOR, Node};
use crate::record::{FORMAT, LIFETIMES};
use crate::room::Shared;
use crate::segment::damaged;
use crate::v2;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use siphasher::sip::SipHasher13;

const MAGIC: [u8; 8] = *b"kvfuse\0L";
const CHECKED: usize = 32;
const SIZE: usize = CHECKED + 8;
/// The number of bytes that are searched for an anchor; torn ones are shorter than [`SIZE`].
const SEARCHED: usize = 64 << 10;
/// The stage of an anchor that is appended because a sync failed.
const AGAIN: u8 = 3;
/// Attempts at an anchor, each undone by a host that cuts appends.
const ATTEMPTS: usize = 4;

fn encode(random: &[u8; 16], stage: u8, depth: u8) -> Vec<u8> {
    encode_in(FORMAT, random, stage, depth)
}

fn encode_in(format: u16, random: &[u8; 16], stage: u8, depth: u8) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&format.to_le_bytes());
    out.extend_from_slice(&[stage, depth, 0, 0, 0, 0]);
    out.extend_from_slice(random);
    let sum = SipHasher13::new_with_keys(0, 0).hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// A bucket's anchor.
pub struct Anchor {
    pub keys: Keys,
    random: [u8; 16],
    /// Whether it is known to survive a power cut.
    pub persisted: bool,
    /// Whether the bucket is known to have a first segment.
    pub begun: bool,
    /// Whether values in the bucket may have lifetimes.
    pub lifetimes: bool,
    /// Whether the file has another anchor, which does not count.
    contested: bool,
    /// Nodes that are known to have split, with the seals that their children follow.
    pub splits: Vec<(Node, u64)>,
}

/// The first anchor in a file's bytes.
fn find(bytes: &[u8]) -> Result<Option<Anchor>> {
    let mut first: Option<Anchor> = None;
    let (mut splits, mut lifetimes) = (Vec::new(), false);
    for candidate in bytes.windows(SIZE).filter(|candidate| candidate.starts_with(&MAGIC)) {
        let Some((checked, sum)) = candidate.split_at_checked(CHECKED) else { continue };
        if SipHasher13::new_with_keys(0, 0).hash(checked).to_le_bytes() != *sum {
            continue;
        }
        let format = checked.get(8..10).and_then(|n| n.try_into().ok()).map_or(0, u16::from_le_bytes);
        if ![v2::record::FORMAT, FORMAT, LIFETIMES].contains(&format) {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "the bucket was written in format {format} of this store, and this version knows formats 2 to \
                     {LIFETIMES}; use the version that wrote it"
                ),
            ));
        }
        let Some(random) = checked.last_chunk().copied() else { continue };
        if checked.get(10) == Some(&2) {
            splits.extend(split(checked));
            continue;
        }
        lifetimes |= format == LIFETIMES;
        let begun = checked.get(10) == Some(&1);
        match &mut first {
            None => {
                let keys = Keys::new(&random);
                let (contested, splits) = (false, Vec::new());
                first = Some(Anchor { keys, random, persisted: begun, begun, lifetimes, contested, splits });
            }
            Some(first) if first.random == random => {
                first.persisted |= checked.get(10) != Some(&AGAIN);
                first.begun |= begun;
            }
            Some(first) => first.contested = true,
        }
    }
    Ok(first.map(|first| Anchor { splits, lifetimes, ..first }))
}

/// The node and the seal of a record of stage 2.
fn split(checked: &[u8]) -> Option<(Node, u64)> {
    let number = |at: usize| Some(u64::from_le_bytes(checked.get(at..at + 8)?.try_into().ok()?));
    Some((Node::new(*checked.get(11)?, number(16)?)?, number(24)?))
}

fn failed(error: FileError) -> Error {
    crate::error::failed("the bucket's file anchor", error)
}

/// The anchor of a bucket; `None` if it has none yet.
///
/// # Errors
/// [`Kind::Damaged`] if there is none although the bucket has other files.
pub fn read<D: Directory>(directory: &D) -> Result<Option<Anchor>> {
    if let Some(anchor) = look(directory)? {
        return Ok(Some(anchor));
    }
    let mut others = false;
    match directory.list(&mut |name| others |= name != ANCHOR) {
        Ok(()) if others => {}
        Ok(()) | Err(FileError::NotFound) => return Ok(None),
        Err(error) => return Err(crate::error::failed("the bucket's directory", error)),
    }
    // Another instance may have created the bucket just now.
    match look(directory)? {
        None => Err(damaged(ANCHOR, "it is missing or not as it was written, and without it nothing can be read")),
        found => Ok(found),
    }
}

fn look<D: Directory>(directory: &D) -> Result<Option<Anchor>> {
    match directory.open(ANCHOR, Open::Read) {
        Ok(file) => {
            // The rest of a short read has to be read, unless there is nothing more to learn.
            let bytes = file.read(0, SEARCHED).map_err(failed)?;
            match find(&bytes)? {
                Some(anchor) if anchor.persisted && anchor.begun => Ok(Some(anchor)),
                _ => find(&all(&file)?),
            }
        }
        Err(FileError::NotFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The bytes that are searched for an anchor.
fn all<F: File>(file: &F) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < SEARCHED {
        let more = file.read(bytes.len() as u64, SEARCHED - bytes.len()).map_err(failed)?;
        if more.is_empty() {
            break;
        }
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}

/// Notes that a node has split. If that fails, its log still says so.
pub fn note_split<D: Directory>(directory: &D, node: Node, seal: u64) {
    let Ok(file) = directory.open(ANCHOR, Open::Write) else { return };
    if file.size().is_ok_and(|size| size < (SEARCHED / 2) as u64) {
        let mut about = [0; 16];
        about
            .iter_mut()
            .zip(node.bits().to_le_bytes().into_iter().chain(seal.to_le_bytes()))
            .for_each(|(to, from)| *to = from);
        let _ = file.append(&encode(&about, 2, node.depth()));
    }
}

/// Notes that the bucket has a first segment, which survives a power cut.
pub fn begun<D: Directory>(directory: &D) -> Result<()> {
    note(directory, FORMAT, |new| new.begun)
}

/// Notes that values in the bucket may have lifetimes, before the first one does. The bucket has a first segment.
pub fn note_lifetimes<D: Directory>(directory: &D) -> Result<()> {
    note(directory, LIFETIMES, |new| new.begun && new.lifetimes)
}

fn note<D: Directory>(directory: &D, format: u16, noted: impl Fn(&Anchor) -> bool) -> Result<()> {
    let file = directory.open(ANCHOR, Open::Write).map_err(failed)?;
    for _ in 0..ATTEMPTS {
        let there = all(&file)?;
        let Some(anchor) = find(&there)? else { break };
        if append(&file, there.len(), &encode_in(format, &anchor.random, 1, 0))?
            .is_some_and(|new| new.random == anchor.random && noted(&new))
        {
            return file.sync().map_err(failed);
        }
    }
    Err(damaged(ANCHOR, "it is not as it was written"))
}

/// Appends an anchor, even if there is one like it: its writer's sync may have failed, and then it will never be
/// durable. What is found after the end as it was `before`; nothing if a host has cut the append.
fn append<F: File>(file: &F, before: usize, bytes: &[u8]) -> Result<Option<Anchor>> {
    file.append(bytes).map_err(failed)?;
    find(all(file)?.get(before..).unwrap_or_default())
}

/// The anchor of a bucket, created if it has none. From here on it survives a power cut, together with the directory
/// itself, whatever the durability: all other files are unreadable without it.
pub fn make<D: Directory>(directory: &D, root: &impl Directory, config: Config, shared: &Shared) -> Result<Anchor> {
    let file = directory.open(ANCHOR, Open::Create).map_err(failed)?;
    // A host may cut an append in two; then it is tried again. The result of the last attempt is read as well.
    for _ in 0..=ATTEMPTS {
        let bytes = all(&file)?;
        let Some(anchor) = find(&bytes)? else {
            let mut random = [0; 16];
            let (low, high) = (directory.random().to_le_bytes(), directory.random().to_le_bytes());
            random.iter_mut().zip(low.into_iter().chain(high)).for_each(|(to, from)| *to = from);
            file.append(&encode(&random, 0, 0)).map_err(failed)?;
            continue;
        };
        if !anchor.persisted && !config.has(Flaw::AnchorNotSynced) {
            let own = anchor.keys.checks(b'a', Node::ROOT, 0).file();
            if shared.failed.borrow().contains(&own) && !config.has(Flaw::FailedSyncForgotten) {
                // What was dropped is not durable; this is, unless it is torn. After another anchor it would not count.
                let there = append(&file, bytes.len(), &encode(&anchor.random, AGAIN, 0))?
                    .is_some_and(|new| new.random == anchor.random);
                if !there || find(&all(&file)?)?.is_none_or(|anchor| anchor.contested) {
                    return Err(failed(FileError::Io));
                }
            }
            file.sync().map_err(|error| {
                shared.failed.borrow_mut().insert(own);
                failed(error)
            })?;
            shared.failed.borrow_mut().remove(&own);
            directory.sync().and_then(|()| root.sync()).map_err(failed)?;
            // If this fails, the next instance does it again.
            let _ = file.append(&encode(&anchor.random, 0, 0));
        }
        return Ok(anchor);
    }
    Err(Error::new(Kind::Unavailable, "the bucket's file anchor: appended data cannot be read back; try again"))
}
