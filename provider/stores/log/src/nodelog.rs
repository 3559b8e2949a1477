//! A node's log: which generation of it is live, or that it has split.
//!
//! The file is permanent: so a segment that was removed can always be told from one that never was. Its records only
//! ever raise the state, so their order does not matter and the highest one counts. A node without the file is in its
//! generation 0. The log is not synced: after a power cut it may be behind, and the names in the directory tell.

use crate::frame::{self, OVERHEAD, Read};
use crate::hash::Keys;
use crate::name::Node;
use crate::record::{self, Encoder, Record};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};

/// The state of a node. Ordered: it only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeState {
    pub split: bool,
    pub generation: u64,
}

/// Bytes of one record.
const RECORD: usize = OVERHEAD + 10;
/// Bytes read from the end of the file: as long as one record in them is whole, the ones before it do not matter.
const TAIL: u64 = 4096;
const CHUNK: usize = 64 << 10;
/// Generations of a node that [`recover`] gives at most; there are never more than two, but for litter.
const RECOVERED: usize = 8;

fn failed(node: Node, error: FileError) -> Error {
    crate::error::failed(&format!("the file {}", node.log()), error)
}

/// The state of a node, and whether its log is there.
pub fn read<D: Directory>(directory: &D, keys: &Keys, node: Node) -> Result<NodeState> {
    match directory.open(&node.log(), Open::Read) {
        Ok(file) => read_file(&file, keys, node),
        Err(FileError::NotFound) => Ok(NodeState::default()),
        Err(error) => Err(failed(node, error)),
    }
}

fn read_file<F: File>(file: &F, keys: &Keys, node: Node) -> Result<NodeState> {
    let bytes = file.read(0, TAIL as usize).map_err(|error| failed(node, error))?;
    if (bytes.len() as u64) < TAIL {
        return Ok(highest(keys, node, &bytes).unwrap_or_default());
    }
    let size = file.size().map_err(|error| failed(node, error))?;
    let tail = file.read(size.saturating_sub(TAIL), TAIL as usize).map_err(|error| failed(node, error))?;
    if let Some(state) = highest(keys, node, &tail) {
        return Ok(state);
    }
    // A damaged end: look at everything.
    let mut state = NodeState::default();
    let mut at = 0;
    while at < size {
        let bytes = file.read(at, CHUNK).map_err(|error| failed(node, error))?;
        state = state.max(highest(keys, node, &bytes).unwrap_or_default());
        at += match bytes.len() {
            0 => break,
            // Records that lie across the border are read again.
            n if n >= CHUNK => (n - RECORD) as u64,
            n => n as u64,
        };
    }
    Ok(state)
}

fn highest(keys: &Keys, node: Node, bytes: &[u8]) -> Option<NodeState> {
    let checks = keys.checks(b'n', node, 0);
    let marker = checks.marker();
    bytes
        .windows(RECORD)
        .filter(|candidate| candidate.starts_with(&marker))
        .filter_map(|candidate| match frame::read(&checks, candidate, false) {
            Read::Whole(frame) => match record::decode(Some(&checks), frame.head, frame.blobs)? {
                Record::State { generation, split } => Some(NodeState { generation, split }),
                _ => None,
            },
            _ => None,
        })
        .max()
}

/// Raises a node's state. It need not last through a power cut: what a log has lost, [`recover`] finds again.
pub fn raise<D: Directory>(directory: &D, keys: &Keys, node: Node, state: NodeState) -> Result<()> {
    let file = directory.open(&node.log(), Open::Create).map_err(|error| failed(node, error))?;
    let checks = keys.checks(b'n', node, 0);
    let record = Encoder::state(state.generation, state.split);
    let mut bytes = Vec::new();
    frame::write(&checks, &record.head, &record.blobs, &mut bytes);
    // A host may cut an append in two, and then the next one is tried.
    for _ in 0..4 {
        if read_file(&file, keys, node)? >= state {
            return Ok(());
        }
        file.append(&bytes).map_err(|error| failed(node, error))?;
    }
    Err(Error::new(Kind::Damaged, format!("the file {} is damaged: what is written to it does not stay", node.log())))
}

/// The states that a node can be in by the names in the directory, the furthest first: for when its log has lost
/// records in a power cut, or is damaged. A segment is removed only after what follows it is complete and durable, so
/// the furthest that has a base is the right one.
pub fn recover<D: Directory>(directory: &D, node: Node) -> Result<Vec<NodeState>> {
    let mut states = Vec::new();
    let mut split = false;
    let listed = directory.list(&mut |name| match Node::parse_segment(name) {
        Some((other, generation)) if other == node => states.push(NodeState { split: false, generation }),
        Some((other, _)) => split |= other.is_below(node),
        None => split |= Node::parse_log(name).is_some_and(|other| other.is_below(node)),
    });
    listed.map_err(|error| crate::error::failed("the bucket's directory", error))?;
    if split && states.is_empty() {
        states.push(NodeState { split: true, generation: 0 });
    }
    states.sort_unstable();
    states.reverse();
    states.truncate(RECOVERED);
    Ok(states)
}
