//! Writing the two records of format 2 that are still written: seals, and states of nodes. Pure.

use super::frame::{self, HEADER, OVERHEAD};
use super::record::NodeState;
use crate::hash::Checks;
use crate::record::Plan;

fn frame(checks: &Checks, kind: u8, number: u64, flag: bool, more: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(OVERHEAD + 10 + more.len());
    frame.extend_from_slice(&[0; HEADER]);
    frame.push(kind);
    frame.extend_from_slice(&number.to_le_bytes());
    frame.push(u8::from(flag));
    frame.extend_from_slice(more);
    frame::close(checks, &mut frame, 0);
    frame.push(checks.end());
    frame
}

/// The frame of a seal.
pub fn seal(checks: &Checks, id: u64, plan: Plan) -> Vec<u8> {
    frame(checks, 3, id, plan == Plan::Split, &[])
}

/// The frame of a node's state.
pub fn state(checks: &Checks, state: NodeState) -> Vec<u8> {
    frame(checks, 4, state.generation, state.split, &state.seal.to_le_bytes())
}
