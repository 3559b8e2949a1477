//! A node's log: which generation of it is live, or that it has split.
//!
//! The file is never removed, so a removed segment can always be distinguished from one that never existed. Its records
//! only ever raise the state, so their order does not matter and the highest one counts. A node without the file is in
//! its generation 0.

use crate::gap::only_torn_markers;
use crate::hash::Keys;
use crate::name::Node;
use crate::segment::damaged;
use crate::v2::encode;
use crate::v2::frame::{self, OVERHEAD, Read};
use crate::v2::record::{self, Record};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};

pub use crate::v2::record::NodeState;

/// Bytes of one record.
const RECORD: usize = OVERHEAD + 18;
/// Bytes read from the end of the file. All of a log that is not longer is checked.
const TAIL: usize = 4096;
const CHUNK: usize = 64 << 10;
/// Bytes of a damaged log that a repair reads: far more than any log has.
const SALVAGED: usize = 16 << 20;
/// Attempts at a record, each undone by a host that cuts appends.
const ATTEMPTS: usize = 4;

fn failed(node: Node, error: FileError) -> Error {
    crate::error::failed(&format!("the file {}", node.log()), error)
}

/// The state of a node.
///
/// # Errors
/// Those of reading; [`Kind::Damaged`] if there are bytes that are not a record and were not cut off: they may have
/// recorded a higher state.
pub fn read<D: Directory>(directory: &D, keys: &Keys, node: Node) -> Result<NodeState> {
    match directory.open(&node.log(), Open::Read) {
        Ok(file) => read_file(&file, keys, node),
        Err(FileError::NotFound) => Ok(NodeState::default()),
        Err(error) => Err(failed(node, error)),
    }
}

/// The same for a repair: if the log is damaged, the highest state that can be read, and the damage.
///
/// # Errors
/// Those of reading. Damage is not an error.
pub fn salvage<D: Directory>(directory: &D, keys: &Keys, node: Node) -> Result<(NodeState, Option<Error>)> {
    let damage = match read(directory, keys, node) {
        Ok(state) => return Ok((state, None)),
        Err(error) if error.kind() == Kind::Damaged => error,
        Err(error) => return Err(error),
    };
    let Ok(file) = directory.open(&node.log(), Open::Read) else { return Ok((NodeState::default(), Some(damage))) };
    let bytes = read_at(&file, node, 0, SALVAGED)?;
    let state = records(keys, node, &bytes).into_iter().map(|(_, state)| state).max();
    Ok((state.unwrap_or_default(), Some(damage)))
}

/// Reads to the end, although that takes one more call: a host may return less than there is, and after a power cut an
/// earlier state of the node can lead to a file that has been removed.
fn read_file<F: File>(file: &F, keys: &Keys, node: Node) -> Result<NodeState> {
    let bytes = read_at(file, node, 0, TAIL)?;
    if bytes.len() < TAIL {
        return Ok(judge(keys, node, &bytes, false)?.unwrap_or_default());
    }
    let size = file.size().map_err(|error| failed(node, error))?;
    let tail = read_at(file, node, size.saturating_sub(TAIL as u64), TAIL)?;
    // The bytes begin within a record.
    let begin = records(keys, node, &tail).first().map_or(0, |(at, _)| *at);
    // The front of an append that the host cut may be before them, and its rest among them.
    match judge(keys, node, tail.get(begin..).unwrap_or_default(), size > TAIL as u64)? {
        Some(state) => Ok(state),
        None => Err(damaged(&node.log(), "its end is not as it was written")),
    }
}

/// Up to `length` bytes; fewer only at the end of the file.
fn read_at<F: File>(file: &F, node: Node, at: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let want = (length - bytes.len()).min(CHUNK);
        let more = file.read(at + bytes.len() as u64, want).map_err(|error| failed(node, error))?;
        if more.is_empty() {
            break;
        }
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}

/// The whole records among some bytes, with where they are.
fn records(keys: &Keys, node: Node, bytes: &[u8]) -> Vec<(usize, NodeState)> {
    let checks = keys.checks(b'n', node, 0);
    let marker = checks.marker();
    let state = |candidate| match frame::read(&checks, candidate) {
        Read::Whole(frame) => match record::decode(&checks, frame.head, frame.blobs)? {
            Record::State(state) => Some(state),
            _ => None,
        },
        _ => None,
    };
    bytes
        .windows(RECORD)
        .enumerate()
        .filter(|(_, candidate)| candidate.starts_with(&marker))
        .filter_map(|(at, candidate)| Some((at, state(candidate)?)))
        .collect()
}

/// The highest state in some bytes, which begin with a record. `None` if there is none. `torn` says whether the front of a torn
/// record may be before them.
fn judge(keys: &Keys, node: Node, bytes: &[u8], mut torn: bool) -> Result<Option<NodeState>> {
    let records = records(keys, node, bytes);
    let checks = keys.checks(b'n', node, 0);
    let ends = records.iter().map(|(at, _)| at + RECORD);
    for (from, to) in std::iter::once(0).chain(ends).zip(records.iter().map(|(at, _)| *at).chain([bytes.len()])) {
        let mut gap = bytes.get(from..to).unwrap_or_default();
        while !gap.is_empty() {
            let next = gap.get(1..).and_then(|rest| rest.windows(4).position(|four| four == checks.marker()));
            let (piece, rest) = gap.split_at(next.map_or(gap.len(), |next| next + 1));
            gap = rest;
            let marker = checks.marker();
            // Several may have been cut within their markers, one behind the other.
            if only_torn_markers(piece, &marker) {
                torn = true;
                continue;
            }
            // Less than a marker of the next record may be there. (A single byte may be a changed end.)
            let next = [3, 2].into_iter().find(|length| marker.get(..*length).is_some_and(|cut| piece.ends_with(cut)));
            let piece = piece.get(..piece.len() - next.unwrap_or(0)).unwrap_or_default();
            let begins = piece.iter().zip(marker).all(|(there, right)| *there == right);
            // A power cut leaves zeros, also of the front of a record; a host that cuts an append leaves its rest
            // further on. What has all bytes of a record was one.
            if begins && piece.len() < RECORD || piece.starts_with(&[0; 4]) {
                torn = true;
            } else if piece.last() != Some(&0) && (!torn || piece.len() == RECORD) {
                return Err(damaged(&node.log(), "it has bytes that are not a record"));
            }
        }
    }
    Ok(records.into_iter().map(|(_, state)| state).max())
}

/// Syncs a node's log, where there is one.
pub fn sync<D: Directory>(directory: &D, node: Node) -> Result<()> {
    match directory.open(&node.log(), Open::Write).and_then(|file| file.sync()) {
        // Without a log, or if nothing can be written, there is nothing to lose.
        Ok(()) | Err(FileError::NotFound | FileError::ReadOnly | FileError::Access) => Ok(()),
        Err(error) => Err(failed(node, error)),
    }
}

/// Raises a node's state, so that it survives a power cut. `named` says whether the log existed when the directory was
/// last synced. If not, the directory is synced again, even if another instance made the log: its sync may have failed.
/// `again` says that a sync of the log has failed: what is there may not last then, and only what is appended from here on counts.
pub fn raise<D: Directory>(
    directory: &D,
    keys: &Keys,
    node: Node,
    state: NodeState,
    (named, again): (bool, bool),
) -> Result<()> {
    let opened = match directory.open(&node.log(), Open::Write) {
        Err(FileError::NotFound) => directory.open(&node.log(), Open::Create).map(|file| (file, true)),
        other => other.map(|file| (file, !named)),
    };
    let (file, new) = opened.map_err(|error| failed(node, error))?;
    let checks = keys.checks(b'n', node, 0);
    let bytes = encode::state(&checks, state);
    let from = if again { Some(file.size().map_err(|error| failed(node, error))?) } else { None };
    for _ in 0..ATTEMPTS {
        // Even if it is there already: its writer's sync may have failed, and then it will never be durable.
        let sent = file.append(&bytes);
        let raised = match from {
            None => read_file(&file, keys, node)? >= state,
            Some(from) => records(keys, node, &read_at(&file, node, from, TAIL)?).iter().any(|(_, new)| *new >= state),
        };
        if raised {
            file.sync().map_err(|error| failed(node, error))?;
            return if new { directory.sync().map_err(|error| failed(node, error)) } else { Ok(()) };
        }
        sent.map_err(|error| failed(node, error))?;
    }
    Err(Error::new(Kind::Unavailable, format!("the file {}: appended data cannot be read back; try again", node.log())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_were_cut_within_their_markers_are_not_damage_however_many_there_are() {
        let keys = Keys::new(&[7; 16]);
        let checks = keys.checks(b'n', Node::ROOT, 0);
        let states = [1, 2].map(|generation| NodeState { generation, split: false, seal: 9 });
        let [first, second] = states.map(|state| encode::state(&checks, state));
        let marker = checks.marker();
        for cuts in [&[2, 2][..], &[1, 2], &[2, 1], &[3, 1, 2], &[1, 1, 1], &[2, 2, 2, 3]] {
            let torn = cuts.iter().flat_map(|length| &marker[..*length]).copied().collect::<Vec<_>>();
            for behind in [&second[..], &[]] {
                let bytes = [&first[..], &torn, behind].concat();
                let state = states[usize::from(!behind.is_empty())];
                assert_eq!(judge(&keys, Node::ROOT, &bytes, false), Ok(Some(state)), "{cuts:?}");
            }
        }
        assert!(judge(&keys, Node::ROOT, &[&first[..], b"other bytes"].concat(), false).is_err());
    }
}
