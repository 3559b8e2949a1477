//! A node's log: which generation of it is live, or that it has split.
//!
//! The file is permanent: so a segment that was removed can always be told from one that never was. Its records only
//! ever raise the state, so their order does not matter and the highest one counts. A node without the file is in its
//! generation 0.

use crate::encode::Encoder;
use crate::frame::{self, OVERHEAD, Read};
use crate::hash::Keys;
use crate::name::Node;
use crate::record::{self, Record};
use kvfuse_core::{Error, Kind, Result};
use kvfuse_transport::files::{Directory, File, FileError, Open};

/// The state of a node. Ordered: it only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeState {
    pub split: bool,
    pub generation: u64,
    /// The seal that led there: of the generation before, or of this one if the node has split. 0 in a node's first
    /// generation, whose seal is its parent's.
    pub seal: u64,
}

impl NodeState {
    /// Whether a generation of the node is over and what follows it complete.
    pub fn is_past(&self, generation: u64) -> bool {
        self.split || self.generation > generation
    }
}

/// Bytes of one record.
const RECORD: usize = OVERHEAD + 18;
/// Bytes read from the end of the file: as long as one record in them is whole, the ones before it do not matter.
const TAIL: u64 = 4096;
const CHUNK: usize = 64 << 10;

fn failed(node: Node, error: FileError) -> Error {
    crate::error::failed(&format!("the file {}", node.log()), error)
}

/// The state of a node.
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
        .filter_map(|candidate| match frame::read(&checks, candidate) {
            Read::Whole(frame) => match record::decode(&checks, frame.head, frame.blobs)? {
                Record::State(state) => Some(state),
                _ => None,
            },
            _ => None,
        })
        .max()
}

/// Makes what a node's log says last through a power cut, where there is a log.
pub fn sync<D: Directory>(directory: &D, node: Node) -> Result<()> {
    match directory.open(&node.log(), Open::Write).and_then(|file| file.sync()) {
        // Without a log, or where nobody writes, there is nothing to lose.
        Ok(()) | Err(FileError::NotFound | FileError::ReadOnly | FileError::Access) => Ok(()),
        Err(error) => Err(failed(node, error)),
    }
}

/// Whether a log that says nothing once said something: it has what was a record. One that was torn, or that a power
/// cut left with zeros, has none.
pub fn is_damaged<D: Directory>(directory: &D, keys: &Keys, node: Node) -> Result<bool> {
    let file = match directory.open(&node.log(), Open::Read) {
        Ok(file) => file,
        Err(FileError::NotFound) => return Ok(false),
        Err(error) => return Err(failed(node, error)),
    };
    let bytes = file.read(0, TAIL as usize).map_err(|error| failed(node, error))?;
    let checks = keys.checks(b'n', node, 0);
    let was_record = |bytes: &[u8]| {
        let frame = checks.marker().into_iter().chain([checks.end()]);
        let there = bytes.iter().take(4).chain(bytes.last());
        let seal = bytes.get(RECORD - 5..RECORD - 1).unwrap_or_default();
        frame.zip(there).filter(|(right, there)| right == *there).count() >= 4 && seal.iter().any(|byte| *byte != 0)
    };
    Ok(bytes.windows(RECORD).any(was_record))
}

/// Raises a node's state, so that it lasts through a power cut. The directory was synced since the caller last read the
/// state: so only a log that this makes needs that again.
pub fn raise<D: Directory>(directory: &D, keys: &Keys, node: Node, state: NodeState) -> Result<()> {
    let opened = match directory.open(&node.log(), Open::Write) {
        Err(FileError::NotFound) => directory.open(&node.log(), Open::Create).map(|file| (file, true)),
        other => other.map(|file| (file, false)),
    };
    let (file, new) = opened.map_err(|error| failed(node, error))?;
    let checks = keys.checks(b'n', node, 0);
    let bytes = Encoder::state(&checks, state);
    // A host may cut an append in two, and then the next one is tried.
    for _ in 0..4 {
        if read_file(&file, keys, node)? >= state {
            file.sync().map_err(|error| failed(node, error))?;
            return if new { directory.sync().map_err(|error| failed(node, error)) } else { Ok(()) };
        }
        file.append(&bytes).map_err(|error| failed(node, error))?;
    }
    Err(Error::new(Kind::Damaged, format!("the file {} is damaged: what is written to it does not stay", node.log())))
}
