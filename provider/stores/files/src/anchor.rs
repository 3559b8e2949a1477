//! A bucket's anchor: the random number that its hashes and checksums are keyed with.
//!
//! ```text
//!  0  8  "kvfuse\0L"
//!  8  2  format
//! 10  1  stage: 0, or 1 once the bucket has a first segment
//! 11  5  zero
//! 16 16  random number
//! 32  8  SipHash-1-3 with key 0 of the 32 bytes before
//! ```
//! The file is append-only, and its first whole anchor counts, so instances that make one at the same time agree. Once
//! it survives a power cut it is appended a second time, which tells readers so; and with stage 1 once
//! there is a first segment, so that a bucket whose files are gone is told from one that is new.

use crate::config::Config;
use crate::flaw::Flaw;
use crate::hash::Keys;
use crate::name::ANCHOR;
use crate::record::FORMAT;
use crate::segment::damaged;
use crate::v2;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use siphasher::sip::SipHasher13;

const MAGIC: [u8; 8] = *b"kvfuse\0L";
const CHECKED: usize = 32;
const SIZE: usize = CHECKED + 8;
/// Bytes that are searched for an anchor; torn ones are shorter than [`SIZE`].
const SEARCHED: usize = 64 << 10;
/// Attempts at an anchor, each undone by a host that cuts appends.
const ATTEMPTS: usize = 4;

fn encode(random: &[u8; 16], stage: u8) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&[stage, 0, 0, 0, 0, 0]);
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
    pub settled: bool,
    /// Whether the bucket is known to have a first segment.
    pub begun: bool,
}

/// The first anchor in a file's bytes.
fn find(bytes: &[u8]) -> Result<Option<Anchor>> {
    let mut first: Option<Anchor> = None;
    for candidate in bytes.windows(SIZE).filter(|candidate| candidate.starts_with(&MAGIC)) {
        let Some((checked, sum)) = candidate.split_at_checked(CHECKED) else { continue };
        if SipHasher13::new_with_keys(0, 0).hash(checked).to_le_bytes() != *sum {
            continue;
        }
        let format = checked.get(8..10).and_then(|n| n.try_into().ok()).map_or(0, u16::from_le_bytes);
        if format != FORMAT && format != v2::record::FORMAT {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "the bucket was written in format {format} of this store, and this version knows formats 2 and \
                     {FORMAT}; use the version that wrote it"
                ),
            ));
        }
        let Some(random) = checked.last_chunk().copied() else { continue };
        let begun = checked.get(10) == Some(&1);
        match &mut first {
            None => first = Some(Anchor { keys: Keys::new(&random), random, settled: begun, begun }),
            Some(first) if first.random == random => (first.settled, first.begun) = (true, first.begun | begun),
            Some(_) => {}
        }
    }
    Ok(first)
}

fn failed(error: FileError) -> Error {
    crate::error::failed("the bucket's file anchor", error)
}

/// The anchor of a bucket, `None` if it has none yet.
///
/// # Errors
/// [`Kind::Damaged`] if there is none although the bucket has other files.
pub fn read<D: Directory>(directory: &D) -> Result<Option<Anchor>> {
    if let Some(anchor) = look(directory)? {
        return Ok(Some(anchor));
    }
    let mut others = false;
    let fail = |error| crate::error::failed("the bucket's directory", error);
    directory.list(&mut |name| others |= name != ANCHOR).map_err(fail)?;
    if !others {
        return Ok(None);
    }
    // Somebody may have begun the bucket just now.
    match look(directory)? {
        None => Err(damaged(ANCHOR, "it is missing or not as it was written, and without it nothing can be read")),
        found => Ok(found),
    }
}

fn look<D: Directory>(directory: &D) -> Result<Option<Anchor>> {
    match directory.open(ANCHOR, Open::Read) {
        Ok(file) => find(&all(&file)?),
        Err(FileError::NotFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// What is searched for an anchor.
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

/// Notes that the bucket has a first segment, which survives a power cut.
pub fn begun<D: Directory>(directory: &D) -> Result<()> {
    let file = directory.open(ANCHOR, Open::Write).map_err(failed)?;
    for _ in 0..ATTEMPTS {
        let Some(anchor) = find(&all(&file)?)? else { break };
        if anchor.begun {
            return file.sync().map_err(failed);
        }
        file.append(&encode(&anchor.random, 1)).map_err(failed)?;
    }
    Err(damaged(ANCHOR, "it is not as it was written"))
}

/// The anchor of a bucket, made if it has none. It lasts through a power cut from here on, together with the directory
/// itself, whatever the durability: all other files are unreadable without it.
pub fn make<D: Directory>(directory: &D, root: &D, config: Config) -> Result<Anchor> {
    let file = directory.open(ANCHOR, Open::Create).map_err(failed)?;
    // A host may cut an append in two, and then the next one is tried. What the last one did is looked at, too.
    for _ in 0..=ATTEMPTS {
        let Some(anchor) = find(&all(&file)?)? else {
            let mut random = [0; 16];
            let (low, high) = (directory.random().to_le_bytes(), directory.random().to_le_bytes());
            random.iter_mut().zip(low.into_iter().chain(high)).for_each(|(to, from)| *to = from);
            file.append(&encode(&random, 0)).map_err(failed)?;
            continue;
        };
        if !anchor.settled && !config.has(Flaw::AnchorNotSynced) {
            file.sync().and_then(|()| directory.sync()).and_then(|()| root.sync()).map_err(failed)?;
            // Should this fail, the next instance settles it again.
            let _ = file.append(&encode(&anchor.random, 0));
        }
        return Ok(anchor);
    }
    Err(Error::new(Kind::Unavailable, "the bucket's file anchor: appended data cannot be read back; try again"))
}
