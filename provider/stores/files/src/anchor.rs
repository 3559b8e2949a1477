//! A bucket's anchor: the random number that its hashes and checksums are keyed with.
//!
//! ```text
//!  0  8  "kvfuse\0L"
//!  8  2  format
//! 10  6  zero
//! 16 16  random number
//! 32  8  SipHash-1-3 with key 0 of the 32 bytes before
//! ```
//! The file is only appended to, and its first whole anchor counts: so instances that make one at once agree. Once it
//! lasts through a power cut it is appended a second time, so that whoever reads the file knows.

use crate::config::Config;
use crate::flaw::Flaw;
use crate::hash::Keys;
use crate::name::ANCHOR;
use crate::record::FORMAT;
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};
use siphasher::sip::SipHasher13;

const MAGIC: [u8; 8] = *b"kvfuse\0L";
const CHECKED: usize = 32;
const SIZE: usize = CHECKED + 8;
/// Bytes that are searched for an anchor; torn ones are shorter than [`SIZE`].
const SEARCHED: usize = 64 << 10;

fn encode(random: &[u8; 16]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&[0; 6]);
    out.extend_from_slice(random);
    let sum = SipHasher13::new_with_keys(0, 0).hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// A bucket's anchor.
pub struct Anchor {
    pub keys: Keys,
    random: [u8; 16],
    /// Whether it is known to last through a power cut.
    pub settled: bool,
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
        if format != FORMAT {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "the bucket was written in format {format} of this store, and this version knows only format \
                     {FORMAT}; use the version that wrote it"
                ),
            ));
        }
        let Some(random) = checked.last_chunk().copied() else { continue };
        match &mut first {
            None => first = Some(Anchor { keys: Keys::new(&random), random, settled: false }),
            Some(first) => first.settled |= first.random == random,
        }
    }
    Ok(first)
}

fn failed(error: FileError) -> Error {
    crate::error::failed("the bucket's file anchor", error)
}

/// The anchor of a bucket, `None` if it has none yet.
pub fn read<D: Directory>(directory: &D) -> Result<Option<Anchor>> {
    match directory.open(ANCHOR, Open::Read) {
        Ok(file) => find(&file.read(0, SEARCHED).map_err(failed)?),
        Err(FileError::NotFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The anchor of a bucket, made if it has none. It lasts through a power cut from here on, together with the directory
/// itself, whatever the durability: all other files are unreadable without it.
pub fn make<D: Directory>(directory: &D, root: &D, config: Config) -> Result<Anchor> {
    let file = directory.open(ANCHOR, Open::Create).map_err(failed)?;
    // A host may cut an append in two, and then the next one is tried.
    for _ in 0..4 {
        let Some(anchor) = find(&file.read(0, SEARCHED).map_err(failed)?)? else {
            let mut random = [0; 16];
            let (low, high) = (directory.random().to_le_bytes(), directory.random().to_le_bytes());
            random.iter_mut().zip(low.into_iter().chain(high)).for_each(|(to, from)| *to = from);
            file.append(&encode(&random)).map_err(failed)?;
            continue;
        };
        if !anchor.settled && !config.has(Flaw::AnchorNotSynced) {
            file.sync().and_then(|()| directory.sync()).and_then(|()| root.sync()).map_err(failed)?;
            // Should this fail, the next instance settles it again.
            let _ = file.append(&encode(&anchor.random));
        }
        return Ok(anchor);
    }
    Err(Error::new(Kind::Damaged, "the bucket's file anchor is damaged: what is written to it does not stay"))
}
